"""What the RiskGuard knows of the account: positions, balances and orders that are not final.

It keeps them in the kernel's numbers as the venues' news come; the guard (engine/risk.py) decides by them.
A position is the deviation from a declared target inventory, or from what was held at the start where an
asset has none: it moves by fills, and with a target by whatever moves the balance.
"""

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.instruments import Instrument, Instruments
from engine.messages import (
    BalanceUpdate,
    BookTop,
    Fill,
    OrderEvent,
    OrderState,
    Reason,
    Risk,
)
from engine.orders.lifecycle import FINAL
from engine.risk_config import RiskConfig
from engine.risk_exits import Kill, KillState
from engine.risk_groups import Groups, GroupsState, shed
from engine.risk_levels import Levels, LevelsState
from engine.risk_limits import Limits, Surroundings

TRADES_MAX = 20_000
BOTS = 65_536


class Reserved(msgspec.Struct, gc=False):
    """An order that was let through and is not done: its place in the kernel, and whose it is.

    `told` lots of it came as fills. An order that `ended` waits for fills that the venue counted and
    nobody told yet: until they come, or a reconciliation finds the account clean, they stay in flight.
    """

    place: int
    bot: int
    venue: int
    instrument: int
    group: int
    hedging: int = 0  # signed units that may still fill
    told: int = 0
    ended: bool = False


class RiskState(msgspec.Struct):
    """The whole state, for a snapshot.

    `heard` holds the venues whose balance of an asset was told; `told` is the level that was said last.
    """

    sequence: int = 0
    kernel: bytes = b""
    levels: LevelsState = msgspec.field(default_factory=LevelsState)
    groups: GroupsState = msgspec.field(default_factory=GroupsState)
    kill: KillState = msgspec.field(default_factory=KillState)
    overrides: dict[str, str] = {}
    epoch: int = 0
    incarnation: int = 0
    exits: int = 0
    equity: int | None = None
    reserved: dict[str, Reserved] = {}
    trades: dict[str, None] = {}
    heard: dict[str, list[int]] = {}
    told: tuple[Risk, Reason] = (Risk.NORMAL, Reason.NONE)


