"""A venue whose markets are a tape: orders rest in it, and it is a function of its tape and its orders."""

from math import log
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.config import Config, parse
from engine.edges.exchange_server import add_accounts, make_front, make_wires
from engine.edges.playback import make_played, market_frames
from engine.exchange.admin import administer
from engine.exchange.orders import NewOrder, PublicTrade, Refused, Status
from engine.exchange.wires.wire import Call
from engine.messages import BUY, SELL
from ext.matching import HALTED, LIMIT, POST_ONLY
from tests.test_backtest import DEMO, replayed, write_tape

MS, SECOND = 1_000_000, 10**9
SECONDS = 12
PRICE = 6_000_000
BEGIN = 10**18


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds of the demo."""
    path = tmp_path_factory.mktemp("tape") / "tape.parquet"
    write_tape(path, SECONDS)
    return path


def config_of(tape: Path, speed: float = 1.0, **exchange: str) -> Config:
    """The demo's venues, of the tape."""
    text = replayed(DEMO, tape).replace("speed = 0.0", f"speed = {speed}")
    more = "".join(f"{name} = {value}\n" for name, value in exchange.items())
    return parse(text.replace("[exchange]\n", f"[exchange]\n{more}"), "tape")


class Filled(NamedTuple):
    """A fill, by the tape's time since its begin."""

    at_ns: int
    side: int
    ticks: int
    lots: int
    maker: bool


def make_a_market(config: Config, begin_ns: int, *, shifted: bool) -> list[Filled]:
    """A bid and an ask at the touch every 100 ms of the tape, cancelled after two seconds; the fills."""
    exchange = make_played(config, 0, begin_ns, shifted=shifted)
    add_accounts(exchange, config, begin_ns)
    speed = config.venues[0].speed if shifted else 1.0
    account, market = exchange.accounts.names[0], exchange.markets[0]
    open_orders: list[tuple[int, int]] = []
    for step in range(SECONDS * 10 - 5):
        now_ns = begin_ns + int(step * 100 * MS / speed)
        exchange.advance(now_ns)
        while open_orders and open_orders[0][0] <= step - 20:
            number = open_orders.pop(0)[1]
            if exchange.order(account, number).status in (Status.OPEN, Status.PARTLY_FILLED):
                exchange.cancel(account, number, now_ns)
        for side in (BUY, SELL):
            ticks, _ = market.book.best(side)
            new = NewOrder(0, side, LIMIT, 2_000, ticks, flags=POST_ONLY)
            try:
                open_orders.append((step, exchange.place(account, new, now_ns).number))
            except Refused:
                assert not ticks, "there is no book yet"
        assert exchange.audit().problems == ()
    exchange.advance(begin_ns + int(2 * SECONDS * SECOND / speed))
    assert market.book.phase == HALTED, "the tape is over"
    assert exchange.audit().problems == ()
    return [
        Filled(int((f.time_ns - begin_ns) * speed), f.side, f.ticks, f.lots, f.maker)
        for f in exchange.fills(account)
    ]


def test_orders_rest_and_are_filled_as_the_tape_trades(tape: Path) -> None:
    """Each fill is at a moment at which the tape has something to say; twice the same."""
    config = config_of(tape)
    times = [frame.at_ns for frame in market_frames(config.venues[0])]
    fills = make_a_market(config, times[0], shifted=False)
    assert sum(fill.maker for fill in fills) > 20
    assert {fill.side for fill in fills if fill.maker} == {BUY, SELL}
    assert {fill.at_ns + times[0] for fill in fills if fill.maker} <= set(times)
    assert make_a_market(config, times[0], shifted=False) == fills


def test_at_another_time_and_speed_it_is_the_same_market(tape: Path) -> None:
    """Moved to any begin, and four times as fast with orders four times as fast."""
    config = config_of(tape)
    first_ns = next(market_frames(config.venues[0])).at_ns
    fills = make_a_market(config, first_ns, shifted=False)
    assert make_a_market(config, BEGIN, shifted=True) == fills
    fast = make_a_market(config_of(tape, 4.0), BEGIN, shifted=True)
    assert [fill[1:] for fill in fast] == [fill[1:] for fill in fills]
    assert all(abs(a.at_ns - b.at_ns) <= 4 for a, b in zip(fast, fills, strict=True))


@pytest.mark.parametrize(
    ("named", "ahead"),
    [
        ({}, 1_000.0),
        ({"queue_model": '"pessimistic"'}, 1_000.0),
        ({"queue_model": '"power"'}, 800.0),
        ({"queue_model": '"power"', "queue_power": "3.0"}, 1_000 - 300 * 8 / 9),
        ({"queue_model": '"log"'}, 1_000 - 300 * log(1001) / (log(1001) + log(501))),
    ],
)
def test_the_configuration_names_the_queue_model(
    tape: Path, named: dict[str, str], ahead: float
) -> None:
    """1,000 lots ahead, 500 behind, and 300 of them leave."""
    exchange = make_played(config_of(tape, **named), 0, BEGIN, shifted=True)
    book = exchange.markets[0].replayed
    assert book is not None
    book.show([(PRICE, 1_000)], [(PRICE + 1, 1_000)])
    number = book.submit(BUY, LIMIT, PRICE, 100)
    book.show([(PRICE, 1_500)], [(PRICE + 1, 1_000)])
    book.show([(PRICE, 1_200)], [(PRICE + 1, 1_000)])
    assert book.queue(number)[0] == pytest.approx(ahead)


def test_recorded_trades_are_told_and_an_auction_is_not_possible(tape: Path) -> None:
    """Every trade of the tape is a public one; an operator who wants an auction is told why not."""
    config = config_of(tape)
    exchange = make_played(config, 0, BEGIN, shifted=True)
    add_accounts(exchange, config, BEGIN)
    front = make_front(config, exchange, BEGIN, make_wires(config, exchange))
    exchange.advance(BEGIN + 2 * SECONDS * SECOND)
    told = [event for event in exchange.take_events() if isinstance(event, PublicTrade)]
    frames = market_frames(config.venues[0])
    recorded = sum(frame.payload.startswith(b'{"type":"trade"') for frame in frames)
    assert len(told) == sum(market.trade_count for market in exchange.markets.values()) == recorded
    assert exchange.markets[0].candles(SECOND, 0, BEGIN + SECONDS * SECOND, 100)
    answer = administer(front, Call("POST", "/auction", "", {}, b"{}"), BEGIN + 30 * SECOND)
    assert answer.status == 409
    assert b"is a recording" in answer.body
