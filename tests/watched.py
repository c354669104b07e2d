"""A venue that watches one exchange, on a clock of the test's own, and frames made by hand.

Every exchange's book is of A0-USDT: a bid that the test names, and an ask of 1 at 9.
"""

import json
import zlib

import msgspec

from engine.assembly import build_all, solo_topology
from engine.config import Config, instruments_of, parse
from engine.messages import (
    ANSWERED,
    STREAMED,
    AnyMessage,
    BookState,
    BookStateChanged,
    Connected,
    Disconnected,
    Frame,
    HttpRequest,
    Reason,
    SendFrame,
    TimerFired,
    VenueStatus,
)
from engine.venue import Venue
from engine.venues.counts import Counts

SECOND = 1_000_000_000
NAME = "A0-USDT"
Payload = bytes | dict[str, object] | list[object]
Told = tuple[Payload, str]
"""A frame, and of an answer over HTTP what was asked."""


def config_of(protocol: str, count: int, redundancy: int) -> Config:
    """A configuration of one venue with many instruments."""
    lines = [
        f'name = "l"\n[[venues]]\nname = "v"\nkind = "watch"\nprotocol = "{protocol}"',
        f"redundancy = {redundancy}\n[assets]\nUSDT = 8",
    ]
    lines += [f"A{n} = 8" for n in range(count)]
    lines += [
        f'[[instruments]]\nvenue = "v"\nsymbol = "A{n}/USDT"\nnative = "A{n}-USDT"\n'
        'tick_size = "0.01"\nlot_size = "0.01"'
        for n in range(count)
    ]
    return parse("\n".join(lines), "lines")


def venue_of(protocol: str, count: int, redundancy: int) -> Venue:
    """The component of such a configuration."""
    config = config_of(protocol, count, redundancy)
    parts = build_all(config, solo_topology(config), instruments_of(config))
    return next(part for part in parts if isinstance(part, Venue))


class Watched:
    """A venue of one instrument, and the time that passes for it."""

    def __init__(self, protocol: str, redundancy: int = 1) -> None:
        self.venue = venue_of(protocol, 1, redundancy)
        self.now_s = 0.0

    def give(self, message: AnyMessage) -> tuple[AnyMessage, ...]:
        """A message now."""
        return self.venue.on_message(message, int(self.now_s * SECOND))

    def connect(self, connection: int = 0) -> tuple[AnyMessage, ...]:
        """A connection is open."""
        return self.give(Connected(0, 1, 0, 0, connection))

    def disconnect(self, connection: int = 0) -> tuple[AnyMessage, ...]:
        """A connection is gone."""
        return self.give(Disconnected(0, 1, 0, 0, connection, "gone"))

    def frame(
        self, payload: Payload, about: str = "", kind: int = STREAMED, connection: int = 0
    ) -> tuple[AnyMessage, ...]:
        """A frame now; `about` makes it the answer to a request."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        kind = ANSWERED if about and kind == STREAMED else kind
        return self.give(Frame(0, 1, int(self.now_s * SECOND), 0, connection, kind, data, about))

    def at(self, now_s: float) -> tuple[AnyMessage, ...]:
        """The venue's timer, at a time."""
        self.now_s = now_s
        return self.give(TimerFired(0, 1, 0, 1, 1))

    @property
    def state(self) -> tuple[BookState, Reason]:
        """The served book's, and why."""
        book = self.venue.books[0]
        return book.state, book.reason

    @property
    def bid(self) -> str:
        """The served book's best price to buy at; '' where there is none."""
        book = self.venue.books[0]
        return book.instrument.ticks_to_price(book.book.bid_ticks)

    @property
    def counted(self) -> dict[str, int]:
        """What was counted, without frames; as the venue's status tells it."""
        for _ in range(4):
            (*_, status) = self.at(self.now_s)
        assert isinstance(status, VenueStatus)
        names = Counts.__struct_fields__
        assert {n: getattr(status, n) for n in names} == msgspec.structs.asdict(self.venue.counts)
        return {n: getattr(status, n) for n in names if n != "frames" and getattr(status, n)}


def changes(outputs: tuple[AnyMessage, ...]) -> list[BookStateChanged]:
    """The changes of a book's state."""
    return [output for output in outputs if isinstance(output, BookStateChanged)]


def asked(outputs: tuple[AnyMessage, ...]) -> bool:
    """Whether a snapshot was asked for, over HTTP or by entering the channel again."""
    return any(isinstance(output, HttpRequest | SendFrame) for output in outputs)


# --- the frames of exchanges ----------------------------------------------------------------------------

ASKS = [["9", "1"]]


def binance_whole(number: int, path: str = "/api/v3") -> Told:
    """A snapshot."""
    body = {"lastUpdateId": number, "bids": [["1", "1"]], "asks": ASKS}
    return body, f"{path}/depth?symbol={NAME}&limit=1000"


def binance(first: int, last: int, bid: str, before: int | None = None) -> Told:
    """A difference; contracts name the number before."""
    event = {"e": "depthUpdate", "s": NAME, "U": first, "u": last, "b": [[bid, "1"]], "a": []}
    return event | ({} if before is None else {"pu": before}), ""


def kucoin_whole(number: int) -> Told:
    """A snapshot."""
    body = {"data": {"sequence": str(number), "bids": [["1", "1"]], "asks": ASKS}}
    return body, f"/api/v1/market/orderbook/level2_100?symbol={NAME}"


def kucoin_span(first: int, last: int, bids: list[list[str]]) -> Told:
    """A difference of several numbers."""
    update = {"symbol": NAME, "sequenceStart": first, "sequenceEnd": last}
    data = update | {"changes": {"asks": [], "bids": bids}}
    return {"type": "message", "subject": "trade.l2update", "data": data}, ""


