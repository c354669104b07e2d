"""Kraken's own examples: the signature of its REST documentation, the checksums of its books."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exchange.wires.kraken_book import checksum
from engine.exchange.wires.kraken_keys import sign
from engine.exchange.wires.kraken_words import id_of, number_of, pair_of
from engine.instruments import Instrument
from ext import checksum as kernel
from ext.book import ASK, BID, Book
from ext.decode import Grid

SECRET = b"kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
BODY = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
SIGNED = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="

# price and volume of the levels, best first: asks, bids; tick, lot; the sum that Kraken gives
GUIDE = (
    """45285.2 0.00100000 | 45286.4 1.54571953 | 45286.6 1.54571109 | 45289.6 1.54560911
       45290.2 0.15890660 | 45291.8 1.54553491 | 45294.7 0.04454749 | 45296.1 0.35380000
       45297.5 0.09945542 | 45299.5 0.18772827""",
    """45283.5 0.10000000 | 45283.4 1.54582015 | 45282.1 0.10000000 | 45281.0 0.10000000
       45280.3 1.54592586 | 45279.0 0.07990000 | 45277.6 0.03310103 | 45277.5 0.30000000
       45277.3 1.54602737 | 45276.6 0.15445238""",
    "0.1",
    3310070434,
)
MATIC_ASKS = """0.5668 4410.79769741 | 0.5669 4655.40412487 | 0.567 49844.89424998
    0.5671 24306.41678 | 0.5672 29783.25223475 | 0.5673 57234.71239278 | 0.5674 45065.04744
    0.5675 5912.76380354 | 0.5676 42514.92434778 | 0.5677 36304.0847022"""
MATIC_BIDS = """0.5666 4831.75496356 | 0.5665 6658.22734739 | 0.5664 18724.91513344
    0.5663 11563.92544914 | 0.5662 14006.65365711 | 0.5661 17454.85679807 | 0.566 18097.1547
    0.5659 33644.89175666 | 0.5658 148.3464 | 0.5657 606.70854372"""
CHANNEL = (MATIC_ASKS, MATIC_BIDS, "0.0001", 2439117997)
CHANGED = (MATIC_ASKS, MATIC_BIDS.replace("606.70854372", "1098.3947558"), "0.0001", 2114181697)


def test_signature_as_documented() -> None:
    """The example of https://docs.kraken.com/api/docs/guides/spot-rest-auth."""
    assert sign(SECRET, "/0/private/AddOrder", "1616492376594", BODY) == SIGNED


@pytest.mark.parametrize("part", ["path", "nonce", "body", "secret"])
def test_signature_covers_everything(part: str) -> None:
    """Each part changes it."""
    given_parts = {
        "secret": SECRET, "path": "/0/private/AddOrder", "nonce": "1616492376594", "body": BODY,
    }  # fmt: skip
    other = {"secret": SECRET[4:], "path": "/0/private/EditOrder", "nonce": "1", "body": b"x"}
    given_parts[part] = other[part]
    assert sign(**given_parts) != SIGNED  # type: ignore[arg-type]


def instrument(tick: str, lot: str = "0.00000001") -> Instrument:
    """A market on a grid."""
    return Instrument(0, 0, "BTC/USD", "BTC", "USD", tick, lot, 10, 18)


def levels_of(text: str, market: Instrument) -> list[tuple[int, int]]:
    """`price volume | price volume` as ticks and lots."""
    pairs = [level.split() for level in text.replace("\n", "|").split("|") if level.strip()]
    return [(market.price_to_ticks(p), market.quantity_to_lots(q)) for p, q in pairs]


@pytest.mark.parametrize(("asks", "bids", "tick", "told"), [GUIDE, CHANNEL, CHANGED])
def test_checksum_as_documented(asks: str, bids: str, tick: str, told: int) -> None:
    """The guide's example, the book channel's snapshot, and the same after the channel's update."""
    market = instrument(tick)
    pair = pair_of(market)
    assert checksum(pair, levels_of(bids, market), levels_of(asks, market)) == told


