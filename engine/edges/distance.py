"""The latency that a configuration names, for one venue; a recorded one is read from its capture here."""

import re
from pathlib import Path

from engine.config import Config, ConfigError
from engine.edges.capture import frames_of
from engine.exchange.latency import (
    Constant,
    Jitter,
    Jittered,
    LatencyModel,
    Near,
    Recorded,
    feed_latencies,
)
from engine.latency_config import ConstantConfig, JitterConfig, JitteredConfig, RecordedConfig

MS = 1_000_000
EVENT_MS = re.compile(rb'"(?:E|ts)":"?(\d{13})\b')
"""How exchanges write when what a frame tells happened: Binance and Gate, Bybit and OKX."""


def make_latency(config: Config, venue: str, begin_ns: int) -> LatencyModel:
    """A venue's latency; a recorded one begins when the exchange does. Raises ConfigError."""
    settings = config.exchange.latency
    if isinstance(settings, ConstantConfig):
        return Constant(_ns(settings.there_ms), _ns(settings.back_ms), _ns(settings.feed_ms))
    if isinstance(settings, JitteredConfig):
        ways = (settings.there, settings.back, settings.feed)
        return Jittered(f"latency/{config.seed}/{venue}", *map(_jitter, ways))
    if isinstance(settings, RecordedConfig):
        return _recorded(settings, begin_ns)
    return Near(_ns(config.exchange.latency_ms), config.seed, venue)


def _ns(ms: float) -> int:
    return int(ms * MS)


def _jitter(way: JitterConfig) -> Jitter:
    return Jitter(
        _ns(way.median_ms),
        way.sigma,
        way.tail_share,
        _ns(way.tail_ms),
        way.tail_alpha,
        _ns(way.cap_ms),
    )


def _recorded(settings: RecordedConfig, begin_ns: int) -> Recorded:
    try:
        pairs = [
            (frame.at_ns, int(found[1]) * MS)
            for frame in frames_of(Path(settings.path), "")
            if (found := EVENT_MS.search(frame.payload))
        ]
    except (OSError, ValueError) as error:
        raise ConfigError(f"exchange.latency.path: {error}") from error
    if not pairs:
        raise ConfigError(
            f"exchange.latency.path: no frame of {settings.path} tells when its event was"
        )
    series = feed_latencies(pairs, _ns(settings.floor_ms), there=settings.there, back=settings.back)
    shift_ns = begin_ns - series[0].time_ns
    return Recorded([point._replace(time_ns=point.time_ns + shift_ns) for point in series])
