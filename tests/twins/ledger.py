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
        quantity = cost = realised = fees = Fraction(0)
        for trade in self.trades:
            if (trade.base, trade.quote) != (base, quote):
                continue
            signed = Fraction(trade.quantity) if trade.bought else -Fraction(trade.quantity)
            steps = [(signed, signed * Fraction(trade.price))]
            if trade.fee_asset == quote:
                fees += Fraction(trade.fee)
            elif trade.fee_asset == base:
                worth = Fraction(trade.fee) * Fraction(trade.price)
                steps.append((-Fraction(trade.fee), -worth))
                fees += worth
            for change, paid in steps:
                quantity, cost, gained = _average_cost(quantity, cost, change, paid)
                realised += gained
        return quantity, cost, realised, fees


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
