"""Holds an engine's tops against the independent rebuild, frame by frame."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from engine.config import Config, instruments_of, parse
from engine.edges.replaying import capture_config
from engine.messages import AnyMessage, BookTop, Frame
from tests.twins.rebuild import Binance, Kraken

REBUILDS = {"kraken_v1": Kraken, "binance": Binance}


def config_of(path: Path) -> Config:
    """The configuration that `orchestrator replay` makes of a capture."""
    return parse(capture_config(path, 0.0), str(path))


def hold_tops(
    config: Config, steps: Iterable[tuple[AnyMessage, list[AnyMessage]]]
) -> tuple[int, int]:
    """After every frame the engine's top is the rebuild's; frames compared, checksums verified."""
    rebuild = REBUILDS[config.venues[0].protocol]()
    instruments = instruments_of(config)
    numbers = {entry.native: number for number, entry in enumerate(config.instruments)}
    tops: dict[int, BookTop] = {}
    compared = 0
    for message, outputs in steps:
        if not isinstance(message, Frame):
            continue
        tops.update({o.instrument: o for o in outputs if isinstance(o, BookTop)})
        symbol = rebuild.frame(message.payload, message.about if message.kind == 1 else "")
        if symbol is None:
            continue
        number = numbers[symbol]
        top, instrument = tops[number], instruments[number]
        found = (
            instrument.ticks_to_price(top.bid_ticks),
            instrument.lots_to_quantity(top.bid_lots),
            instrument.ticks_to_price(top.ask_ticks),
            instrument.lots_to_quantity(top.ask_lots),
        )
        assert tuple(map(Decimal, found)) == rebuild.top(symbol), f"frame {compared} of {symbol}"
        compared += 1
    return compared, rebuild.checksums