def test_checksum_of_the_recorded_snapshot(recorded: Path) -> None:
    """A snapshot of BTC/USDT as it came, 25 levels a side."""
    item = json.loads((recorded / "venue_messages/btc_usdt_depth25_snapshot.json").read_text())
    (book,) = item["data"]
    market = instrument("0.1")
    bids, asks = (
        [
            (market.price_to_ticks(each["price"]), market.quantity_to_lots(each["qty"]))
            for each in side
        ]
        for side in (book["bids"], book["asks"])
    )
    assert len(bids) == len(asks) == 25
    assert checksum(pair_of(market), bids, asks) == int(book["checksum"])


SIDE = st.dictionaries(st.integers(1, 10**9), st.integers(1, 10**12), max_size=30)


@given(
    bids=SIDE,
    asks=SIDE,
    tick=st.integers(0, 10),
    lot=st.integers(0, 8),
    step=st.sampled_from([1, 5, 25]),
)
def test_checksum_as_the_engine_reads_it(
    bids: dict[int, int], asks: dict[int, int], tick: int, lot: int, step: int
) -> None:
    """What the exchange writes is what our own feed handler's kernel sums."""
    market = instrument(
        format(Decimal(step).scaleb(-tick), "f"), format(Decimal(1).scaleb(-lot), "f")
    )
    book = Book()
    for side, held in ((BID, bids), (ASK, asks)):
        for ticks, lots in held.items():
            book.change(side, ticks, lots)
    best = sorted(bids.items(), reverse=True), sorted(asks.items())
    grid = Grid(*market.tick_parts, *market.lot_parts)
    assert checksum(pair_of(market), *best) == kernel.kraken(book, grid)


@given(number=st.integers(1, (1 << 48) - 1), kind=st.sampled_from("OTLR"))
def test_ids_have_a_number_behind_them(number: int, kind: str) -> None:
    """An id is 17 letters in groups of 6, 5 and 6, and means one thing only."""
    text = id_of(kind, number)
    assert [len(part) for part in text.split("-")] == [6, 5, 6]
    assert text[0] == kind
    assert number_of(kind, text) == number
    assert all(number_of(other, text) == 0 for other in "OTLR" if other != kind)


@given(text=st.from_regex(r"O[A-Z2-7]{5}-[A-Z2-7]{5}-[A-Z2-7]{6}", fullmatch=True))
def test_most_ids_mean_nothing(text: str) -> None:
    """What is no id of ours is not mistaken for one."""
    assert number_of("O", text) == 0 or id_of("O", number_of("O", text)) == text


def test_names_of_assets_and_pairs() -> None:
    """Old assets have long names, and an X or Z in a pair only among themselves."""
    cases = {
        ("BTC", "USD"): ("XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD"),
        ("BTC", "USDT"): ("XBTUSDT", "XBTUSDT", "XBT/USDT", "BTC/USDT"),
        ("ETH", "BTC"): ("XETHXXBT", "ETHXBT", "ETH/XBT", "ETH/BTC"),
        ("DOGE", "BTC"): ("XXDGXXBT", "XDGXBT", "XDG/XBT", "DOGE/BTC"),
        ("DOGE", "USD"): ("XDGUSD", "XDGUSD", "XDG/USD", "DOGE/USD"),
        ("SOL", "EUR"): ("SOLEUR", "SOLEUR", "SOL/EUR", "SOL/EUR"),
        ("EUR", "USD"): ("ZEURZUSD", "EURUSD", "EUR/USD", "EUR/USD"),
        ("BTC", "AUD"): ("XBTAUD", "XBTAUD", "XBT/AUD", "BTC/AUD"),
    }
    for (base, quote), names in cases.items():
        market = Instrument(0, 0, f"{base}/{quote}", base, quote, "0.01", "0.01", 10, 10)
        assert tuple(pair_of(market)[1:]) == names
