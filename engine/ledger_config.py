"""In which currency the Ledger says what everything is worth: the table `[ledger]`."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from engine.instruments import Instruments

Asset = Annotated[str, Meta(pattern="^[A-Z0-9]{1,20}$")]


class LedgerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The currency of the equity (empty: the quote asset of the first instrument) and its odd assets.

    `pegs` maps an asset to one that it is taken to be worth one of, where no market of the two has a
    price: { USDC = "USDT" }. The balances of `ignored` assets are left out of the equity.
    """

    currency: Annotated[str, Meta(pattern="^([A-Z0-9]{1,20})?$")] = ""
    pegs: dict[Asset, Asset] = {}
    ignored: tuple[Asset, ...] = ()


def currency_of(ledger: LedgerConfig, instruments: Instruments) -> str:
    """The currency of the equity; empty only where there is no instrument at all."""
    if ledger.currency or not len(instruments):
        return ledger.currency
    return instruments[0].quote


def ledger_faults(ledger: LedgerConfig, instruments: Instruments) -> Iterator[tuple[str, str]]:
    """What does not hold, as (key's path, what was expected and found)."""
    currency = currency_of(ledger, instruments)
    if currency and not instruments.traded(currency):
        yield "ledger.currency", f"no instrument has {currency!r} as its base or quote"
    if currency in ledger.ignored:
        yield "ledger.ignored", f"{currency!r} is what the equity is told in"
    for asset, other in ledger.pegs.items():
        if asset == other:
            yield f"ledger.pegs.{asset}", "an asset is worth one of itself; name another"
        for named in (asset, other):
            if not instruments.known(named):
                why = f"the decimals of {named} are not known; add assets.{named} = 8 or so"
                yield f"ledger.pegs.{asset}", why
