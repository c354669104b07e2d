"""What a position cost and what closing it made: by average cost, and first in first out.

Quantities are base units and money quote units, both signed; a short has a negative quantity and a
negative cost (what was got for it). Integer division rounds down, and what it leaves stays in the
cost: `realised - cost` moves by exactly what was paid or got, so no quote is ever lost or made.
"""

import msgspec

LOTS_MAX = 1000
"""Open lots of one book; beyond, its two oldest become one at their joint cost."""


class Position(msgspec.Struct):
    """Base units held, what they cost in quote units, and what was made and paid in quote units."""

    quantity: int = 0
    cost: int = 0
    realised: int = 0
    fees: int = 0

    def trade(self, quantity: int, value: int) -> None:
        """Buy (`quantity` > 0) or sell for `value` quote units, by average cost."""
        signed = value if quantity > 0 else -value
        if self.quantity * quantity >= 0:
            self.quantity += quantity
            self.cost += signed
            return
        closing = min(abs(quantity), abs(self.quantity))
        closed_cost = self.cost * closing // abs(self.quantity)
        closed_value = signed * closing // abs(quantity)
        self.realised -= closed_value + closed_cost
        self.cost += signed - closed_value - closed_cost
        self.quantity += quantity


class Lot(msgspec.Struct):
    """Units bought or sold together and not closed yet, and what they cost."""

    quantity: int
    cost: int


class Lots(msgspec.Struct):
    """A position as the lots it was made of, the oldest first.

    `merged` counts lots that were joined with the next for want of room: from then on what closes
    them is worked out at their joint cost.
    """

    open: list[Lot] = []
    realised: int = 0
    merged: int = 0

    @property
    def quantity(self) -> int:
        """Base units held."""
        return sum(lot.quantity for lot in self.open)

    @property
    def cost(self) -> int:
        """What the open lots cost."""
        return sum(lot.cost for lot in self.open)

    def trade(self, quantity: int, value: int) -> None:
        """Buy (`quantity` > 0) or sell for `value` quote units; closes the oldest lots first."""
        left, signed = quantity, value if quantity > 0 else -value
        closed = 0
        for lot in self.open:
            if lot.quantity * left >= 0:
                break
            part = min(abs(left), abs(lot.quantity))
            cost = lot.cost * part // abs(lot.quantity)
            paid = signed * part // abs(left)
            self.realised -= paid + cost
            lot.cost -= cost
            signed -= paid
            if lot.quantity > 0:
                lot.quantity -= part
                left += part
            else:
                lot.quantity += part
                left -= part
            if lot.quantity:
                break
            closed += 1
        del self.open[:closed]
        if left:
            self._add(left, signed)

    def _add(self, quantity: int, cost: int) -> None:
        """A new lot, or so much more of the newest where the price is the same."""
        last = self.open[-1] if self.open else None
        if last is not None and last.cost * quantity == cost * last.quantity:
            last.quantity += quantity
            last.cost += cost
            return
        self.open.append(Lot(quantity, cost))
        if len(self.open) > LOTS_MAX:
            oldest, second = self.open[:2]
            second.quantity += oldest.quantity
            second.cost += oldest.cost
            del self.open[0]
            self.merged += 1


class Book(msgspec.Struct):
    """One bot's trading on one venue in one pair: the same trades under both methods.

    `fees` are those in base and quote, `fees_other` those in third assets, both in quote units.
    """

    average: Position
    lots: Lots
    fees_other: int = 0

    def trade(self, quantity: int, value: int) -> None:
        """Buy or sell under both methods."""
        self.average.trade(quantity, value)
        self.lots.trade(quantity, value)
