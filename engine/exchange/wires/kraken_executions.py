"""The private channels of version 2: executions and balances of an account.

Each report of an order is a frame of its own, numbered by subscription.
Sources: https://docs.kraken.com/api/docs/websocket-v2/executions, /balances
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from engine.exchange.orders import BalanceChange, Event, Order, OrderChange, Status
from engine.exchange.wires.kraken_desk import Desk
from engine.exchange.wires.kraken_keys import Caller
from engine.exchange.wires.kraken_ledger import Entry, booked
from engine.exchange.wires.kraken_limits import POINT
from engine.exchange.wires.kraken_reports import STATUS_WORDS, Report, Reports
from engine.exchange.wires.kraken_words import KrakenError, Names, bare, id_of, rfc3339
from engine.exchange.wires.wire import Outgoing

SHOWN = 50
OPEN_AND_CLOSE = frozenset("new trade filled canceled expired".split())


class _Subscription:
    """One connection's: `all_status` as it asked, `number` of the last frame, `entry` last told."""

    __slots__ = ("account", "all_status", "counts", "entry", "number")

    def __init__(self, account: str, all_status: bool = True, counts: bool = False) -> None:
        self.account = account
        self.all_status = all_status
        self.counts = counts
        self.number = 0
        self.entry = 0


class _Known(NamedTuple):
    """What an open order was when it last changed, and the fees it has paid."""

    ticks: int
    lots: int
    working: bool
    paid: int