def kucoin(number: int, price: str) -> bytes:
    """A difference of one number."""
    return json.dumps(kucoin_span(number, number, [[price, "1", str(number)]])[0]).encode()


def gate_whole(number: int) -> Told:
    """A snapshot."""
    path = f"/api/v4/spot/order_book?currency_pair={NAME}&limit=100&with_id=true"
    return {"id": number, "bids": [["1", "1"]], "asks": ASKS}, path


def gate(first: int, last: int, bid: str) -> Told:
    """A difference."""
    result = {"s": NAME, "U": first, "u": last, "b": [[bid, "1"]], "a": []}
    return {"channel": "spot.order_book_update", "event": "update", "result": result}, ""


def bitstamp_whole(stamp: int) -> Told:
    """A snapshot."""
    body = {"microtimestamp": str(stamp), "bids": [["1", "1"]], "asks": ASKS}
    return body, f"/api/v2/order_book/{NAME}"


def bitstamp(stamp: int, bid: str) -> Told:
    """A difference."""
    data = {"microtimestamp": str(stamp), "bids": [[bid, "1"]], "asks": []}
    return {"event": "data", "channel": f"diff_order_book_{NAME}", "data": data}, ""


def bybit(kind: str, number: int, bid: str) -> bytes:
    """A snapshot or a delta."""
    data = {"s": NAME, "b": [[bid, "1"]], "a": ASKS, "u": number}
    return json.dumps({"topic": f"orderbook.200.{NAME}", "type": kind, "data": data}).encode()


def okx(kind: str, bid: str, before: int, number: int, **checksum: int) -> Told:
    """A snapshot or an update."""
    sides = {"bids": [[bid, "1", "0", "1"]], "asks": [["9", "1", "0", "1"]]}
    item = sides | {"seqId": number, "prevSeqId": before} | checksum
    return {"arg": {"channel": "books", "instId": NAME}, "action": kind, "data": [item]}, ""


def coinbase(kind: str, number: int, bid: str) -> Told:
    """A snapshot or an update."""
    sides = (("bid", bid), ("offer", "9"))
    updates = [{"side": side, "price_level": p, "new_quantity": "1"} for side, p in sides]
    event = {"type": kind, "product_id": NAME, "updates": updates}
    return {"channel": "l2_data", "sequence_num": number, "events": [event]}, ""


def exchange_whole() -> Told:
    """Coinbase Exchange's snapshot."""
    return {"type": "snapshot", "product_id": NAME, "bids": [["1", "1"]], "asks": ASKS}, ""


def exchange_change(bid: str) -> Told:
    """Coinbase Exchange's update."""
    return {"type": "l2update", "product_id": NAME, "changes": [["buy", bid, "1"]]}, ""


BITFINEX_CHANNEL: Told = (
    {"event": "subscribed", "channel": "book", "chanId": 7, "symbol": NAME},
    "",
)


def bitfinex(count: int, *body: object) -> Told:
    """A frame of the book's channel: levels, or a word with a number."""
    return [7, *body, count], ""


def kraken(kind: str, bid: str, **checksum: int) -> Told:
    """Version 2's snapshot or update."""
    sides = {"bids": [{"price": float(bid), "qty": 1}], "asks": [{"price": 9, "qty": 1}]}
    item = {"symbol": NAME, **sides, **checksum}
    return {"channel": "book", "type": kind, "data": [item]}, ""


def kraken_v1(depth: int, **sides: object) -> Told:
    """Version 1's snapshot or update."""
    return [1, sides, f"book-{depth}", NAME], ""


KRAKEN_V1_WHOLE = kraken_v1(1000, **{"as": [["9.00", "1.00", "1"]], "bs": [["1.00", "1.00", "1"]]})


def signed(text: str) -> int:
    """The CRC-32 of a text as an int32."""
    value = zlib.crc32(text.encode())
    return value - (1 << 32) if value >> 31 else value


WHOLE = ([[1, 1, 1], [9, 1, -1]],)  # Bitfinex: price, count, size
OKX_CRC = signed("1:1:9:1")
BITFINEX_CRC = signed("1:1:9:-1")
KRAKEN_CRC = signed("900100100100") % (1 << 32)

BEGUN: dict[str, list[Told]] = {
    "binance": [binance_whole(10)],
    "binance_futures": [binance_whole(10, "/fapi/v1")],
    "bitfinex": [BITFINEX_CHANNEL, bitfinex(10, *WHOLE)],
    "bitstamp": [bitstamp_whole(10)],
    "bybit": [(bybit("snapshot", 10, "1"), "")],
    "bybit_linear": [(bybit("snapshot", 10, "1"), "")],
    "coinbase": [coinbase("snapshot", 10, "1")],
    "coinbase_exchange": [exchange_whole()],
    "gate": [gate_whole(10)],
    "kraken": [kraken("snapshot", "1", checksum=KRAKEN_CRC)],
    "kraken_v1": [KRAKEN_V1_WHOLE],
    "kucoin": [kucoin_whole(10)],
    "okx": [okx("snapshot", "1", -1, 10, checksum=0)],
}
"""How a book comes LIVE with a bid of 1, at number 10 where there are numbers."""


def begun(protocol: str) -> Watched:
    """A venue whose book is LIVE."""
    watched = Watched(protocol)
    watched.connect()
    for told in BEGUN[protocol]:
        watched.frame(*told)
    assert watched.state == (BookState.LIVE, Reason.NONE)
    return watched
