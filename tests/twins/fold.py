"""The slow, obvious twin of ext/fold.pyx: every record decoded into its message, then looked at."""

from engine.messages import (
    BalanceUpdate,
    Fill,
    GroupIntent,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    PositionUpdate,
    Reason,
    RiskLevel,
    decode,
)
from tests.twins.framing import scan


class Fold:
    """See the kernel."""

    def __init__(self) -> None:
        self.level = self.fills = self.records = 0
        self._orders: dict[str, tuple[int, ...]] = {}
        self._trades: set[tuple[int, str]] = set()
        self._moved: dict[int, tuple[int, int]] = {}
        self._balances: dict[tuple[int, str], int] = {}
        self._positions: dict[tuple[str, str], tuple[int, ...]] = {}

    def take(self, data: bytes, at: int) -> tuple[int, int]:
        """See the kernel."""
        records, end, why = scan(data, at, len(data) + 1)
        for _, payload in records:
            self.records += 1
            self._fold(decode(payload))
        return end, why

    def _intended(self, intent: OrderIntent, state: OrderState) -> None:
        name = intent.client_order_id
        if name not in self._orders or self._orders[name][7] < state:
            told = (intent.bot, intent.venue, intent.instrument, intent.side, intent.ticks)
            self._orders[name] = (*told, intent.lots, 0, state)

    def _fold(self, message: object) -> None:
        match message:
            case OrderIntent():
                self._intended(message, OrderState.INTENDED)
            case OrderCommand(intent=intent):
                self._intended(intent, OrderState.APPROVED)
            case GroupIntent(legs=legs):
                for leg in legs:
                    self._intended(leg, OrderState.INTENDED)
            case OrderRefused(client_order_id=name) if message.reason is not Reason.DUPLICATE:
                was = self._orders.get(name, (0,) * 8)
                bot, instrument = message.bot, message.instrument
                self._orders[name] = (bot, was[1], instrument, *was[3:7], OrderState.REJECTED)
            case OrderEvent(client_order_id=name) if message.reason is not Reason.DUPLICATE:
                told = (message.bot, message.venue, message.instrument, message.side)
                done = (message.ticks, message.lots, message.filled_lots, message.state)
                self._orders[name] = (*told, *done)
            case Fill(venue=venue, trade_id=trade) if (venue, trade) not in self._trades:
                self._trades.add((venue, trade))
                self.fills += 1
                bought, sold = self._moved.get(message.instrument, (0, 0))
                buys = message.lots if message.side > 0 else 0
                moved = (bought + buys, sold + message.lots - buys)
                self._moved[message.instrument] = moved
            case BalanceUpdate():
                self._balances[message.venue, message.asset] = message.total
            case PositionUpdate():
                money = (message.quantity, message.cost, message.realised, message.fees)
                self._positions[message.base, message.quote] = money
            case RiskLevel():
                self.level = message.level

    def orders(self) -> dict[str, tuple[int, ...]]:
        """See the kernel."""
        return self._orders

    def moved(self) -> dict[int, tuple[int, int]]:
        """See the kernel."""
        return self._moved

    def balances(self) -> dict[tuple[int, str], int]:
        """See the kernel."""
        return self._balances

    def positions(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """See the kernel."""
        return self._positions
