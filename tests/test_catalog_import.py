"""Importers: real recordings come in whole and right; a wrong file is named by line, column and value."""

import csv
import gzip
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.edges.catalog.bars import bar_series, read_bars
from engine.edges.catalog.gemini import import_gemini
from engine.edges.catalog.layout import CatalogError, Columns, Grid, ImportRefused, Kind
from engine.edges.catalog.lobster import import_lobster
from engine.edges.catalog.ohlcv import import_ohlcv
from engine.edges.catalog.reader import stream
from engine.edges.catalog.tardis import import_tardis
from engine.edges.catalog.verify import verify
from engine.messages import BookState
from ext.book import ASK, BID, Book

BOOK_HEAD = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
TRADE_HEAD = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
US = 1_723_075_200_000_000


def rows_of(events: Columns) -> list[tuple[int, ...]]:
    """Columns as rows."""
    return list(zip(*(column.tolist() for column in events), strict=True))


def stored(root: Path, **asked: object) -> list[tuple[int, ...]]:
    """All rows of a catalog."""
    return [row for batch in stream(root, **asked) for row in rows_of(batch.events)]  # type: ignore[arg-type]


def unzipped(path: Path) -> list[list[str]]:
    """A gzipped CSV file's rows, read by the standard library."""
    with gzip.open(path, "rt", newline="") as lines:
        return list(csv.reader(lines))


def lobster_pair(recorded: Path) -> tuple[Path, Path]:
    """The message and the book file."""
    folder = recorded / "lobster"
    return next(folder.glob("*_message_*")), next(folder.glob("*_orderbook_*"))


def apply_event(book: Book, event: tuple[int, ...]) -> None:
    """What an event does to a book."""
    _, kind, side, ticks, lots, _ = event
    if kind == Kind.CLEAR:
        book.clear()
    elif kind == Kind.LEVEL:
        book.change(side, ticks, lots)
    elif kind == Kind.TRUNCATE:
        book.truncate(ticks)


def test_lobster_rebuilds_every_row_of_the_book_file(recorded: Path, tmp_path: Path) -> None:
    """After each message the book made of the events is the file's own row, all 999 times."""
    messages, books = lobster_pair(recorded)
    assert import_lobster(tmp_path, messages, books) == 1_764
    assert verify(tmp_path).findings == ()
    frames: list[list[tuple[int, ...]]] = [[]]
    for event in stored(tmp_path):
        frames[-1].append(event)
        if event[5]:
            frames.append([])
    assert frames.pop() == []
    book, compared, trades, former = Book(), 0, 0, None
    for message, row in zip(unzipped(messages), unzipped(books), strict=True):
        numbers = list(map(int, row))
        asks = list(zip(numbers[0::4], numbers[1::4], strict=True))
        bids = list(zip(numbers[2::4], numbers[3::4], strict=True))
        if row != former or message[1] in {"4", "5"}:
            for event in frames.pop(0):
                apply_event(book, event)
                trades += event[1] == Kind.TRADE
        assert (book.levels(BID), book.levels(ASK)) == (bids, asks)
        compared, former = compared + 1, row
    assert (compared, trades, frames) == (
        999,
        98 + 61,
        [],
    )  # executions of seen and of hidden orders


def test_lobster_times_are_new_yorks(recorded: Path, tmp_path: Path) -> None:
    """34200.004241176 s after midnight of 2012-06-21 in New York is 13:30 UTC, to the ns."""
    import_lobster(tmp_path, *lobster_pair(recorded))
    assert stored(tmp_path)[0][0] == 1_340_285_400_004_241_176


def changed(lines: list[list[str]], row: int, column: int, value: str) -> str:
    """CSV text with one cell changed."""
    held = [list(line) for line in lines]
    held[row][column] = value
    return "\n".join(",".join(line) for line in held)


@pytest.mark.parametrize(
    ("file", "row", "column", "value", "says"),
    [
        (0, 99, 4, "58x", "line 100, column price, value '58x' -- a decimal number"),
        (0, 99, 1, "12", "line 100, column type, value '12' -- a type from 1 to 7"),
        (0, 99, 5, "0", "line 100, column direction, value '0' -- 1 or -1"),
        (0, 99, 0, "1.5", "line 100, column time, value '1.5' -- it is before"),
        (0, 98, 3, "77777", "line 99, column price, value '.*' -- the book of line 99 does not"),
        (1, 99, 1, "77777", "line 100, column price, value '.*' -- the book of line 100 does not"),
        (1, 99, 1, "", "line 100, column ask_size_1, value ''"),
    ],
)
def test_lobster_refuses_a_wrong_cell(
    recorded: Path, tmp_path: Path, file: int, row: int, column: int, value: str, says: str
) -> None:
    """File, line, column, value and mend; nothing is stored."""
    pair = []
    for number, path in enumerate(lobster_pair(recorded)):
        lines = unzipped(path)
        text = (
            changed(lines, row, column, value)
            if number == file
            else changed(lines, 0, 0, lines[0][0])
        )
        pair.append(tmp_path / path.name.removesuffix(".gz"))
        pair[-1].write_text(text)
    root = tmp_path / "catalog"
    with pytest.raises(ImportRefused, match=says):
        import_lobster(root, *pair)
    assert not root.exists()


