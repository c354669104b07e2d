"""The runtime's sizes and times, and how safely its journal is written: the table `[engine]`."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The runtime's sizes and times.

    `fsync` says when the disk has what the journal holds: before anything leaves (`always`), every
    `fsync_interval_ms` (`interval`), or when the kernel sees fit (`os`). All three survive the death of
    any process; only the first survives that of the machine without a gap. Of `journals_kept` segments
    older than the `segments_kept` the journal alone is kept, for a store that is behind or rebuilt.
    """

    heartbeat_ms: Annotated[int, Meta(ge=20, le=10_000)] = 250
    missed_heartbeats: Annotated[int, Meta(ge=2, le=100)] = 3
    segment_bytes: Annotated[int, Meta(ge=65_536, le=1 << 30)] = 4 * 1024 * 1024
    segments_kept: Annotated[int, Meta(ge=2, le=100_000)] = 64
    batch_max: Annotated[int, Meta(ge=1, le=100_000)] = 256
    outbox_max: Annotated[int, Meta(ge=16, le=10_000_000)] = 4096
    spin_us: Annotated[int, Meta(ge=0, le=10_000)] = 0
    fsync: Literal["always", "interval", "os"] = "os"
    fsync_interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    journals_kept: Annotated[int, Meta(ge=0, le=1_000_000)] = 1024
