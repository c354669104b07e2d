"""In which currency the Ledger says what everything is worth: the table `[ledger]`."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.instruments import Instruments
from engine.units import Round, UnitError, parse_decimal

Asset = Annotated[str, Meta(pattern="^[A-Z0-9]{1,20}$")]
Amount = Annotated[str, Meta(pattern="^[0-9]+([.][0-9]+)?$", max_length=40)]


class LedgerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The currency of the equity (empty: the quote asset of the first instrument) and its odd assets.

    `pegs` maps an asset to one that it is taken to be worth one of, where no market of the two has a
    price: { USDC = "USDT" }. The balances of `ignored` assets are left out of the equity. `rounding` is by asset
    how much a venue may round at each fill: a settled balance that differs by no more is taken as it is.
    """

    currency: Annotated[str, Meta(pattern="^([A-Z0-9]{1,20})?$")] = ""
    pegs: dict[Asset, Asset] = {}
    ignored: tuple[Asset, ...] = ()
    rounding: dict[Asset, Amount] = {}


def currency_of(ledger: LedgerConfig, instruments: Instruments) -> str:
    """The currency of the equity; empty only where there is no instrument at all."""
    if ledger.currency or not len(instruments):
        return ledger.currency
    return instruments[0].quote


def rounding_of(ledger: LedgerConfig, instruments: Instruments) -> dict[str, int]:
    """What a venue may round at each fill, by asset and in its units."""
    return {
        asset: parse_decimal(amount, instruments.decimals(asset), Round.UP)
        for asset, amount in ledger.rounding.items()
    }


def ledger_faults(ledger: LedgerConfig, instruments: Instruments) -> Iterator[tuple[str, str]]:
    """What does not hold, as (key's path, what was expected and found)."""
    currency = currency_of(ledger, instruments)
    if currency and not instruments.traded(currency):
        yield "ledger.currency", f"no instrument has {currency!r} as its base or quote"
    if currency in ledger.ignored:
        yield "ledger.ignored", f"{currency!r} is what the equity is told in"
    named = [(f"pegs.{one}", asset) for one, other in ledger.pegs.items() for asset in (one, other)]
    named += [(f"rounding.{asset}", asset) for asset in ledger.rounding]
    for key, asset in named:
        if not instruments.known(asset):
            why = f"the decimals of {asset} are not known; add assets.{asset} = 8 or so"
            yield f"ledger.{key}", why
            return
    try:
        rounding_of(ledger, instruments)
    except UnitError as error:
        yield "ledger.rounding", str(error)
    for asset, other in ledger.pegs.items():
        if asset == other:
            yield f"ledger.pegs.{asset}", "an asset is worth one of itself; name another"