class RiskAccount(Component):
    """Takes the news of tops, balances, fills and orders; see the module."""

    kind = "risk"

    def __init__(
        self, sender: int, instruments: Instruments, config: RiskConfig, around: Surroundings
    ) -> None:
        super().__init__(sender, instruments)
        self.limits = Limits(instruments, config, around)
        self.kernel = self.limits.kernel()
        self.levels = Levels(config.levels)
        self.groups = Groups()
        self.kill = Kill(around.venues or ())
        self.state = RiskState()
        self.dropped: list[tuple[str, str]] = []  # changes of limits that no longer hold
        every = range(len(instruments.venues)) if around.venues is None else around.venues
        self._venues_of: dict[str, list[int]] = {
            asset: sorted({i.venue for i in instruments if i.base == asset and i.venue in every})
            for asset in self.limits.assets
        }

    def regrid(self, instrument: Instrument) -> None:
        """See `Component.regrid`: limits in lots, and a top in ticks, are the new grid's."""
        self.limits.regrid(self.kernel, instrument)

    def open_work(self) -> int:
        """The orders whose end is not known."""
        return len(self.state.reserved)

    def on_top(self, top: BookTop, now_ns: int) -> Outputs:
        """A market's best prices."""
        self.kernel.top(top.instrument, top.state, top.bid_ticks, top.ask_ticks, top.received_ns)
        return NOTHING

    def on_balance(self, update: BalanceUpdate, now_ns: int) -> Outputs:
        """What a venue holds for us of an asset."""
        number = self.limits.number.get(update.asset)
        if number is None or not 0 <= update.venue < len(self.instruments.venues):
            return NOTHING
        self.kernel.hold(update.venue, number, update.total)
        heard = self.state.heard.setdefault(update.asset, [])
        if update.venue not in heard:
            heard.append(update.venue)
        self.retarget(update.asset)
        return NOTHING

    def retarget(self, asset: str) -> None:
        """Count the deviation from the declared target, once each venue's balance was told."""
        target = self.limits.target(asset)
        if target is None or asset not in self.limits.number:
            return
        heard, number = self.state.heard.get(asset, ()), self.limits.number[asset]
        if any(venue not in heard for venue in self._venues_of[asset]):
            return
        held = [self.kernel.holding(venue, number) for venue in heard]
        total = sum(holding[0] for holding in held if holding is not None)
        self.kernel.move(number, total - target - self.kernel.position(number))

    def on_event(self, event: OrderEvent, now_ns: int) -> Outputs:
        """A final state releases what did not fill. A refused repeat says nothing of the first.

        An order of ours that we never let through was sent before our memory begins: it counts.
        """
        name = event.client_order_id
        reserved = self.state.reserved.get(name)
        if event.reason is Reason.DUPLICATE:
            return NOTHING
        if reserved is None:
            if event.state in FINAL or self.kernel.knows(name):
                return NOTHING
            reserved = self._adopt(event, now_ns)
            if reserved is None:
                return NOTHING
        if reserved.ended:
            return NOTHING
        self.kernel.doubt(reserved.place, event.state is OrderState.UNKNOWN)
        if event.state in FINAL:
            untold = event.filled_lots - reserved.told
            left = self.kernel.open_order(reserved.place)[4]
            if untold > 0:
                reserved.ended = True
                self.kernel.fill(reserved.place, left - untold)
            else:
                self._done(name, reserved)
        return NOTHING

    def _done(self, name: str, reserved: Reserved) -> None:
        """Nothing of an order can fill any more."""
        del self.state.reserved[name]
        self.kernel.end(reserved.place)
        if reserved.group:
            base = self.instruments[reserved.instrument].base
            self.groups.ended(name, reserved.group, base, reserved.hedging)

    def settled(self, venue: int) -> None:
        """A venue's account is clean: fills that were waited for are not to come."""
        waiting = self.state.reserved.items()
        for name, order in [(n, o) for n, o in waiting if o.ended and o.venue == venue]:
            self._done(name, order)

    def _adopt(self, event: OrderEvent, now_ns: int) -> Reserved | None:
        """All its lots count: which of its fills were told before is not known."""
        number, lots = event.instrument, event.lots
        if not 0 <= number < len(self.instruments) or lots <= 0 or event.side not in (-1, 1):
            return None
        bot = event.bot if 0 <= event.bot < BOTS else 0
        name, ticks = event.client_order_id, max(0, event.ticks)
        place = self.kernel.adopt(name, number, bot, event.side, ticks, lots, now_ns)
        reserved = Reserved(place, bot, event.venue, number, 0)
        self.state.reserved[name] = reserved
        self.kill.expect(event.venue)
        return reserved

    def on_fill(self, fill: Fill, now_ns: int) -> Outputs:
        """Reserved becomes position, once for each trade."""
        trades = self.state.trades
        key = f"{fill.instrument}/{fill.side}/{fill.trade_id}"
        if key in trades:
            return NOTHING
        trades[key] = None
        shed(trades, TRADES_MAX)
        fee_asset = self.limits.number.get(fill.fee_asset, -1)
        number, side, lots = fill.instrument, fill.side, fill.lots
        self.kernel.trade(number, side, fill.ticks, lots, fee_asset, fill.fee)
        name = fill.client_order_id
        reserved = self.state.reserved.get(name)
        hedged = 0
        instrument = self.instruments[number]
        units = side * lots * instrument.base_units_per_lot
        if reserved is not None:
            self.kernel.fill(reserved.place, lots)
            reserved.told += lots
            if reserved.hedging:
                hedged = units
                reserved.hedging -= units
            group = reserved.group
        else:
            group = self.groups.of_ended(name)
        if group:
            self.groups.filled(group, instrument.base, units, hedged)
        if (
            reserved is not None
            and reserved.ended
            and not self.kernel.open_order(reserved.place)[4]
        ):
            self._done(name, reserved)
        if self.limits.config.targets:
            for asset in dict.fromkeys((instrument.base, instrument.quote, fill.fee_asset)):
                self.retarget(asset)
        return NOTHING

    def snapshot(self) -> bytes:
        """See `Component.snapshot`."""
        state = self.state
        state.sequence, state.kernel = self.sequence, self.kernel.snapshot()
        state.levels, state.groups, state.kill = (
            self.levels.state,
            self.groups.state,
            self.kill.state,
        )
        state.overrides = self.limits.overrides
        return msgspec.msgpack.encode(state)

    def restore(self, data: bytes) -> None:
        """See `Component.restore`."""
        state = self.state = msgspec.msgpack.decode(data, type=RiskState)
        self.sequence = state.sequence
        self.kernel.restore(state.kernel)
        self.dropped = self.limits.resume(state.overrides)
        self.limits.apply(self.kernel)
        self.levels.configure(self.limits.config.levels)
        self.levels.state, self.groups.state, self.kill.state = (
            state.levels,
            state.groups,
            state.kill,
        )