def test_gemini_days_come_in_whole(recorded: Path, tmp_path: Path) -> None:
    """Two days: every trade and every quote, exactly; the counts are those of the lines."""
    files = sorted((recorded / "ccapi").glob("*.csv.gz"))
    import_gemini(tmp_path, files, "gemini", "ETH/USD")
    assert verify(tmp_path).findings == ()
    events = stored(tmp_path)
    for day, trades, quotes in (("2021-07-01", 25_222, 72_180), ("2021-07-02", 16_394, 74_361)):
        start_ns = int(np.datetime64(day, "ns").astype(int))
        own = [event for event in events if 0 <= event[0] - start_ns < 86_400 * 10**9]
        assert sum(event[1] == Kind.TRADE for event in own) == trades
        assert sum(event[1] != Kind.TRADE and event[5] for event in own) == quotes
    grid = next(stream(tmp_path)).sources[0].grid
    tick, lot = Decimal(grid.tick_size), Decimal(grid.lot_size)
    made = [event for event in events if event[1] == Kind.TRADE]
    told = [row for path in files if "trade" in path.name for row in unzipped(path)[1:]]
    for event, (at, price, size, is_buyer_maker) in zip(made, told, strict=True):
        assert event[0] == int(Decimal(at) * 10**9)
        assert (event[3] * tick, event[4] * lot) == (Decimal(price), Decimal(size))
        assert event[2] == (-1 if is_buyer_maker == "1" else 1)
    book, frame = Book(), 0
    quotes_told = [row for path in files if "depth" in path.name for row in unzipped(path)[1:]]
    for event in (event for event in events if event[1] != Kind.TRADE):
        apply_event(book, event)
        if event[5]:
            _, bid, ask = quotes_told[frame]
            top = [
                book.bid_ticks * tick,
                book.bid_lots * lot,
                book.ask_ticks * tick,
                book.ask_lots * lot,
            ]
            assert top == [Decimal(part) for part in [*bid.split("_"), *ask.split("_")]]
            assert (book.bid_count, book.ask_count) == (1, 1)
            frame += 1
    assert frame == len(quotes_told)


IAQF_ROWS = {
    "binance_btcusdc": 30_240, "binance_btcusdt": 30_240, "binance_usdcusdt": 30_240,
    "coinbase_btcusd": 29_950, "coinbase_btcusdt": 24_478, "coinbase_usdtusd": 29_927,
    "kraken_btcusd": 30_179, "kraken_btcusdc": 15_719, "kraken_btcusdt": 20_442,
    "kraken_usdcusd": 20_934, "kraken_usdtusd": 29_959,
}  # fmt: skip


def test_candles_of_the_de_peg_come_in_whole(recorded: Path, tmp_path: Path) -> None:
    """Eleven series by the minute: the counts of the files, and every close as it is there."""
    for name, rows in IAQF_ROWS.items():
        venue, symbol = name.split("_")
        path = recorded / "iaqf" / f"{name}.parquet"
        assert import_ohlcv(tmp_path, path, venue, symbol, "1m") == rows
        assert import_ohlcv(tmp_path, path, venue, symbol, "1m") == 0
        closes = np.concatenate([bars.close for bars in read_bars(tmp_path, venue, symbol, "1m")])
        assert np.array_equal(closes, pq.read_table(path)["close"].to_numpy())
    assert verify(tmp_path).findings == ()


