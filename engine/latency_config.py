"""How far away the simulated exchange is, in a configuration: a model, and the fields that it needs."""

from typing import Annotated

import msgspec
from msgspec import Meta

Ms = Annotated[float, Meta(ge=0, le=600_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Multiple = Annotated[float, Meta(ge=0, le=1000)]


class NearConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="near"
):
    """`exchange.latency_ms` there and up to a quarter more; everything else is there at once."""


class ConstantConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="constant"
):
    """The same for ever: an order there, its answer back, the market's news."""

    there_ms: Ms
    back_ms: Ms
    feed_ms: Ms


class JitterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way by chance: log-normal around `median_ms`; `tail_share` of it a Pareto from `tail_ms` on.

    `sigma` is of the logarithm; the smaller `tail_alpha`, the heavier the tail; none is above `cap_ms`.
    """

    median_ms: Ms
    sigma: Annotated[float, Meta(ge=0, le=10)]
    tail_share: Share = 0.0
    tail_ms: Ms = 0.0
    tail_alpha: Annotated[float, Meta(ge=0.1, le=1000)] = 1.5
    cap_ms: Ms = 60_000.0


class JitteredConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="jittered"
):
    """Each way by its own chance, from the configuration's seed and the venue's name."""

    there: JitterConfig
    back: JitterConfig
    feed: JitterConfig


class RecordedConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="model", tag="recorded"
):
    """As a capture's feed was, from its first moment on; orders take so many times the feed's.

    `floor_ms` is what the quickest frame is taken to have needed: two clocks cannot tell.
    """

    path: Annotated[str, Meta(min_length=1)]
    floor_ms: Ms = 0.0
    there: Multiple = 1.0
    back: Multiple = 1.0


LatencyConfig = NearConfig | ConstantConfig | JitteredConfig | RecordedConfig
