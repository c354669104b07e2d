"""What is still away from its target at SHUTDOWN, and the orders that take it back.

Pure functions of the guard's kernel. An exit is an immediate-or-cancel limit some basis points through the
best price of a LIVE book, no larger than the deviation, the venue's balance and its limits allow.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from engine.instruments import Instrument, Instruments
from engine.messages import BUY, SELL, BookState, OrderIntent, Risk, TimeInForce
from engine.orders.identity import client_order_id
from engine.risk_limits import Limits
from ext.risk import RiskKernel

BPS = 10_000
ACCOUNT = "main"
NAME = "risk"


class Exit(NamedTuple):
    """An order that takes a deviation back."""

    instrument: Instrument
    side: int
    ticks: int
    lots: int


class Priced(NamedTuple):
    """A market that could take part of a deviation, with its limit price."""

    instrument: Instrument
    ticks: int
    best: float


class KillState(msgspec.Struct):
    """The whole state, for a snapshot.

    `resting` is each venue's own word since the kill began, -1 while it has not spoken; `dust` the assets
    of which what is left was put aside; `told` what was said last.
    """

    resting: dict[int, int] = {}
    began_ns: int = 0
    cancelled_ns: int = 0
    dust: list[str] = []
    told: tuple[Risk, int, int, int, bool] | None = None


class Kill:
    """How far the venues have confirmed that nothing rests. `venues` are those that must speak."""

    def __init__(self, venues: Iterable[int]) -> None:
        self.state = KillState(dict.fromkeys(venues, -1))

    def expect(self, venue: int) -> None:
        """An order of ours may rest at a venue: its word is waited for."""
        self.state.resting.setdefault(venue, -1)

    def begin(self, now_ns: int) -> None:
        """What venues said before does not count."""
        state = self.state
        state.resting = dict.fromkeys(state.resting, -1)
        state.began_ns, state.told = now_ns, None

    def end(self) -> None:
        """Trading goes on; what is small may be traded again."""
        self.state.dust, self.state.told = [], None

    def heard(self, venue: int, orders: int) -> None:
        """A venue says how many of our orders rest there."""
        self.state.resting[venue] = orders

    def resting(self) -> int:
        """Orders that rest by the venues' own word; -1 while one of them has not spoken."""
        words = self.state.resting.values()
        return -1 if any(word < 0 for word in words) else sum(words)

    def away(
        self, limits: Limits, kernel: RiskKernel, instruments: Iterable[Instrument]
    ) -> list[str]:
        """The assets that are away from their target by more than dust."""
        return [
            asset
            for number, asset in enumerate(limits.assets)
            if kernel.position(number) and not is_dust(asset, instruments, limits, kernel)
        ]

    def newly_dust(
        self, limits: Limits, kernel: RiskKernel, instruments: Instruments
    ) -> list[tuple[str, int]]:
        """Assets whose deviation is dust since now, each with a venue that holds or trades it."""
        found = []
        for number, asset in enumerate(limits.assets):
            if asset in self.state.dust or not kernel.position(number):
                continue
            if is_dust(asset, instruments, limits, kernel):
                self.state.dust.append(asset)
                venues = [i.venue for i in instruments if i.base == asset]
                held = [(kernel.holding(venue, number) or (0, 0, 0))[0] for venue in venues]
                found.append((asset, venues[held.index(max(held))]))
        return found


def markets_of(
    asset: str, side: int, instruments: Iterable[Instrument], kernel: RiskKernel, through_bps: int
) -> list[Priced]:
    """The LIVE markets of an asset, the best for a side first."""
    found = []
    for instrument in instruments:
        state, bid, ask, _ = kernel.market(instrument.id)
        touch = ask if side == BUY else bid
        if instrument.base != asset or state != BookState.LIVE or touch <= 0:
            continue
        ticks = touch + side * max(1, touch * through_bps // BPS)
        if instrument.ticks_min <= ticks <= instrument.ticks_max:
            found.append(Priced(instrument, ticks, -side * touch * instrument.tick))
    return sorted(found, key=lambda priced: (-priced.best, priced.instrument.id))


def exits(
    asset: str,
    instruments: Iterable[Instrument],
    limits: Limits,
    kernel: RiskKernel,
) -> Iterator[Exit]:
    """The orders that take an asset's deviation back now, over as many venues as it needs."""
    number = limits.number[asset]
    deviation = kernel.position(number)
    side = SELL if deviation > 0 else BUY
    buys, sells = kernel.in_flight(number)
    left = abs(deviation) - (sells if side == SELL else buys)
    through_bps = limits.config.flatten_bps
    for instrument, ticks, _ in markets_of(asset, side, instruments, kernel, through_bps):
        units = min(left, _affordable(instrument, side, ticks, limits, kernel))
        lots = min(units // instrument.base_units_per_lot, instrument.lots_max)
        lots = min(
            lots, limits.notional_max(instrument) // (ticks * instrument.quote_units_per_tick_lot)
        )
        if lots > 0 and orderable(instrument, ticks, lots):
            yield Exit(instrument, side, ticks, lots)
            left -= lots * instrument.base_units_per_lot


def exit_order(
    wanted: Exit,
    stamp: tuple[int, int],
    deployment: str,
    count: tuple[int, int],
    expires_ns: int,
) -> OrderIntent:
    """The guard's order for an exit; `stamp` is (sender, sequence), `count` its incarnation and number."""
    instrument, side, ticks, lots = wanted
    content = f"{instrument.id}/{side}/{ticks}/{lots}"
    sender, number = stamp[0], count[1]
    name = client_order_id(deployment, ACCOUNT, NAME, count[0], number, 0, content)
    where, what = (instrument.venue, instrument.id), (side, ticks, lots)
    tif = TimeInForce.IOC
    return OrderIntent(
        *stamp, 0, name, sender, number, 0, *where, *what, tif, expires_ns, flattening=True
    )


def _affordable(
    instrument: Instrument, side: int, ticks: int, limits: Limits, kernel: RiskKernel
) -> int:
    """Base units that the venue's balance, where it is known, lets us sell or pay for."""
    asset = instrument.base if side == SELL else instrument.quote
    holding = kernel.holding(instrument.venue, limits.number[asset])
    if holding is None or ":" in instrument.symbol:
        return 2**63 - 1
    free = max(0, holding[0] - holding[1])
    if side == SELL:
        return free
    return free // (ticks * instrument.quote_units_per_tick_lot) * instrument.base_units_per_lot


def orderable(instrument: Instrument, ticks: int, lots: int) -> bool:
    """Whether the venue takes an order of this size at this price."""
    notional = ticks * lots * instrument.quote_units_per_tick_lot
    return lots >= instrument.lots_min and notional >= instrument.notional_min_units


def is_dust(
    asset: str, instruments: Iterable[Instrument], limits: Limits, kernel: RiskKernel
) -> bool:
    """Whether a deviation is too small to be traded on any market of its asset that has a price."""
    deviation = kernel.position(limits.number[asset])
    side = SELL if deviation > 0 else BUY
    priced = markets_of(asset, side, instruments, kernel, limits.config.flatten_bps)
    return bool(priced) and not any(
        orderable(instrument, ticks, abs(deviation) // instrument.base_units_per_lot)
        for instrument, ticks, _ in priced
    )
