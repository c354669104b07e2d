"""The slow, obvious ledger: every trade kept, everything computed anew from the list, in fractions.

Average cost is by definition here: closing a part of a position realises that part of its exact
cost. The ledger may differ from it by the units its integer divisions round, one a closing trade.
"""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple


class Trade(NamedTuple):
    """A trade in decimal numbers, as a venue would print it."""

    venue: str
    base: str
    quote: str
    bought: bool
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    trade_id: str
    bot: int = 0


class TwinLedger:
    """All trades, once each; every figure is a sum over them."""

    def __init__(self, opening: dict[tuple[str, str], Decimal]) -> None:
        self.opening = opening
        self.trades: list[Trade] = []

    def add(self, trade: Trade) -> None:
        """Keep a trade unless its venue told it before: ids count by market, and by side."""
        if all(_identity(known) != _identity(trade) for known in self.trades):
            self.trades.append(trade)

    def balance(self, venue: str, asset: str) -> Decimal:
        """What the opening balance and all trades leave."""
        total = self.opening.get((venue, asset), Decimal(0))
        for trade in self.trades:
            if trade.venue != venue:
                continue
            sign = 1 if trade.bought else -1
            if trade.base == asset:
                total += sign * trade.quantity
            if trade.quote == asset:
                total -= sign * trade.quantity * trade.price
            if trade.fee_asset == asset:
                total -= trade.fee
        return total

    def position(self, base: str, quote: str) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        """(quantity, cost, realised, fees) by average cost, exact."""
        trades = [t for t in self.trades if (t.base, t.quote) == (base, quote)]
        quantity = cost = realised = Fraction(0)
        for change, paid in _steps(trades):
            quantity, cost, gained = _average_cost(quantity, cost, change, paid)
            realised += gained
        return quantity, cost, realised, _fees(trades)

    def first_in_first_out(
        self, bot: int, venue: str, base: str, quote: str
    ) -> tuple[Fraction, Fraction, Fraction]:
        """(quantity, cost of what is open, realised) of one bot's trades on one venue, exact.

        Every base unit bought is closed by the earliest unit sold that is not taken, and so on.
        """
        book = (bot, venue, base, quote)
        trades = [t for t in self.trades if (t.bot, t.venue, t.base, t.quote) == book]
        opened: list[tuple[Fraction, Fraction]] = []  # (signed quantity, price)
        realised = Fraction(0)
        for change, paid in _steps(trades):
            if not change:
                continue
            left, price = change, paid / change
            while left and opened and opened[0][0] * left < 0:
                quantity, cost = opened.pop(0)
                part = min(abs(quantity), abs(left))
                sign = 1 if quantity > 0 else -1
                realised += sign * part * (price - cost)
                left += sign * part
                if quantity - sign * part:
                    opened.insert(0, (quantity - sign * part, cost))
            if left:
                opened.append((left, price))
        return (
            sum((quantity for quantity, _ in opened), Fraction(0)),
            sum((quantity * price for quantity, price in opened), Fraction(0)),
            realised,
        )


def _steps(trades: list[Trade]) -> list[tuple[Fraction, Fraction]]:
    """(base bought, quote paid) of each trade; a fee in the base asset is a sale at its price."""
    steps = []
    for trade in trades:
        signed = Fraction(trade.quantity) if trade.bought else -Fraction(trade.quantity)
        steps.append((signed, signed * Fraction(trade.price)))
        if trade.fee_asset == trade.base:
            fee = Fraction(trade.fee)
            steps.append((-fee, -fee * Fraction(trade.price)))
    return steps


def _fees(trades: list[Trade]) -> Fraction:
    """What was paid in base and quote, in quote."""
    paid = Fraction(0)
    for trade in trades:
        if trade.fee_asset == trade.quote:
            paid += Fraction(trade.fee)
        elif trade.fee_asset == trade.base:
            paid += Fraction(trade.fee) * Fraction(trade.price)
    return paid


def _identity(trade: Trade) -> tuple[object, ...]:
    return trade.venue, trade.base, trade.quote, trade.bought, trade.trade_id


def _average_cost(
    quantity: Fraction, cost: Fraction, change: Fraction, paid: Fraction
) -> tuple[Fraction, Fraction, Fraction]:
    """The position after a trade, and what the trade realised."""
    if change == 0:
        return quantity, cost + paid, Fraction(0)
    closing = min(abs(change), abs(quantity)) if quantity * change < 0 else Fraction(0)
    if closing == 0:
        return quantity + change, cost + paid, Fraction(0)
    closed_cost = cost * closing / abs(quantity)
    closed_paid = paid * closing / abs(change)
    return (
        quantity + change,
        cost - closed_cost + paid - closed_paid,
        -closed_paid - closed_cost,
    )
