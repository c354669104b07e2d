"""A whole run on paper: two real venues' public feeds, an arbitrage bot, and not one private request there."""

import asyncio
from pathlib import Path

import pytest

from engine.assembly import make_trading
from engine.config import ConfigError, instruments_of, parse
from engine.edges.comparison import compare_accounts
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.solo import SoloRun
from engine.exchange.wires.binance_limits import BINANCE
from engine.venues.binance_trading import BinanceTrading
from ext.matching import BUY, SELL
from tests.binance_server import Venue
from tests.loopback_only import loopback_only

LIMIT_S = 60.0
FILLS = 2
HEAD = """
name = "paper-run"
mode = "paper"
state_dir = "FOLDER"
[api]
port = 0
[scanner]
quantity_max = { BTC = "0.3" }
[risk]
position_max = { BTC = "0.9" }
price_distance_max_bps = 1000
[[bots]]
name = "arb"
kind = "arbitrage"
symbols = ["BTC/USDT"]
[exchange]
latency_ms = 1.0
limits = false
"""
VENUE = """
[exchange.balances.NAME]
BTC = "1"
USDT = "100000"
[[venues]]
name = "NAME"
kind = "watch"
protocol = "binance"
rest_url = "HTTP"
stream_url = "WS/stream"
[[instruments]]
venue = "NAME"
symbol = "BTC/USDT"
native = "BTCUSDT"
tick_size = "0.01"
lot_size = "0.00001"
notional_min = "5"
taker_fee = "0.0001"
"""
PUBLIC = ("/api/v3/depth", "/api/v3/exchangeInfo", "/api/v3/time")


def text_of(folder: Path, venues: dict[str, Venue]) -> str:
    """A configuration that trades on paper at these venues."""
    text = HEAD.replace("FOLDER", str(folder))
    for name, venue in venues.items():
        part = VENUE.replace("NAME", name).replace("HTTP", venue.http)
        text += part.replace("WS", venue.ws)
    return text


async def test_a_run_on_paper_adds_up_and_asks_nothing_private(tmp_path: Path) -> None:
    """One sells for less than the other buys for: the bot takes that, in a model of both."""
    venues = {"left": Venue(BINANCE), "right": Venue(BINANCE)}
    for venue in venues.values():
        await venue.open()
    venues["left"].quote(SELL, 9_900, 3_000_000)  # takes every bid there, and rests below them
    venues["right"].quote(BUY, 10_100, 3_000_000)
    text = text_of(tmp_path, venues)
    config = parse(text, "paper")
    with loopback_only():
        solo = SoloRun(config, text)
        try:
            solo.exchange = ExchangeProcess(solo.folder / "config.toml")
            await asyncio.to_thread(solo.exchange.wait_ready)

            asks = iter(range(9_899, 9_800, -1))

            def look() -> None:
                venues["left"].quote(SELL, next(asks, 9_800), 100_000)  # the market moves
                solo.directory.stop_wanted = solo.ledger.trade_count >= FILLS

            quiet = await solo.serve(LIMIT_S, look)
            url = solo.exchange.url
            comparison = await asyncio.to_thread(compare_accounts, config, url, solo.ledger)
        finally:
            solo.close()
    assert not solo.loop.error
    assert comparison.holds, comparison.lines()
    assert quiet
    assert comparison.fills >= FILLS
    for name, venue in venues.items():
        owners = {order.account for order in venue.exchange.audit().orders}
        assert owners == {"maker"}, f"an order reached {name}"
        asked = {call.split()[1] for call in venue.wire.asked}
        assert asked <= set(PUBLIC), asked
        await venue.close()


def test_any_protocol_is_traded_on_paper_by_our_own_exchanges_binance() -> None:
    """Where there is no native gateway for the real venue, as on the others."""
    text = HEAD + VENUE.replace("NAME", "left").replace("HTTP", "http://127.0.0.1:1")
    text = text.replace("WS", "ws://127.0.0.1:1").replace('"binance"', '"okx"')
    config = parse(text.replace("BTCUSDT", "BTC-USDT"), "okx")
    assert isinstance(make_trading(config, 0, instruments_of(config)), BinanceTrading)
    watched = parse(text.replace('mode = "paper"', ""), "okx")
    assert make_trading(watched, 0, instruments_of(watched)) is None


def test_a_recording_is_not_traded_on_as_if_it_were_live() -> None:
    """The error says what does."""
    text = HEAD + VENUE.replace("NAME", "old").replace(
        'kind = "watch"', 'kind = "replay"\npath = "x"'
    )
    text = text.replace('rest_url = "HTTP"\nstream_url = "WS/stream"\n', "")
    with pytest.raises(ConfigError, match=r"venues\[0\].kind: .*`backtest` does"):
        parse(text, "x")