class Executions:
    """See the module."""

    def __init__(self, desk: Desk, names: Names) -> None:
        self._desk = desk
        self._exchange = desk.exchange
        self._names = names
        self._executions: dict[int, _Subscription] = {}
        self._balances: dict[int, _Subscription] = {}
        self._words = Reports(desk, names)
        self._known: dict[int, _Known] = {}
        self.ceiling = desk.limits.tier.orders // POINT

    # --- who hears what ---------------------------------------------------------------------------

    def disconnected(self, connection: int) -> None:
        """It is gone."""
        self._executions.pop(connection, None)
        self._balances.pop(connection, None)

    def hears(self, connection: int) -> bool:
        """Whether it subscribed to anything here."""
        return connection in self._executions or connection in self._balances

    def unsubscribe(self, connection: int, channel: str) -> None:
        """Leave. Raises KrakenError."""
        of = self._executions if channel == "executions" else self._balances
        if of.pop(connection, None) is None:
            raise KrakenError("Subscription not found")

    def executions(
        self,
        connection: int,
        caller: Caller,
        orders: bool,
        trades: bool,
        all_status: bool,
        counts: bool,
    ) -> list[bytes]:
        """Enter; the orders that live, and the last fifty trades. Raises KrakenError."""
        if connection in self._executions:
            raise KrakenError("Already subscribed")
        held = _Subscription(caller.account, all_status, counts)
        self._executions[connection] = held
        reports: list[list[Report]] = [[], []]
        if orders:
            live = self._exchange.open_orders(caller.account)
            reports[0] = [
                self._words.whole(order, "new", order.updated_ns, self._paid(order))
                for order in live
            ]
        if trades:
            fills = self._exchange.fills(caller.account)[-SHOWN:]
            reports[1] = [self._words.past(fill) for fill in fills]
        if not (orders or trades):
            return []
        told = [each for each in reports if each] or [[]]
        return [_numbered("executions", "snapshot", each, held) for each in told]

    def balances(self, connection: int, caller: Caller, snapshot: bool) -> list[bytes]:
        """Enter; what there is. Raises KrakenError."""
        if connection in self._balances:
            raise KrakenError("Already subscribed")
        held = self._balances[connection] = _Subscription(caller.account)
        ledger = self._exchange.accounts.ledger(caller.account)
        held.entry = ledger[-1].number if ledger else 0
        if not snapshot:
            return []
        data = []
        for asset in self._exchange.accounts.assets(caller.account):
            total = self._exchange.accounts.total(caller.account, asset)
            amount = bare(self._names.amount(asset, total))
            wallet = {"type": "spot", "id": "main", "balance": amount}
            data.append(
                {
                    "asset": asset,
                    "asset_class": "currency",
                    "balance": amount,
                    "wallets": [wallet],
                }
            )
        return [_numbered("balances", "snapshot", data, held)]

    # --- what happened ----------------------------------------------------------------------------

    def publish(self, events: Iterable[Event]) -> list[Outgoing]:
        """What happened to orders and balances, for those whose they are."""
        out: list[Outgoing] = []
        moved: dict[str, None] = {}
        for event in events:
            if isinstance(event, OrderChange):
                out += self._told(event)
            elif isinstance(event, BalanceChange):
                moved[event.account] = None
        for connection, held in self._balances.items():
            if held.account in moved:
                out += [Outgoing(connection, frame) for frame in self._moves(held)]
        return out

    def _told(self, event: OrderChange) -> list[Outgoing]:
        order = event.order
        known = self._known.pop(order.number, None)
        paid = (known.paid if known else 0) + (event.fill.fee if event.fill else 0)
        if order.open:
            self._known[order.number] = _Known(order.ticks, order.lots, order.working, paid)
        hearing = [(c, s) for c, s in self._executions.items() if s.account == order.account]
        if not hearing:
            return []
        out = []
        for report in self._reports(event, known, paid):
            for connection, held in hearing:
                if held.all_status or report["exec_type"] in OPEN_AND_CLOSE:
                    shown = [self._counted(report, order) if held.counts else report]
                    frame = _numbered("executions", "update", shown, held)
                    out.append(Outgoing(connection, frame))
        return out

    def _counted(self, report: Report, order: Order) -> Report:
        held = self._desk.limits.held(
            order.account, order.request.instrument, self._exchange.now_ns
        )
        return {**report, "ratecount": held}

    def _paid(self, order: Order) -> int:
        known = self._known.get(order.number)
        return known.paid if known is not None else 0

    def _reports(self, event: OrderChange, known: _Known | None, paid: int) -> Iterator[Report]:
        """What Kraken would say of a change, given what the order was before."""
        order, at_ns, words = event.order, event.time_ns, self._words
        if known is None:
            yield words.whole(order, "pending_new", at_ns, 0)
            yield words.brief(order, "new", at_ns, "new")
        if event.fill is not None:
            yield words.trade(order, event.fill)
            if order.status is Status.FILLED:
                yield words.end(order, "filled", at_ns, paid)
        elif not order.open:
            yield words.end(order, STATUS_WORDS[order.status], at_ns, paid)
        elif known is not None and order.working and not known.working:
            yield words.triggered(order, at_ns)
        elif known is not None and (order.ticks, order.lots) != known[:2]:
            yield words.amended(order, at_ns)

    # --- balances ---------------------------------------------------------------------------------

    def _moves(self, held: _Subscription) -> list[bytes]:
        """The ledger's entries since the last that was told, those of one cause together."""
        fresh = []
        for entry in reversed(self._exchange.accounts.ledger(held.account)):
            if entry.number <= held.entry:
                break
            fresh.append(entry)
        if not fresh:
            return []
        held.entry = fresh[0].number
        groups: dict[str, list[Entry]] = {}
        for each in booked(reversed(fresh)):
            groups.setdefault(each.ref_id, []).append(each)
        return [
            _numbered("balances", "update", [self._move(each) for each in group], held)
            for group in groups.values()
        ]

    def _move(self, entry: Entry) -> Report:
        amount = self._names.amount
        return {
            "ledger_id": id_of("L", entry.number),
            "ref_id": entry.ref_id,
            "timestamp": rfc3339(entry.time_ns),
            "type": entry.kind,
            "asset": entry.asset,
            "asset_class": "currency",
            "category": entry.kind,
            "wallet_type": "spot",
            "wallet_id": "main",
            "amount": bare(amount(entry.asset, entry.amount)),
            "fee": bare(amount(entry.asset, entry.fee)),
            "balance": bare(amount(entry.asset, entry.balance)),
        }


def _numbered(channel: str, kind: str, data: Sequence[Report], held: _Subscription) -> bytes:
    held.number += 1
    return msgspec.json.encode(
        {"channel": channel, "type": kind, "data": data, "sequence": held.number}
    )
