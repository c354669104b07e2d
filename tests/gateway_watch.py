"""What must hold of all that a gateway says, checked message by message."""

from collections.abc import Sequence
from decimal import Decimal

from engine.config import ENGINE_ACCOUNT
from engine.exchange.exchange import Exchange
from engine.instruments import Instrument
from engine.messages import (
    AnyMessage,
    BalanceSeen,
    CallKind,
    Fill,
    OrderEvent,
    OrderRequest,
    OrderState,
    Reconciled,
)
from engine.orders.gateway import Gateway
from engine.orders.lifecycle import FINAL, FOLLOWS


class Watched:
    """Nothing sent twice, no illegal step, no fill twice, and settled balances that add up.

    `money` is what the fills moved since the start, by asset in units; `reached` the states seen.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.instruments = instruments
        self.states: dict[str, OrderState] = {}
        self.created: set[str] = set()
        self.reached: set[OrderState] = set()
        self.fills: set[tuple[str, int]] = set()
        self.money: dict[str, int] = {}
        self.opening: dict[str, int] = {}
        self.settled = 0
        self.unsettled = 0

    def watch(self, message: AnyMessage, killed: bool) -> None:
        """Every message of the gateway, as it comes."""
        if isinstance(message, OrderRequest) and message.kind is CallKind.CREATE:
            assert message.client_order_id not in self.created, "sent twice"
            self.created.add(message.client_order_id)
            assert not (message.raises_exposure and killed)
        elif isinstance(message, OrderEvent):
            self._step(message)
        elif isinstance(message, Fill):
            key = message.trade_id, message.side
            assert key not in self.fills, "counted twice"
            self.fills.add(key)
            self._move(message)
        elif isinstance(message, BalanceSeen):
            self._balance(message)

    def _step(self, event: OrderEvent) -> None:
        name, state = event.client_order_id, event.state
        self.reached.add(state)
        before = self.states.get(name, OrderState.APPROVED)
        if before in FINAL:
            assert state is OrderState.UNKNOWN, "only an adopted order lives on"
        elif before is not state or state is not OrderState.PARTLY_FILLED:
            adopted = name not in self.created
            assert state in FOLLOWS[before] or adopted, (name, before, state)
        self.states[name] = state

    def _move(self, fill: Fill) -> None:
        instrument = self.instruments[fill.instrument]
        quantity = Decimal(instrument.lots_to_quantity(fill.lots))
        value = quantity * Decimal(instrument.ticks_to_price(fill.ticks))
        base, quote = 10**instrument.base_decimals, 10**instrument.quote_decimals
        self._add(instrument.base, fill.side * int(quantity * base))
        self._add(instrument.quote, -fill.side * int(value * quote))
        self._add(fill.fee_asset, -fill.fee)

    def _add(self, asset: str, units: int) -> None:
        self.money[asset] = self.money.get(asset, 0) + units

    def _balance(self, seen: BalanceSeen) -> None:
        """A settled balance is what was there first and all that was told since."""
        if not seen.settled:
            self.unsettled += 1
            return
        self.settled += 1
        if seen.asset not in self.opening:
            self.opening[seen.asset] = seen.total - self.money.get(seen.asset, 0)
        expected = self.opening[seen.asset] + self.money.get(seen.asset, 0)
        assert seen.total == expected, (seen.asset, seen.total - expected)

    def agree(self, gateway: Gateway, exchange: Exchange, told: Sequence[AnyMessage]) -> None:
        """Once quiet: no order is open or in doubt, and the exchange's books are ours."""
        desk = gateway.desk
        assert not desk.open, desk.open
        assert not desk.owed
        assert exchange.open_orders(ENGINE_ACCOUNT) == []
        assert len(self.fills) == exchange.fill_count(ENGINE_ACCOUNT)
        assert gateway.account.reconciled
        for asset, moved in self.money.items():
            assert self.opening[asset] + moved == exchange.accounts.total(ENGINE_ACCOUNT, asset)
        last = [m for m in told if isinstance(m, Reconciled)][-1]
        assert last.clean
        assert desk.illegal == 0
