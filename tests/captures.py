"""Holds an engine's books against the independent rebuild, frame by frame."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from engine.books import TrackedBook
from engine.config import Config, instruments_of, parse
from engine.edges.replaying import capture_config
from engine.instruments import Instrument
from engine.messages import AnyMessage, BookTop, Frame
from ext.book import ASK, BID
from tests.twins.rebuild import REBUILDS, Rebuild


def config_of(path: Path) -> Config:
    """The configuration that `orchestrator replay` makes of a capture."""
    return parse(capture_config(path, 0.0), str(path))


def hold_tops(
    config: Config, steps: Iterable[tuple[AnyMessage, list[AnyMessage]]]
) -> tuple[int, Rebuild]:
    """After every frame the engine's top is the rebuild's; frames compared, and the rebuild."""
    rebuild = REBUILDS[config.venues[0].protocol]()
    instruments = instruments_of(config)
    numbers = {entry.native: number for number, entry in enumerate(config.instruments)}
    tops: dict[int, BookTop] = {}
    compared = 0
    for message, outputs in steps:
        if not isinstance(message, Frame):
            continue
        tops.update({o.instrument: o for o in outputs if isinstance(o, BookTop)})
        for symbol in rebuild.frame(message.payload, message.about if message.kind == 1 else ""):
            number = numbers[symbol]
            top, instrument = tops[number], instruments[number]
            found = (
                instrument.ticks_to_price(top.bid_ticks),
                instrument.lots_to_quantity(top.bid_lots),
                instrument.ticks_to_price(top.ask_ticks),
                instrument.lots_to_quantity(top.ask_lots),
            )
            assert tuple(map(Decimal, found)) == rebuild.top(symbol), f"{compared} of {symbol}"
            compared += 1
    return compared, rebuild


def hold_books(
    config: Config, books: Mapping[int, TrackedBook], rebuild: Rebuild, depth: int | None = None
) -> int:
    """Each LIVE book is the rebuild's, level by level down to a depth; how many levels."""
    levels = 0
    for number, entry in enumerate(config.instruments):
        tracked = books[number]
        if tracked.live:
            found = [_decimal(tracked.instrument, tracked.book.levels(side)) for side in (BID, ASK)]
            told = rebuild.sides(entry.native)
            for ours, theirs in zip(found, told, strict=True):
                assert ours[:depth] == theirs[:depth], entry.native
                levels += len(ours)
    return levels


def _decimal(
    instrument: Instrument, levels: list[tuple[int, int]]
) -> list[tuple[Decimal, Decimal]]:
    return [
        (Decimal(instrument.ticks_to_price(ticks)), Decimal(instrument.lots_to_quantity(lots)))
        for ticks, lots in levels
    ]