def test_closes_of_many_coins_come_in_whole(recorded: Path, tmp_path: Path) -> None:
    """82 coins by the hour without a gap; nine by the day, as long as each of them exists."""
    folder = recorded / "pob"
    path = next(folder.glob("*hourly*"))
    assert import_ohlcv(tmp_path, path, "pob", "", "1h") == 82 * 3_862
    path = next(folder.glob("*daily*"))
    cells = [cell for row in unzipped(path)[1:] for cell in row[1:] if cell]
    assert import_ohlcv(tmp_path, path, "pob", "", "1d") == len(cells)
    assert len([found for found in bar_series(tmp_path) if found.interval == "1h"]) == 82


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date,close\n2021-01-01,1\n2021-01-02,x\n", "line 3, column close, value 'x' -- a number"),
        ("date,close\nsoon,1\n", "line 2, column date, value 'soon' -- a time is expected"),
        ("date,close\n2021-01-01,1\n2021-01-01,2\n", "line 3, column date, .* there already"),
        ("date,close\n2021-01-01,-1\n", "line 2, column close, value '-1' -- a number not below"),
        ("date,high,low,close\n2021-01-01,1,2,1\n", "line 2, column high, value .* -- open, high"),
        ("date,close\n2021-01-01T05:00,1\n", "opens no candle of 1d"),
        ("close\n1\n", "no column of times"),
        ("date,close\n2021-01-01,1,5\n", "cannot be read as candles"),
    ],
)
def test_wrong_candles_are_refused(tmp_path: Path, text: str, says: str) -> None:
    """A wrong file of candles leaves nothing behind."""
    path = tmp_path / "candles.csv"
    path.write_text(text)
    with pytest.raises(CatalogError, match=says):
        import_ohlcv(tmp_path / "catalog", path, "a", "B/C", "1d")
    assert not (tmp_path / "catalog").exists()


def test_candles_are_not_contradicted(tmp_path: Path) -> None:
    """A candle that is stored stays: other numbers for it are an error that names the file."""
    path = tmp_path / "candles.csv"
    path.write_text("date,close\n2021-01-01,1\n")
    assert import_ohlcv(tmp_path, path, "a", "B/C", "1d") == 1
    path.write_text("date,close\n2021-01-01,2\n2021-01-02,2\n")
    with pytest.raises(CatalogError, match=r"2021-01.parquet: the close of 2021-01-01.* is 1.0"):
        import_ohlcv(tmp_path, path, "a", "B/C", "1d")


def tardis_book(*rows: tuple[int, str, str, str, str]) -> str:
    """A book file of (microseconds, is_snapshot, side, price, amount)."""
    return BOOK_HEAD + "".join(
        f"okx,BTC-USDT,{US},{US + us},{snapshot},{side},{price},{amount}\n"
        for us, snapshot, side, price, amount in rows
    )


BOOK_ROWS = (
    (0, "true", "bid", "99.5", "1"),
    (0, "true", "ask", "100.25", "2.50"),
    (7, "false", "ask", "100.25", "0"),
    (7, "false", "ask", "101", "0.001"),
    (9, "true", "bid", "50", "1"),
    (9, "true", "ask", "51", "1"),
)
TRADES = TRADE_HEAD + "".join(
    f"okx,BTC-USDT,{US},{US + us},{us},{side},{price},{amount}\n"
    for us, side, price, amount in (
        (0, "buy", "100.25", "1"), (5, "sell", "99.5", "0.5"), (9, "unknown", "60", "1e-3"),
    )
)  # fmt: skip


def tardis_files(folder: Path, book: str, trades: str) -> list[Path]:
    """A book file, gzipped, and one of trades."""
    folder.mkdir(exist_ok=True)
    (folder / "trades.csv").write_text(trades)
    with gzip.open(folder / "book.csv.gz", "wt") as file:
        file.write(book)
    return [folder / "trades.csv", folder / "book.csv.gz"]


