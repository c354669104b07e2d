"""What a venue has counted since the engine's start."""

import msgspec

from engine.messages import Reason
from engine.venues.handler import Check


class Counts(msgspec.Struct):
    """One number a thing that may happen on a venue's market data; see `VenueStatus`."""

    frames: int = 0
    gaps: int = 0
    checksums: int = 0
    checksums_failed: int = 0
    crossed: int = 0
    resyncs: int = 0
    malformed: int = 0
    unchecked: int = 0
    duplicates: int = 0
    off_grid: int = 0
    snapshots_old: int = 0
    switches: int = 0
    requests_failed: int = 0

    def checked(self, check: Check) -> None:
        """A book changed, with or without a checksum that was right."""
        if check is Check.VERIFIED:
            self.checksums += 1
        elif check is Check.MISSING:
            self.unchecked += 1

    def lost(self, reason: Reason) -> None:
        """A book was lost for a reason."""
        match reason:
            case Reason.SEQUENCE_GAP:
                self.gaps += 1
            case Reason.CHECKSUM:
                self.checksums_failed += 1
            case Reason.CROSSED:
                self.crossed += 1
            case Reason.OFF_GRID:
                self.off_grid += 1
            case Reason.SNAPSHOT_OLD:
                self.snapshots_old += 1
            case Reason.STALE_MARKET | Reason.NO_MARKET:
                pass  # nothing was wrong with a frame; the resync is counted
            case _:
                self.malformed += 1
