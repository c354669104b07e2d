"""A venue's clock as we know it: its distance from ours, how sure that is, and whether it jumped.

A venue that says what time it is does so between our asking and its answer's arrival, so its distance is
known to half of that. Of the last measurements the surest counts.
"""

import msgspec

SAMPLES = 8
UNMEASURED_NS = 1_000_000_000
JUMP_NS = 20_000_000
ROUND_TRIP_MAX_NS = 10_000_000_000


class VenueClock(msgspec.Struct):
    """See the module; the whole of it is its state. Samples are [ahead of ours, unsure by], in ns."""

    offset_ns: int = 0
    error_ns: int = UNMEASURED_NS
    jumps: int = 0
    samples: list[tuple[int, int]] = []

    def measured(self, asked_ns: int, answered_ns: int, venue_ns: int) -> None:
        """The venue's time, somewhere between two moments of our clock."""
        trip_ns = answered_ns - asked_ns
        if not 0 <= trip_ns <= ROUND_TRIP_MAX_NS:
            return  # our own clock was set meanwhile, or the answer says next to nothing
        error_ns = trip_ns // 2 + 1
        offset_ns = venue_ns - asked_ns - trip_ns // 2
        if self.samples and abs(offset_ns - self.offset_ns) > error_ns + self.error_ns + JUMP_NS:
            self.jumps += 1
            self.samples.clear()
        self.samples.append((offset_ns, error_ns))
        if len(self.samples) > SAMPLES:
            del self.samples[0]
        self.offset_ns, self.error_ns = min(reversed(self.samples), key=lambda sample: sample[1])

    def at(self, now_ns: int) -> int:
        """The venue's time at a moment of ours, as well as it is known."""
        return now_ns + self.offset_ns

    def earliest(self, now_ns: int) -> int:
        """The least that the venue's clock can show at a moment of ours."""
        return now_ns + self.offset_ns - self.error_ns
