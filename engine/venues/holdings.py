"""What is ours at a venue: the instruments by the venue's names, the assets and their decimals.

Orders may be off our grid where they are not ours; a fill never is, or our grid is wrong.
"""

from collections.abc import Mapping, Sequence

from engine.instruments import FOREIGN_DECIMALS, Instrument
from engine.units import Round, UnitError, parse_decimal


class Holdings:
    """Instruments by native name and assets of one venue. `decimals` are of all assets known."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        natives: Mapping[int, str],
        decimals: Mapping[str, int],
    ) -> None:
        self.natives = {i.id: natives[i.id] for i in instruments}
        self.by_native = {natives[i.id]: i for i in instruments}
        self.by_id = {i.id: i for i in instruments}
        self.assets: dict[str, int] = {}
        for instrument in instruments:
            self.assets[instrument.base] = instrument.base_decimals
            self.assets[instrument.quote] = instrument.quote_decimals
        self._decimals = {**decimals, **self.assets}

    def fee(self, amount: str, asset: str) -> int:
        """A fee in units of its asset, rounded up to the unit."""
        return parse_decimal(amount, self._decimals.get(asset, FOREIGN_DECIMALS), Round.UP)

    def held(self, asset: str, amount: str) -> int:
        """What is held of one of our assets, in units, rounded down."""
        return parse_decimal(amount, self.assets[asset], Round.DOWN)


def ticks_seen(instrument: Instrument, price: str) -> int:
    """The price of an order that may not be ours; 0 where it is none, such as '+2%'."""
    try:
        return instrument.price_to_ticks(price, Round.DOWN)
    except UnitError:
        return 0


def lots_seen(instrument: Instrument, quantity: str) -> int:
    """The quantity of such an order."""
    return instrument.quantity_to_lots(quantity, Round.DOWN)
