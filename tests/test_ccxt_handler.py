"""Frames that `CcxtFeed` makes, as the handler reads them: right, wrong, and known already."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.books import TrackedBook
from engine.messages import BUY, BookState, Frame, Reason
from engine.venues.ccxt import CcxtHandler
from engine.venues.handler import BookNews, Check, LostNews, Malformed, News, OldNews, TradeNews
from ext.book import ASK, BID
from tests.streams import market

INSTRUMENT = market(lots=("0.001",))[0]
SYMBOL = "BTC/USDT"
BOOK = {"t": "book", "symbol": SYMBOL, "ts": 1, "nonce": None}
WHOLE = BOOK | {"bids": [["100.01", "1"], ["100", "2"]], "asks": [["100.02", "0.5"]]}
TRADE = {"id": "7", "side": "buy", "price": "100.02", "amount": "0.5", "ts": 1}


class Reader:
    """A handler and the book that it keeps."""

    def __init__(self) -> None:
        self.tracked = TrackedBook(INSTRUMENT)
        self.handler = CcxtHandler([INSTRUMENT], {INSTRUMENT.id: SYMBOL})

    def read(self, content: object) -> list[News]:
        """What a frame says."""
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        frame = Frame(0, 1, 1, 0, 0, 0, payload)
        return list(self.handler.decode(frame, {INSTRUMENT.id: self.tracked}))


def trades(*items: dict[str, object]) -> dict[str, object]:
    """A frame of trades."""
    return {"t": "trades", "symbol": SYMBOL, "trades": items}


def test_a_book_takes_the_place_of_the_one_before() -> None:
    """Nothing of the old one stays, and nothing says that it was verified."""
    reader = Reader()
    for _ in range(2):
        assert reader.read(WHOLE) == [BookNews(0, Check.NONE)]
    assert reader.read(BOOK | {"bids": [["99", "1"]], "asks": [["101", "1"]]})
    assert reader.tracked.live
    assert reader.tracked.book.levels(BID) == [(9_900, 1000)]
    assert reader.tracked.book.levels(ASK) == [(10_100, 1000)]


@pytest.mark.parametrize(
    ("sides", "state", "reason"),
    [
        ({"bids": [["100.02", "1"]], "asks": [["100.01", "1"]]}, BookState.CROSSED, Reason.CROSSED),
        ({"bids": [], "asks": [["100.01", "1"]]}, BookState.BROKEN, Reason.NO_MARKET),
        ({"bids": [["100.01", "1"]]}, BookState.BROKEN, Reason.NO_MARKET),
        ({"bids": [["x", "1"]], "asks": [["1", "1"]]}, BookState.BROKEN, Reason.MALFORMED),
        ({"bids": [["nan", "1"]], "asks": [["1", "1"]]}, BookState.BROKEN, Reason.MALFORMED),
        ({"bids": [["1.001", "1"]], "asks": [["2", "1"]]}, BookState.BROKEN, Reason.OFF_GRID),
    ],
)
def test_a_book_that_is_not_sane_is_not_live(
    sides: dict[str, object], state: BookState, reason: Reason
) -> None:
    """A whole frame, and still nothing to trade on; a resync goes to the feed."""
    reader = Reader()
    reader.read(WHOLE)
    assert reader.read(BOOK | sides) == [LostNews(0, reason)]
    assert reader.tracked.state is state
    assert reader.handler.resync(0, 1) == ((b'{"watch":"BTC/USDT"}',), "")
    assert reader.read(WHOLE) == [BookNews(0, Check.NONE)]


def test_a_book_that_stands_still_is_stale_once() -> None:
    """Until a book comes again."""
    reader = Reader()
    stale = {"t": "stale", "symbol": SYMBOL, "age_ms": 5000}
    assert reader.read(stale) == []
    reader.read(WHOLE)
    assert reader.read(stale) == [LostNews(0, Reason.STALE_MARKET)]
    assert reader.tracked.state is BookState.STALE
    assert reader.read(stale) == []
    assert reader.read(WHOLE) == [BookNews(0, Check.NONE)]


def test_trades_that_were_here_are_known_over_a_restart() -> None:
    """ccxt.pro gives the last thousand again after a reconnect."""
    reader = Reader()
    first = TradeNews(0, BUY, 10_002, 500, "7")
    assert reader.read(trades(TRADE, TRADE)) == [first, OldNews(0)]
    again = Reader()
    again.handler.restore(reader.handler.snapshot())
    again.handler.close()
    assert again.read(trades(TRADE, TRADE | {"id": "8"})) == [
        OldNews(0),
        first._replace(trade_id="8"),
    ]


def test_a_trade_between_two_steps_asks_for_a_finer_grid() -> None:
    """What came before it in the frame is kept."""
    reader = Reader()
    news = reader.read(trades(TRADE, TRADE | {"id": "8", "amount": "0.0005"}))
    assert news == [TradeNews(0, BUY, 10_002, 500, "7"), LostNews(0, Reason.OFF_GRID)]
    assert reader.tracked.finer[1] == "0.0001"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff", {}, {"t": "book"}, {"t": "news", "symbol": SYMBOL}, trades({}),
        trades(TRADE | {"side": "?"}), trades(TRADE | {"price": "x"}),
        trades(TRADE | {"price": "9" * 40}),
    ],
)  # fmt: skip
def test_malformed_frames_are_named_and_change_nothing(content: object) -> None:
    """The book is as it was."""
    reader = Reader()
    reader.read(WHOLE)
    with pytest.raises(Malformed):
        reader.read(content)
    assert reader.tracked.live
    assert reader.tracked.book.levels(ASK) == [(10_002, 500)]


def test_another_symbol_is_passed_over() -> None:
    """A feed serves what its venue was given."""
    assert Reader().read(WHOLE | {"symbol": "ETH/USDT"}) == []


@given(st.binary(max_size=60) | st.integers(0, 200).map(lambda n: json.dumps(WHOLE).encode()[:n]))
def test_garbage_never_makes_a_book(payload: bytes) -> None:
    """Whatever comes, it is news, or Malformed and nothing else."""
    reader = Reader()
    try:
        news = reader.read(payload)
    except Malformed:
        news = []
    whole = payload == json.dumps(WHOLE).encode()
    assert reader.tracked.live == whole == bool(news)


def test_the_handler_needs_no_ccxt() -> None:
    """A recording is played where only the engine is."""
    module = sys.modules[CcxtHandler.__module__]
    assert not any(getattr(value, "__name__", "") == "ccxt" for value in vars(module).values())
