"""One account's balances in asset units: total and locked, never negative."""


class InsufficientBalance(ValueError):
    """The account does not hold what an order needs."""


class Account:
    """Totals and locks by asset."""

    def __init__(self, balances: dict[str, int]) -> None:
        self.totals = dict(balances)
        self._locked: dict[str, int] = {}

    def available(self, asset: str) -> int:
        """What is not locked."""
        return self.totals.get(asset, 0) - self._locked.get(asset, 0)

    def require(self, asset: str, units: int) -> None:
        """Raise InsufficientBalance when less than `units` is available."""
        if self.available(asset) < units:
            raise InsufficientBalance(f"{units} {asset} needed, {self.available(asset)} available")

    def lock(self, asset: str, units: int) -> None:
        """Set aside; raises InsufficientBalance."""
        self.require(asset, units)
        self._locked[asset] = self._locked.get(asset, 0) + units

    def unlock(self, asset: str, units: int) -> None:
        """Give back what was set aside."""
        self._locked[asset] -= units

    def move(self, asset: str, units: int) -> None:
        """Add (or with a negative number take) units."""
        self.totals[asset] = self.totals.get(asset, 0) + units
