"""What must hold of a simulated run, judged from outside: by the journals, by what left, by the exchanges.

Nothing here asks a component what it believes. What is in flight is counted from the requests that
left and from the exchanges' own books, so it is the truth that a careful guard never underrates.
"""

from collections.abc import Callable, Iterable, Mapping

from engine.config import ENGINE_ACCOUNT, Config
from engine.edges.simulation.coverage import Coverage
from engine.edges.simulation.exposure import Broken, Exposure
from engine.exchange.exchange import Exchange
from engine.exchange.orders import Status
from engine.instruments import Instruments
from engine.messages import (
    AnyMessage,
    BalanceUpdate,
    CallKind,
    CancelAll,
    CancelCommand,
    CancelIntent,
    Fill,
    GroupIntent,
    KillProgress,
    LimitChanged,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRequest,
    OrderState,
    Risk,
    RiskLevel,
)
from engine.orders.lifecycle import FINAL

BY_HAND = "hand-"  # client ids of orders that somebody placed beside the engine
Moment = tuple[int, str, AnyMessage | str]
TAKEN_OUT = frozenset({OrderState.CANCELLED, OrderState.EXPIRED, OrderState.REJECTED})
"""What an order is that ended before it was filled: protocols differ in what they call it."""


class Invariants:
    """See the module; `exchanges` by venue. Each method raises `Broken`."""

    def __init__(
        self,
        config: Config,
        instruments: Instruments,
        exchanges: Mapping[int, Exchange],
        coverage: Coverage,
    ) -> None:
        self.coverage = coverage
        self.fills: dict[tuple[int, int, int, str], Fill] = {}
        self.created: dict[str, OrderIntent] = {}  # those whose request left
        self.swept = False  # somebody cancelled everything: no cancel needs a wish of its own
        self._exchanges = exchanges
        self._said: dict[tuple[int, int], bytes] = {}
        self._intents: dict[str, OrderIntent] = {}
        self._commands: dict[str, OrderCommand] = {}
        self._events: dict[str, OrderEvent] = {}
        self._balances: dict[tuple[int, str], int] = {}
        self._cancels: set[str] = set()
        self._deposits: dict[tuple[int, str], list[int]] = {}
        self._level = Risk.NORMAL
        self._exposure = Exposure(config, instruments, exchanges)
        self._takers: dict[type, Callable[..., None]] = {
            OrderIntent: self._intended,
            GroupIntent: self._grouped,
            OrderCommand: self._commanded,
            OrderEvent: self._moved,
            Fill: self._filled,
            RiskLevel: self._levelled,
            CancelIntent: self._cancelled,
            CancelCommand: self._cancelled,
            CancelAll: self._all_cancelled,
            LimitChanged: self._exposure.changed,
            KillProgress: self._killed,
            BalanceUpdate: self._updated,
        }

    # --- after every step ---------------------------------------------------------------------------

    def journalled(self, message: AnyMessage, data: bytes) -> None:
        """A durable output is in the journal."""
        key = message.sender, message.sequence
        known = self._said.get(key)
        if known is not None:
            if known != data:
                raise Broken("decided once", f"{message} has the number of {known!r}")
            return
        self._said[key] = data
        self.coverage.journalled(message)
        taker = self._takers.get(type(message))
        if taker is not None:
            taker(message)

    def _intended(self, intent: OrderIntent) -> None:
        self._intents[intent.client_order_id] = intent

    def _grouped(self, group: GroupIntent) -> None:
        for leg in group.legs:
            self._intended(leg)

    def _commanded(self, command: OrderCommand) -> None:
        intent = command.intent
        self._commands[intent.client_order_id] = command
        self._intents.setdefault(intent.client_order_id, intent)  # the guard's own, that flatten
        if self._level >= Risk.HALT and not (intent.flattening and command.reduces):
            raise Broken("nothing opens at Halt", f"{command} at {self._level.name}")
        self._exposure.takes_on(command)

    def _levelled(self, level: RiskLevel) -> None:
        self._level = level.level
        self.swept = self.swept or level.level >= Risk.HALT

    def _cancelled(self, cancel: CancelIntent | CancelCommand) -> None:
        self._cancels.add(cancel.client_order_id)

    def _moved(self, event: OrderEvent) -> None:
        name = event.client_order_id
        self._events[name] = event
        if event.state in FINAL:
            self._exposure.ended(event)

    def _all_cancelled(self, cancel: CancelAll) -> None:
        self.swept = True

    def _killed(self, progress: KillProgress) -> None:
        """A kill is finished when the exchanges have nothing of ours, and not before."""
        if not progress.finished:
            return
        self.coverage.saw("kill", "finished")
        for exchange in self._exchanges.values():
            for order in exchange.open_orders(ENGINE_ACCOUNT):
                if not order.request.client_id.startswith(BY_HAND):
                    raise Broken(
                        "a kill is finished when nothing rests", f"{progress}, but {order}"
                    )

    def _filled(self, fill: Fill) -> None:
        key = fill.venue, fill.instrument, fill.side, fill.trade_id
        if key in self.fills:
            raise Broken("a fill is told once", f"{fill} and {self.fills[key]}")
        self.fills[key] = fill

    def _updated(self, update: BalanceUpdate) -> None:
        self._balances[update.venue, update.asset] = update.total

    def deposited(self, venue: int, asset: str, units: int) -> None:
        """Money came of which nobody is told: it is a drift, unless it was there at the first look."""
        sums = self._deposits.setdefault((venue, asset), [0])
        sums.append(sums[-1] + units)

    def passed(self, request: OrderRequest, killed: bool, now_ns: int) -> None:
        """A request leaves the gate; `killed` is what the kill switch's page says."""
        if (request.sender, request.sequence) not in self._said:
            raise Broken("journalled before it leaves", f"{request}")
        if request.kind is not CallKind.CREATE:
            self._took_back(request)
            return
        if killed and request.raises_exposure:
            raise Broken("nothing opens with the kill switch on", f"{request}")
        if now_ns > request.expires_ns and request.raises_exposure:
            raise Broken("nothing leaves late", f"{request} at {now_ns}")
        name = request.client_order_id
        intent = self._intents.get(name)
        if intent is None or name not in self._commands:
            raise Broken("intent before effect", f"{request}")
        if name in self.created:
            raise Broken("no id is sent twice", f"{request}")
        if not request.raises_exposure and not self._commands[name].reduces:
            raise Broken("what raises exposure says so", f"{request}")
        self.created[name] = intent

    def _took_back(self, request: OrderRequest) -> None:
        """A cancel has somebody who wanted it: a bot, the guard, or whoever stopped everything."""
        if request.client_order_id not in self._cancels and not self.swept:
            raise Broken("intent before effect", f"{request}")

    # --- once all is quiet ----------------------------------------------------------------------------

    def quiet(self) -> None:
        """The engine knows what the exchanges know, to the lot and to the unit."""
        for venue, exchange in self._exchanges.items():
            audit = exchange.audit()
            if audit.problems:
                raise Broken("the exchange adds up", "; ".join(audit.problems))
            self._same_fills(venue, exchange)
            self._same_orders(venue, exchange)
            for held in audit.balances:
                if held.account != ENGINE_ACCOUNT:
                    continue
                ours = self._balances.get((venue, held.asset), 0)
                untold = self._deposits.get((venue, held.asset), [0])
                if held.total - ours not in untold:
                    where = f"{exchange.venue} {held.asset}"
                    raise Broken("balances", f"{where}: ours {ours}, theirs {held.total}")

    def _same_fills(self, venue: int, exchange: Exchange) -> None:
        ours = sorted(
            (f.client_order_id, f.instrument, f.side, f.ticks, f.lots, f.fee)
            for f in self.fills.values()
            if f.venue == venue
        )
        theirs = sorted(
            (f.client_id, f.instrument, f.side, f.ticks, f.lots, f.fee)
            for f in exchange.fills(ENGINE_ACCOUNT)
        )
        if ours != theirs:
            missing = [fill for fill in theirs if fill not in ours]
            raise Broken("fills", f"{exchange.venue}: {len(ours)} of {len(theirs)}, not {missing}")

    def _same_orders(self, venue: int, exchange: Exchange) -> None:
        names: set[str] = set()
        for order in exchange.all_orders(ENGINE_ACCOUNT):
            name = order.request.client_id
            if name.startswith(BY_HAND):
                continue
            if name in names:
                raise Broken("no id is executed twice", f"{exchange.venue}: {name}")
            names.add(name)
            event = self._events.get(name)
            ours = None if event is None else event.state
            ends = {OrderState.FILLED} if order.status is Status.FILLED else TAKEN_OUT
            if order.open or ours not in ends:
                raise Broken(
                    "orders", f"{exchange.venue}: {name} is {order.status!r}, ours {ours!r}"
                )

    def unknown(self) -> Iterable[str]:
        """The orders whose fate is not known."""
        return [n for n, event in self._events.items() if event.state not in FINAL]
