"""Journal records folded into what they leave behind: see the kernel."""

from typing import Final

from typing_extensions import Buffer

class Fold:
    """What a journal's records leave behind. `level` is the risk level, 0 while none was told."""

    level: Final[int]
    fills: Final[int]
    records: Final[int]
    def take(self, data: Buffer, at: int) -> tuple[int, int]:
        """Fold all records from `at` on; where they stop and why (`ext.framing`'s END or DAMAGED).

        Raises ValueError with the place of a whole record that is no message.
        """
    def orders(self) -> dict[str, tuple[int, int, int, int, int, int, int, int]]:
        """By client order id: (bot, venue, instrument, side, ticks, lots, filled, state)."""
    def moved(self) -> dict[int, tuple[int, int]]:
        """By instrument: (lots bought, lots sold), each trade of a venue once."""
    def balances(self) -> dict[tuple[int, str], int]:
        """By (venue, asset): units held."""
    def positions(self) -> dict[tuple[str, str], tuple[int, int, int, int]]:
        """By (base, quote): (quantity, cost, realised, fees) in units."""
