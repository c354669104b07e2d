"""Recordings as markets of the exchange: from a replayed venue's configuration to an exchange that plays it."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from engine.assembly import make_watcher
from engine.backtest.followed import followed_books
from engine.backtest.played import PlayedExchange, Timeline
from engine.config import Config, VenueConfig, instruments_of
from engine.edges.capture import CapturedFrame, frames_of, opened
from engine.venues.simulated import PUBLIC


def market_frames(venue: VenueConfig) -> Iterator[CapturedFrame]:
    """A replayed venue's frames, as far as they tell of its market.

    What a tape says of the account that traded then is left out.
    """
    frames = frames_of(Path(venue.path), venue.name)
    if venue.protocol == "simulated":
        return (frame for frame in frames if frame.payload.startswith(PUBLIC))
    return frames


def make_played(config: Config, place: int, begin_ns: int, *, shifted: bool) -> PlayedExchange:
    """The exchange of a replayed venue. Raises what a file that is no recording raises.

    Where it is `shifted`, the recording begins with the exchange, and goes at the venue's speed; else
    everything happens at its recorded time.
    """
    venue, settings = config.venues[place], config.exchange
    instruments = instruments_of(config)
    frames = market_frames(venue)
    timeline = Timeline(begin_ns, begin_ns)
    first = next(frames, None) if shifted else None
    if first is not None:
        timeline = Timeline(first.at_ns, begin_ns, venue.speed)
        frames = chain((first,), frames)
    return PlayedExchange(
        venue.name,
        instruments.of_venue(place),
        make_watcher(config, place, instruments),
        opened(frames),
        timeline,
        followed_books(
            instruments.of_venue(place),
            settings.queue_model,
            settings.queue_power,
            timeline.speed,
        ),
    )
