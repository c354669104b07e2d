"""Our account at a venue as a whole: what rests, fills, balances, transfers, and that we agree on them.

Rounds of reconciliation (engine/orders/reconciliation.py) run after each connect, every so often, after a hole
in the stream and when asked. Until the first clean one after a connect, we are not known to agree.
"""

import msgspec

from engine.messages import BalanceSeen, CallKind, DifferenceKind, Reconciled
from engine.orders.calls import TRANSFERS, Calls, Pending
from engine.orders.desk import NAMELESS, Desk, Messages
from engine.orders.identity import ours
from engine.orders.lanes import Lane, Wish
from engine.orders.pursuit import Look, Pursuit
from engine.orders.reconciliation import Round, Stage, compare
from engine.orders.sweep import Sweep
from engine.trading_config import TradingConfig
from engine.venues.trading import (
    BalancesSeen,
    FillSeen,
    FillsSeen,
    OpenOrdersSeen,
    OrderRef,
    OrderSeen,
    TransferSeen,
)

SECOND_NS = 1_000_000_000
POLL_NS = SECOND_NS
UNCLEAN_NS = 5 * SECOND_NS
ALARMED_MAX = 1_000


class AccountState(msgspec.Struct):
    """The whole state, for a snapshot."""

    online: bool
    reconciled: bool
    foreign: int
    active: list[int]
    alarmed: dict[str, None]
    history_ns: int
    fresh: bool
    round: Round
    wanted: bool
    next_round_ns: int
    next_poll_ns: int


