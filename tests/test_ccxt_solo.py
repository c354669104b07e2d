"""A whole engine trades between two venues of the exchange's process, one of them through the real ccxt.

With faults on the way to it. At the end the ledger and the exchange agree to the unit, and what was
decided is decided again from what came in.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.assembly import make_trading
from engine.config import ConfigError, instruments_of, parse
from engine.edges.comparison import compare_accounts
from engine.edges.directory import Counter as PageCounter
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.journal import read_inbox, read_journal, segments
from engine.edges.solo import SoloRun
from engine.edges.verification import verify_run
from engine.messages import Answer, Connected, Fill, OrderEvent, OrderState, decode
from tests.loopback_only import loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
LONGEST_S = 60.0
ORDERS = 24
FILLS = 6

CONFIG = """
name = "through-ccxt"
seed = 7
state_dir = "{folder}"
[[venues]]
name = "alpha"
protocol = "{protocol}"
trading = {{ gateway = "ccxt" }}
[[venues]]
name = "beta"
[[instruments]]
venue = "alpha"
symbol = "BTC/USDT"
{native}
tick_size = "0.1"
lot_size = "0.00001"
maker_fee = "0.0001"
taker_fee = "0.0002"
[[instruments]]
venue = "beta"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00001"
maker_fee = "0.0001"
taker_fee = "0.0002"
[scanner]
profit_min_bps = 0.1
quantity_max = {{ BTC = "0.05" }}
[risk]
order_notional_max = "5000"
position_max = {{ BTC = "2" }}
[[bots]]
name = "arb"
symbols = ["BTC/USDT"]
cooldown_ms = 50
groups_max = 2
[exchange]
noise_bps = 8
events_per_second = 60
limits = false
prices = {{ "BTC/USDT" = "60000" }}
[exchange.balances.alpha]
BTC = "5"
USDT = "500000"
[exchange.balances.beta]
BTC = "5"
USDT = "500000"
[[exchange.faults.plan]]
kind = "error_done"
wire = "{protocol}"
endpoint = "POST *rder*"
chance = 0.04
[[exchange.faults.plan]]
kind = "drop_frame"
wire = "{protocol}"
endpoint = "executionReport"
chance = 0.04
"""


@pytest.fixture(autouse=True)
def guard() -> Iterator[None]:
    """No other host."""
    with loopback_only():
        yield


def text_of(folder: Path, protocol: str) -> str:
    """The configuration."""
    native = 'native = "BTCUSDT"' if protocol == "binance" else ""
    return CONFIG.format(folder=folder, protocol=protocol, native=native)


@pytest.mark.parametrize("protocol", ["binance", "kraken"])
async def test_a_run_through_ccxt_ends_with_equal_accounts(tmp_path: Path, protocol: str) -> None:
    """Orders, fills and balances, though answers and frames were lost."""
    text = text_of(tmp_path, protocol)
    solo = SoloRun(parse(text, "test"), text)
    exchange = solo.exchange = ExchangeProcess(solo.folder / "config.toml")
    try:
        await asyncio.to_thread(exchange.wait_ready)

        def look() -> None:
            if solo.loop.page.get(PageCounter.ORDERS_SENT) >= ORDERS:
                solo.directory.stop_wanted = True

        quiet = await solo.serve(LONGEST_S, look)
        comparison = await asyncio.to_thread(
            compare_accounts, solo.config, exchange.url, solo.ledger
        )
    finally:
        solo.close()
    assert solo.loop.error == ""
    assert quiet
    assert comparison.holds, comparison.lines()
    (verdict,) = verify_run(solo.config, solo.folder)
    assert verdict.differences == ()
    told = Counter[str]()
    for segment in segments(solo.folder / "solo"):
        for record in [*read_journal(segment), *read_inbox(segment)]:
            message = decode(record.data)
            if isinstance(message, Answer) and message.venue == 0:
                told[message.failure or "answer"] += 1
            elif isinstance(message, Connected) and (message.venue, message.connection) == (0, 1):
                told["private connection"] += 1
            elif isinstance(message, Fill) and message.venue == 0:
                told["fill"] += 1
            elif isinstance(message, OrderEvent) and message.state is OrderState.UNKNOWN:
                told["unknown"] += 1
    assert told["fill"] >= FILLS
    assert told["answer"] >= FILLS
    assert told["private connection"] >= 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((('protocol = "binance"', 'protocol = "simulated"'),), "ccxt does not speak"),
        (
            (
                ('protocol = "binance"', 'kind = "watch"\nprotocol = "bitfinex"'),
                ('name = "through', 'mode = "sandbox"\nname = "through'),
            ),
            "no trading on bitfinex through ccxt: its client order ids are numbers",
        ),
    ],
)
def test_where_ccxt_cannot_trade_is_said_at_the_start(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], said: str
) -> None:
    """With the place in the configuration."""
    text = text_of(tmp_path, "binance").partition("[[exchange.faults")[0]
    text = text.replace('[[venues]]\nname = "beta"', '[[venues]]\nname = "beta"\n#')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    if "sandbox" in text:
        text = text.replace(
            'name = "beta"\n#',
            'name = "beta"\nkind = "watch"\nprotocol = "okx"\ntrading = { gateway = "none" }',
        )
    config = parse(text, "test")
    with pytest.raises(ConfigError, match=rf"venues\[0\].trading.gateway: {said}"):
        make_trading(config, 0, instruments_of(config))