def test_tardis_books_and_trades_become_one_series(tmp_path: Path) -> None:
    """Snapshots begin the book anew and make it LIVE; the grid is that of the decimals."""
    files = tardis_files(tmp_path / "in", tardis_book(*BOOK_ROWS), TRADES)
    root = tmp_path / "catalog"
    assert import_tardis(root, files) == 13
    (source,) = next(stream(root)).sources
    assert source == ("okx", "BTC-USDT", Grid("0.01", "0.001"))
    told = [((ts - US * 1_000) // 1_000, *rest) for ts, *rest in stored(root)]
    assert told == [
        (0, Kind.CLEAR, 0, 0, 0, 0),
        (0, Kind.LEVEL, 1, 9_950, 1_000, 0),
        (0, Kind.LEVEL, -1, 10_025, 2_500, 0),
        (0, Kind.STATE, 0, BookState.LIVE, 0, 1),
        (0, Kind.TRADE, 1, 10_025, 1_000, 1),
        (5, Kind.TRADE, -1, 9_950, 500, 1),
        (7, Kind.LEVEL, -1, 10_025, 0, 0),
        (7, Kind.LEVEL, -1, 10_100, 1, 1),
        (9, Kind.CLEAR, 0, 0, 0, 0),
        (9, Kind.LEVEL, 1, 5_000, 1_000, 0),
        (9, Kind.LEVEL, -1, 5_100, 1_000, 0),
        (9, Kind.STATE, 0, BookState.LIVE, 0, 1),
        (9, Kind.TRADE, 0, 6_000, 1, 1),
    ]
    assert verify(root).findings == ()


def test_tardis_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the block size, frames and snapshots that lie across blocks come out the same."""
    rows = [
        (
            us // 7,
            "true" if us // 30 % 4 == 0 else "false",
            "bid",
            f"{us % 13 + 1}",
            f"{us % 3 + 1}",
        )
        for us in range(600)
    ]
    files = tardis_files(tmp_path / "in", tardis_book(*rows), TRADES)
    import_tardis(tmp_path / "whole", files)
    monkeypatch.setattr("engine.edges.catalog.sheet.BLOCK_BYTES", 700)
    import_tardis(tmp_path / "blocks", files)
    assert stored(tmp_path / "blocks") == stored(tmp_path / "whole")
    assert sum(row[1] == Kind.STATE for row in stored(tmp_path / "whole")) == 5


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("99.5,1\n", "abc,1\n", "line 2, column price, value 'abc' -- a decimal number"),
        ("100.25,0\n", "100.25,-1\n", "line 4, column amount, value '-1' -- an amount is not"),
        ("false,ask,101", "false,sell,101", "line 5, column side, value 'sell' -- one of bid, ask"),
        ("true,bid,50", "yes,bid,50", "line 6, column is_snapshot, value 'yes' -- one of true"),
        (f"{US + 9},true,bid", f"{US + 1},true,bid", "line 6, column local_timestamp, .* before"),
        ("okx,BTC-USDT", "okx,ETH-USDT", "column symbol, value 'ETH-USDT' -- the import began"),
        ("0.001\n", "0.001,7\n", "line 5: 9 cells where 8 are expected"),
        ("is_snapshot", "snapshot", "line 1, columns .* are expected"),
    ],
)
def test_tardis_refuses_a_wrong_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    """File, line, column, value, mend; nothing is stored, not even the good beginning."""
    book = tardis_book(*BOOK_ROWS)
    assert old in book
    place = book.rindex(old) if old.startswith("okx") else book.index(old)
    book = book[:place] + new + book[place + len(old) :]
    files = tardis_files(tmp_path / "in", book, TRADES)
    root = tmp_path / "catalog"
    with pytest.raises(ImportRefused, match=says) as refused:
        import_tardis(root, files)
    assert re.match(r".*/(book.csv.gz|trades.csv): ", str(refused.value))
    assert not root.exists()


def damage(path: Path) -> None:
    """A download that broke off."""
    path.write_bytes(path.read_bytes()[:-20])


def binary(path: Path) -> None:
    """Bytes that are no text."""
    with gzip.open(path, "wb") as file:
        file.write(BOOK_HEAD.encode() + b"\xff\xfe,\xff\n")


@pytest.mark.parametrize("harm", [damage, binary, Path.unlink])
def test_a_damaged_file_is_refused(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """A file that is cut, no text or not there is named, and nothing is stored."""
    files = tardis_files(tmp_path / "in", tardis_book(*BOOK_ROWS * 1), TRADES)
    harm(files[1])
    with pytest.raises(ImportRefused, match=r"book\.csv\.gz: "):
        import_tardis(tmp_path / "catalog", files)
    assert not (tmp_path / "catalog").exists()


def test_a_given_grid_is_held(tmp_path: Path) -> None:
    """What lies between two ticks of the grid that is named is refused, not rounded."""
    files = tardis_files(tmp_path / "in", tardis_book(*BOOK_ROWS), TRADES)
    with pytest.raises(
        ImportRefused, match=r"column price, value '100.25' -- .*off the grid of 0.5"
    ):
        import_tardis(tmp_path / "catalog", files, grid=Grid("0.5", "0.001"))
    assert import_tardis(tmp_path / "catalog", files, grid=Grid("0.05", "0.0005")) == 13
    assert stored(tmp_path / "catalog")[1][3:5] == (1_990, 2_000)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("market-depth", "time_seconds,bid_price_bid_size,ask_price_ask_size\n1,2_1,3\n",
         "line 2, column ask_price_ask_size, value '3' -- price_size"),
        ("market-depth", "time_seconds,bid_price_bid_size,ask_price_ask_size\n1,2_1,3_0\n",
         "line 2, column ask_size, value '0' -- a size above zero"),
        ("trade", "time_seconds,price,size,is_buyer_maker\n1,1,1,2\n",
         "line 2, column is_buyer_maker, value '2' -- one of"),
        ("trade", "time_seconds,price,size,is_buyer_maker\n2,1,1,1\n1,1,1,1\n",
         "line 3, column time_seconds, value '1' -- it is not after"),
        ("other", "", "files named .* are expected"),
    ],
)  # fmt: skip
def test_gemini_refuses_a_wrong_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    """File, line, column, value, mend; nothing is stored."""
    path = tmp_path / f"{name}.csv"
    path.write_text(text)
    with pytest.raises(ImportRefused, match=says):
        import_gemini(tmp_path / "catalog", [path], "gemini", "ETH/USD")
    assert not (tmp_path / "catalog").exists()