class Account:
    """See the module. `online` says that the venue tells us of our orders, or that it can be asked, where
    it tells nothing by itself; `reconciled`, that we agree. `active` are the instruments whose fills may
    be missing; so many orders of others, `foreign`, rest.
    """

    def __init__(
        self,
        desk: Desk,
        calls: Calls,
        pursuit: Pursuit,
        sweep: Sweep,
        settings: TradingConfig,
        prefix: str,
        timeout_ns: int,
    ) -> None:
        self.online = False
        self.reconciled = False
        self.foreign = 0
        self.active: set[int] = set()
        self._desk = desk
        self._calls = calls
        self._fills = calls.fills
        self._pursuit = pursuit
        self._sweep = sweep
        self._policy = settings.foreign_orders
        self._every_ns = settings.reconcile_every_s * SECOND_NS
        self._prefix = prefix
        self._timeout_ns = timeout_ns
        self._alarmed: dict[str, None] = {}
        self._history_ns = 0
        self._fresh = True
        self._round = Round()
        self._wanted = False
        self._next_round_ns = 0
        self._next_poll_ns = 0

    # --- rounds -------------------------------------------------------------------------------------

    def lose(self) -> None:
        """The line is gone: what was asked will not be answered, and we are not known to agree."""
        self.online = self.reconciled = False
        self._round.stage = Stage.IDLE
        self._pursuit.stop_looking()

    def ready(self) -> Messages:
        """The venue tells of everything from now on, or can be asked: what was before is asked for."""
        self.online = self._wanted = True
        return self.begin()

    def begin(self) -> Messages:
        """Compare with the venue, as soon as its clock is known and a round under way is over."""
        now_ns, calls = self._desk.now_ns, self._calls
        if self._round.stage is not Stage.IDLE:
            self._wanted = True
            return []
        if not calls.clock.samples and calls.tells_clock:
            self._wanted = True
            return self._pursuit.ask(CallKind.CLOCK, now_ns)
        self._wanted = False
        self._next_round_ns = now_ns + self._every_ns
        self._round.begin(self._fills.told, self._transfers(), now_ns)
        return self._ask()

    def clock_known(self) -> Messages:
        """The venue's clock was measured: begin what waited for it."""
        return self.begin() if self._wanted else []

    def _transfers(self) -> int:
        return len(self._calls.requests(CallKind.TRANSFERS, self._desk.now_ns))

    def _ask(self) -> Messages:
        """Ask for what the round waits for."""
        now_ns = self._desk.now_ns
        messages: Messages = []
        for kind, place in list(self._round.left):
            if kind == CallKind.OPEN_ORDERS:
                messages += self._pursuit.look(now_ns)
            elif kind == CallKind.TRANSFERS:
                messages += self._pursuit.ask(CallKind.TRANSFERS, now_ns, part=place)
            elif kind == CallKind.FILLS:
                messages += self._pursuit.ask(CallKind.FILLS, now_ns, instrument=place)
            else:
                messages += self._pursuit.ask(CallKind.BALANCES, now_ns)
        return messages

    def got(self, kind: CallKind, place: int, asked_ns: int) -> Messages:
        """An answer is complete; after the last one the round goes on."""
        current, desk = self._round, self._desk
        if not current.got(kind, place, asked_ns):
            return []
        if current.stage is Stage.ACCOUNT:
            places = self._pursuit.places(self.active | {-1} if self._numbered else self.active)
            current.fills(places, desk.now_ns)
            if places:
                return self._ask()
        if current.repeat(self._fills.told, self._transfers(), desk.now_ns):
            return self._ask()
        return self._end()

    @property
    def _numbered(self) -> bool:
        trading = self._calls.trading
        return trading.fills_numbered or trading.fills_by_account

    def _end(self) -> Messages:
        """A round is over: balances, and whether we agree."""
        current, desk = self._round, self._desk
        messages: Messages = []
        settled = current.told == self._fills.told and not self._fills.nameless
        if current.balances is not None:
            messages += self._tell_balances(current.balances, settled)
        self._fresh = False
        unrepaired = current.open + len(desk.owed) + self._fills.hole
        self.reconciled = unrepaired == 0
        if self.reconciled:
            self.active = {order.intent.instrument for order in desk.open.values()}
        else:
            self._next_round_ns = desk.now_ns + UNCLEAN_NS
        stamp = (desk.sender, desk.stamp(), 0, desk.venue)
        messages.append(Reconciled(*stamp, self.reconciled, current.found))
        return messages

    def tick(self) -> Messages:
        """Begin the next current in its time, ask again for what did not come; poll what tells nothing."""
        now_ns, current = self._desk.now_ns, self._round
        messages: Messages = []
        if current.stage is not Stage.IDLE:
            if current.overdue(2 * self._timeout_ns, now_ns):
                messages += self._ask()
        elif self._wanted or (self._next_round_ns and now_ns >= self._next_round_ns):
            messages += self.begin()
        messages += self._name_fills()
        polls = not self._calls.trading.private_stream
        if polls and self._desk.open and now_ns >= self._next_poll_ns:
            self._next_poll_ns = now_ns + max(POLL_NS, self._timeout_ns)
            messages += self._pursuit.fills(self.active, now_ns) + self._pursuit.look(now_ns)
        return messages

    def _name_fills(self) -> Messages:
        """Ask whose the fills are that name their order by the venue's number alone."""
        now_ns, calls, fills = self._desk.now_ns, self._calls, self._fills
        if not fills.nameless:
            return []
        messages = fills.give_up(0)
        for venue_id, waits in fills.nameless.items():
            if now_ns < waits.ask_at_ns:
                continue
            waits.ask_at_ns = now_ns + self._timeout_ns
            ref = OrderRef("", venue_id, waits.fills[0][0].instrument)
            request = calls.trading.query(ref, calls.clock.earliest(now_ns))
            messages += calls.ask(Lane.DATA, Wish(CallKind.QUERY, ready=request), now_ns) or []
        return messages

    # --- what rests -----------------------------------------------------------------------------------

    def stranger(self, name: str, news: OrderSeen) -> Messages:
        """The stream tells of an open order that is not known here."""
        if news.instrument < 0 or not (ours(name, self._prefix) or self._policy == "adopt"):
            return []
        return self._adopt(name or f"{NAMELESS}{news.venue_order_id}", news)

    def _adopt(self, name: str, news: OrderSeen) -> Messages:
        """An order that we lack is ours from now on; while all are unwanted, this one is too."""
        self.active.add(news.instrument)
        self._round.found += 1
        messages = self._desk.adopt(name, news, self._desk.received_ns)
        if self._sweep.on:
            messages += self._pursuit.cancel(name, 0, self._desk.now_ns)
        return messages

    def open_orders(self, news: OpenOrdersSeen, pending: Pending | None, ends: bool) -> Messages:
        """All that rests, or a part of it."""
        if pending is None:
            return []
        look = self._pursuit.took_open(news, pending, ends)
        return [] if look is None else self._looked(look)

    def _looked(self, look: Look) -> Messages:
        """Hold what rests against what is open here, and repair what differs."""
        desk, received_ns = self._desk, self._desk.received_ns
        found = compare(
            desk, look.orders, look.complete, look.asked_ns, self._prefix, self._timeout_ns
        )
        messages: Messages = []
        for seen in look.orders:
            messages += self._fills.learn(seen, received_ns)
        for seen in found.listed:
            messages += desk.seen(seen, received_ns)
        for seen in found.lacking:
            messages += self._adopt(desk.name_of(seen.client_order_id, seen.venue_order_id), seen)
        for seen in found.strays:
            messages += self._alarm(seen, False)
            self._round.open += 1
        self.foreign = len(found.foreign)
        for seen in found.foreign:
            if self._policy == "adopt" and seen.instrument >= 0:
                messages += self._adopt(
                    seen.client_order_id or f"{NAMELESS}{seen.venue_order_id}", seen
                )
                self.foreign -= 1
            elif self._policy != "leave":
                messages += self._alarm(seen, False)
        for name in found.gone:
            messages += self._gone(name)
        if not look.complete:
            return messages
        resting = len(found.listed) + len(found.lacking) + len(found.strays)
        messages += self._sweep.found(resting, self.foreign)
        names = {desk.name_of(seen.client_order_id, seen.venue_order_id) for seen in look.orders}
        messages += self._pursuit.query_unlisted(names, desk.now_ns)
        messages += self.got(CallKind.OPEN_ORDERS, 0, look.asked_ns)
        if (int(CallKind.OPEN_ORDERS), 0) in self._round.left:
            messages += self._pursuit.look(desk.now_ns)  # it was asked for before the round began
        return messages

    def _gone(self, name: str) -> Messages:
        """An order does not rest any more: where a stream should have told, that is a doubt."""
        desk, calls = self._desk, self._calls
        messages: Messages = []
        if calls.trading.private_stream:
            messages = self._pursuit.doubt(name, desk.now_ns)
        return messages + self._pursuit.query(name, desk.now_ns)

    def _alarm(self, seen: OrderSeen, repaired: bool) -> Messages:
        """An order that is not ours to touch is told of once."""
        name = seen.client_order_id or seen.venue_order_id
        if name in self._alarmed:
            return []
        self._alarmed[name] = None
        if len(self._alarmed) > ALARMED_MAX:
            del self._alarmed[next(iter(self._alarmed))]
        self._round.found += 1
        kind = DifferenceKind.FOREIGN_ORDER
        return [self._desk.difference(kind, name, 0, seen.lots, repaired)]

    # --- fills and money ------------------------------------------------------------------------------

    def fill(self, news: FillSeen, pending: Pending | None, ends: bool) -> Messages:
        """A fill by itself."""
        desk = self._desk
        had_hole = self._fills.hole
        self.active.add(news.instrument)
        messages = self._fills.take(news, desk.received_ns)
        if self._fills.hole and not had_hole:
            messages += self._pursuit.fills({news.instrument}, desk.now_ns)
        return messages

    def fills(self, news: FillsSeen, pending: Pending | None, ends: bool) -> Messages:
        """Fills that were asked for. What a stream should have told long ago was missing."""
        desk, calls = self._desk, self._calls
        late_ns = calls.clock.at(desk.now_ns) - self._timeout_ns
        messages: Messages = []
        for fill in news.fills:
            history = self._fresh and fill.venue_ns < self._history_ns
            told = self._fills.take(fill, desk.received_ns, history)
            if told and calls.trading.private_stream and fill.venue_ns < late_ns:
                kind = DifferenceKind.MISSING_FILL
                told.append(desk.difference(kind, fill.trade_id, 0, fill.lots, True))
                self._round.found += 1
            messages += told
        through_ns = news.through_ns or (0 if pending is None else pending.from_ns)
        place, asked_ns = news.instrument, 0 if pending is None else pending.asked_ns
        if not ends:
            return messages  # of pages in no order, nothing is known before the last
        calls.cursors[place] = max(calls.cursors.get(place, 0), through_ns)
        if news.more is not None:
            wish = Wish(CallKind.FILLS, instrument=place, ready=news.more)
            return messages + (calls.ask(Lane.DATA, wish, desk.now_ns) or [])
        self._pursuit.told_fills(place, through_ns, asked_ns)
        return messages + self.got(CallKind.FILLS, place, asked_ns)

    def balances(self, news: BalancesSeen, pending: Pending | None, ends: bool) -> Messages:
        """What the account holds; a round's are told at its end."""
        current = self._round
        awaited = (int(CallKind.BALANCES), 0) in current.left
        if pending is None or not awaited or pending.asked_ns < current.stage_ns:
            return self._tell_balances(news, False)
        current.balances = news
        if self._fresh:
            self._history_ns = max(news.venue_ns, pending.from_ns)
        return self.got(CallKind.BALANCES, 0, pending.asked_ns)

    def _tell_balances(self, news: BalancesSeen, settled: bool) -> Messages:
        desk = self._desk
        return [
            BalanceSeen(
                desk.sender, desk.stamp(), desk.received_ns, desk.venue, asset, total, settled
            )
            for asset, total, _ in news.rows
        ]

    def transfer(self, news: TransferSeen, pending: Pending | None, ends: bool) -> Messages:
        """Money came or went."""
        cursors = self._calls.cursors
        cursors[TRANSFERS] = max(cursors.get(TRANSFERS, 0), news.venue_ns)
        if news.venue_ns < self._history_ns:
            return []  # the first balance has it already
        return self._fills.transferred(news, self._desk.received_ns)

    # --- snapshot -------------------------------------------------------------------------------------

    def snapshot(self) -> AccountState:
        """The whole state."""
        return AccountState(
            self.online,
            self.reconciled,
            self.foreign,
            sorted(self.active),
            self._alarmed,
            self._history_ns,
            self._fresh,
            self._round,
            self._wanted,
            self._next_round_ns,
            self._next_poll_ns,
        )

    def restore(self, state: AccountState) -> None:
        """Become what `snapshot` gave."""
        self.online = state.online
        self.reconciled = state.reconciled
        self.foreign, self.active = state.foreign, set(state.active)
        self._alarmed, self._history_ns = state.alarmed, state.history_ns
        self._fresh, self._round, self._wanted = state.fresh, state.round, state.wanted
        self._next_round_ns, self._next_poll_ns = state.next_round_ns, state.next_poll_ns
