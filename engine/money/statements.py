"""What venues say that accounts hold, and where that differs from ours: the drifts."""

from collections.abc import Iterable, Mapping

import msgspec


class StatementsState(msgspec.Struct):
    """The whole state, for a snapshot: units by venue and asset.

    `fills` counts those that moved an account since its venue's word agreed with it.
    """

    seen: dict[int, dict[str, int]] = {}
    settled: dict[int, dict[str, None]] = {}
    drifts: dict[int, dict[str, int]] = {}
    fills: dict[int, dict[str, int]] = {}


class Statements:
    """The last word on each account. A drift is what the venue has more than we: negative is less.

    `rounding` is by asset how many units a venue may round at each fill.
    """

    def __init__(self, rounding: Mapping[str, int]) -> None:
        self._rounding = rounding
        self.state = StatementsState()

    def opens(self, venue: int, asset: str, total: int, settled: bool) -> bool:
        """Keep a venue's word on an asset; whether it opens the account.

        The first word does, and the first settled one does again: of an earlier one it is not known
        which of the fills told around it are in it.
        """
        seen = self.state.seen.setdefault(venue, {})
        opening = asset not in seen
        seen[asset] = total
        if settled:
            known = self.state.settled.setdefault(venue, {})
            opening = opening or asset not in known
            known[asset] = None
        return opening

    def filled(self, venue: int, assets: Iterable[str]) -> None:
        """A fill moved these accounts."""
        for asset in assets:
            if asset in self._rounding:
                fills = self.state.fills.setdefault(venue, {})
                fills[asset] = fills.get(asset, 0) + 1

    def is_rounding(self, venue: int, asset: str, difference: int) -> bool:
        """Whether a settled word differs by no more than its fills may have been rounded.

        From where it agrees, or does so, fills are counted anew.
        """
        fills = self.state.fills.get(venue, {})
        if abs(difference) > self._rounding.get(asset, 0) * fills.get(asset, 0):
            return False
        fills.pop(asset, None)
        return difference != 0

    def drift(self, venue: int, asset: str) -> int:
        """The drift of an account, in units; 0 where there is none."""
        return self.state.drifts.get(venue, {}).get(asset, 0)

    def set_drift(self, venue: int, asset: str, drift: int) -> bool:
        """Keep an account's drift; whether it is another than before."""
        if drift == self.drift(venue, asset):
            return False
        drifts = self.state.drifts.setdefault(venue, {})
        drifts[asset] = drift
        if not drift:
            del drifts[asset]
        return True
