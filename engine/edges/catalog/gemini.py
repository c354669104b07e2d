"""Imports Crypto Chassis' daily CSV files: `market-depth` (best bid and ask a second) and `trade`.

Depth rows are `time_seconds,bid_price_bid_size,ask_price_ask_size` with `price_size` in a cell;
trades `time_seconds,price,size,is_buyer_maker`. Each depth row is one frame of a book of one level
a side. The exchange's times stand for receive times, which the files do not have.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.edges.catalog.layout import (
    BUY,
    NO_SIDE,
    SELL,
    Columns,
    Grid,
    ImportRefused,
    Int64s,
    Kind,
    columns,
)
from engine.edges.catalog.merging import Feed, Piece, merge
from engine.edges.catalog.sheet import Sheet, read_sheets, step
from engine.edges.catalog.writer import EventWriter
from engine.messages import BookState

DEPTH = ("time_seconds", "bid_price_bid_size", "ask_price_ask_size")
TRADES = ("time_seconds", "price", "size", "is_buyer_maker")
TAKERS = {"1": SELL, "0": BUY, "true": SELL, "false": BUY}
NS_PLACES = 9


def import_gemini(
    root: Path, paths: Sequence[Path], venue: str, symbol: str, grid: Grid | None = None
) -> int:
    """Store depth and trade files of one symbol; how many events.

    A file is told by `trade` or `market-depth` in its name. The grid, where none is named, is the
    coarsest decimal one that holds every price and size. Raises CatalogError and stores nothing.
    """
    depth = [path for path in paths if "market-depth" in path.name]
    trades = [path for path in paths if "trade" in path.name and path not in depth]
    strangers = [path for path in paths if path not in depth and path not in trades]
    if strangers or not paths:
        raise ImportRefused(
            f"{strangers[0] if strangers else 'no file'}: files named *market-depth* or *trade* are "
            "expected -- name those"
        )
    if not venue or not symbol:
        raise ImportRefused(f"{paths[0]}: does not say whose it is -- name --venue and --symbol")
    grid = grid or _grid(depth, trades)
    feeds = [
        Feed(Piece(0, events) for events in made(sorted(files), grid))
        for made, files in ((quote_events, depth), (trade_events, trades))
    ]
    with EventWriter(root, staged=True) as writer:
        for events, _ in merge(feeds):
            writer.add(venue, symbol, grid, events)
    return writer.rows


def _grid(depth: Sequence[Path], trades: Sequence[Path]) -> Grid:
    ticks = lots = 0
    for path in trades:
        for sheet in read_sheets(path, TRADES):
            ticks, lots = sheet.places("price", ticks), sheet.places("size", lots)
    for path in depth:
        for whole in read_sheets(path, DEPTH):
            sheet = _split(whole)
            for side in ("bid", "ask"):
                ticks = sheet.places(f"{side}_price", ticks)
                lots = sheet.places(f"{side}_size", lots)
    return Grid(step(ticks), step(lots))


def _split(sheet: Sheet) -> Sheet:
    """The cells `price_size` as two columns each."""
    parts: dict[str, pa.Array] = {"time_seconds": sheet.text("time_seconds")}
    for side in ("bid", "ask"):
        column = f"{side}_price_{side}_size"
        found = pc.extract_regex(sheet.text(column), r"^(?P<price>[^_]+)_(?P<size>[^_]+)$")
        if found.null_count:
            row = int(np.argmax(pc.is_null(found).to_numpy(zero_copy_only=False)))
            raise sheet.refuse(row, column, "price_size is expected: fetch the file again")
        parts[f"{side}_price"] = pc.struct_field(found, "price")
        parts[f"{side}_size"] = pc.struct_field(found, "size")
    return Sheet(sheet.path, sheet.line, pa.table(parts))


def _times(sheet: Sheet, before_ns: int, *, rising: bool) -> Int64s:
    times = sheet.decimals("time_seconds", NS_PLACES)
    steps = np.diff(times, prepend=before_ns)
    wrong = steps <= 0 if rising else steps < 0
    if wrong.any():
        mend = "it is not after the row above: sort the file by time"
        raise sheet.refuse(int(np.argmax(wrong)), "time_seconds", mend)
    return times


def trade_events(paths: Sequence[Path], grid: Grid) -> Iterator[Columns]:
    """The trades of files in order, each a frame of its own; raises ImportRefused."""
    last_ns = 0
    for path in paths:
        for sheet in read_sheets(path, TRADES):
            if not sheet.rows:
                continue
            times = _times(sheet, last_ns, rising=False)
            last_ns = int(times[-1])
            side = sheet.words("is_buyer_maker", TAKERS)
            ticks = sheet.steps("price", grid.tick_size)
            lots = sheet.steps("size", grid.lot_size)
            if (lots <= 0).any():
                mend = "a trade has a size above zero: fetch the file again"
                raise sheet.refuse(int(np.argmax(lots <= 0)), "size", mend)
            ones = np.ones(sheet.rows)
            yield columns(times, ones * Kind.TRADE, side, ticks, lots, ones)


def quote_events(paths: Sequence[Path], grid: Grid) -> Iterator[Columns]:
    """The best bids and asks of files in order, each row a frame; raises ImportRefused."""
    former: Int64s | None = None
    last_ns = 0
    for path in paths:
        for whole in read_sheets(path, DEPTH):
            sheet = _split(whole)
            if not sheet.rows:
                continue
            times = _times(sheet, last_ns, rising=True)
            last_ns = int(times[-1])
            prices = np.stack([sheet.steps(f"{s}_price", grid.tick_size) for s in ("bid", "ask")])
            sizes = np.stack([sheet.steps(f"{s}_size", grid.lot_size) for s in ("bid", "ask")])
            for number, side in enumerate(("bid", "ask")):
                if (sizes[number] <= 0).any():
                    row = int(np.argmax(sizes[number] <= 0))
                    raise sheet.refuse(row, f"{side}_size", "a size above zero is expected")
            if former is None:
                began = int(times[0])
                yield columns(
                    [began] * 2, [Kind.CLEAR, Kind.STATE], [NO_SIDE] * 2, [0, BookState.LIVE],
                    [0] * 2, [0] * 2,
                )  # fmt: skip
            yield _frames_of(times, prices, sizes, former)
            former = prices[:, -1]


def _frames_of(times: Int64s, prices: Int64s, sizes: Int64s, former: Int64s | None) -> Columns:
    """A frame a row: levels that the touch has left are removed, then both sides are set."""
    rows = len(times)
    before = np.concatenate([prices[:, :1] if former is None else former[:, None], prices[:, :-1]], 1)  # fmt: skip
    ticks = np.stack([before[0], before[1], prices[0], prices[1]], axis=1)
    none = np.zeros(rows, np.int64)
    lots = np.stack([none, none, sizes[0], sizes[1]], axis=1)
    worth = np.ones((rows, 4), bool)
    worth[:, :2] = (before != prices).T
    side = np.broadcast_to([BUY, SELL, BUY, SELL], (rows, 4))
    last = np.broadcast_to([0, 0, 0, 1], (rows, 4))
    kind = np.full((rows, 4), Kind.LEVEL)
    moments = np.broadcast_to(times[:, None], (rows, 4))
    return columns(*(part[worth] for part in (moments, kind, side, ticks, lots, last)))
