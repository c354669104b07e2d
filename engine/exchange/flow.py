"""The order flow of a simulated market, made by the name of its model.

"santa-fe" is orders by chance alone, "hawkes" orders in bursts around the fair price. Both know four
calls of a book (engine/exchange/actions.py), and both follow a fair price that all venues share.
"""

from random import Random

from engine.exchange.actions import OrderFlow
from engine.exchange.fair_price import FairPrice, VenuePrice
from engine.exchange.flow_presets import PRESETS, Preset
from engine.exchange.hawkes_flow import HawkesFlow
from engine.exchange.santa_fe import SantaFe
from engine.instruments import Instrument

MODELS = ("santa-fe", "hawkes")
ORDERS_LEAST = 160


def preset_of(name: str) -> Preset:
    """A preset by name; raises ValueError."""
    if name not in PRESETS:
        raise ValueError(f"preset {name!r}: one of {', '.join(PRESETS)} is expected")
    return PRESETS[name]


def make_flow(
    model: str,
    instrument: Instrument,
    fair: FairPrice,
    *,
    seed: int,
    venue: str,
    rate: float,
    lag_ns: int,
    noise_bps: float,
    begin_ns: int,
    preset: str | Preset = "btc",
) -> OrderFlow:
    """The traders of an instrument at a venue; `open` puts their first orders into a book.

    `rate` is events a second. A market slower than the one measured has fewer and larger orders, so
    that they do not rest for minutes. Raises ValueError for a model or preset that is not there.
    """
    preset = preset_of(preset) if isinstance(preset, str) else preset
    share = max(ORDERS_LEAST / preset.hawkes.orders, rate / preset.rate)
    if share < 1:
        preset = preset._replace(
            hawkes=preset.hawkes.thinned(share), santa_fe=preset.santa_fe.thinned(share)
        )
    price = VenuePrice(fair, seed, venue, instrument.symbol, lag_ns, noise_bps, begin_ns)
    chance = Random(f"flow/{seed}/{venue}/{instrument.symbol}")
    if model == "santa-fe":
        return SantaFe(instrument, price, chance, rate, preset.santa_fe, begin_ns)
    if model == "hawkes":
        return HawkesFlow(instrument, price, chance, rate, preset.hawkes, begin_ns)
    raise ValueError(f"model {model!r}: one of {', '.join(MODELS)} is expected")
