"""`doctor --live` asks a real client's questions of loopback exchanges, and places nothing there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.__main__ import app
from engine.config import parse
from engine.edges.doctor import Finding
from engine.edges.doctor_live import RIGHTS, examine
from tests import binance_server, kraken_server
from tests.loopback_only import Served, loopback_only

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
TRADER = "t" * 64
CONFIG = """
name = "money"
mode = "MODE"
[[venues]]
name = "there"
kind = "watch"
protocol = "PROTOCOL"
rest_url = "HTTP"
stream_url = "WS"
[venues.trading]
key_env = "THE_KEY"
secret_env = "THE_SECRET"
[[instruments]]
venue = "there"
symbol = "BTC/USDT"
tick_size = "0.1"
lot_size = "0.0001"
notional_min = "5"
maker_fee = "0.0016"
taker_fee = "0.0026"
"""


@pytest.fixture
async def binance() -> AsyncIterator[binance_server.Venue]:
    """A venue that speaks Binance, with one more key that may trade and not withdraw."""
    venue = binance_server.Venue()
    await venue.open()
    secret = binance_server.SECRET.encode()
    venue.exchange.accounts.add_key("main", TRADER, secret, frozenset({"read", "trade"}))
    yield venue
    await venue.close()


async def asked(
    venue: Served, protocol: str, key: str, secret: str, **changes: str
) -> dict[str, Finding]:
    """The findings by name."""
    text = CONFIG.replace("MODE", "live").replace("PROTOCOL", protocol)
    text = text.replace("HTTP", venue.http).replace("WS", venue.ws)
    for name, value in changes.items():
        text = text.replace(name, value)
    with loopback_only():
        findings = await examine(parse(text, "x"), {"THE_KEY": key, "THE_SECRET": secret})
    assert not any(secret in finding.line() or key in finding.line() for finding in findings)
    return {finding.name: finding for finding in findings}


async def test_a_good_key_of_binance(binance: binance_server.Venue) -> None:
    """All is well, and neither an order nor a balance was changed."""
    before = binance.exchange.audit()
    found = await asked(binance, "binance", TRADER, binance_server.SECRET)
    assert [finding.line() for finding in found.values() if not finding.ok] == []
    assert "cannot withdraw" in found["there key"].what
    assert "100000 USDT" in found["there balances"].what
    assert set(found) == {
        *("there key", "there clock", "there balances"),
        *("there BTC/USDT", "there BTC/USDT fees"),
    }
    assert binance.exchange.audit() == before
    assert not any(call.startswith(("POST", "PUT", "DELETE")) for call in binance.wire.asked)


async def test_a_key_that_may_withdraw_is_refused(binance: binance_server.Venue) -> None:
    """Unless the configuration says that it is meant."""
    found = await asked(binance, "binance", binance_server.KEY, binance_server.SECRET)
    assert not found["there key"].ok
    assert "may withdraw money" in found["there key"].what
    meant = {"[venues.trading]": "[venues.trading]\nallow_withdrawal_key = true"}
    found = await asked(binance, "binance", binance_server.KEY, binance_server.SECRET, **meant)
    assert found["there key"].ok


async def test_a_key_that_may_only_read_is_told(binance: binance_server.Venue) -> None:
    """It could not place an order."""
    found = await asked(binance, "binance", binance_server.READ_KEY, binance_server.SECRET)
    assert "NOT trade" in found["there key"].what


async def test_a_wrong_secret_is_said_once_a_question(binance: binance_server.Venue) -> None:
    """Each says that the exchange knows no such key."""
    found = await asked(binance, "binance", TRADER, "wrong")
    assert not found["there rights"].ok
    assert not found["there balances"].ok
    assert "AuthenticationError" in found["there rights"].what
    assert not any(finding.ok for name, finding in found.items() if name != "there clock")


async def test_what_the_configuration_has_wrong_is_named(binance: binance_server.Venue) -> None:
    """A grid finer than the venue's, a notional below its least, fees below its own, no such market."""
    finer = {'"0.1"': '"0.001"', '"5"': '"1"', '"0.0016"': '"0.0001"'}
    found = await asked(binance, "binance", TRADER, binance_server.SECRET, **finer)
    assert "tick_size is 0.001 here" in found["there BTC/USDT"].what
    assert "notional_min is 1 here and 5" in found["there BTC/USDT"].what
    assert "maker 0.001" in found["there BTC/USDT fees"].what
    other = {"BTC/USDT": "DOGE/USDT", "[[inst": "[assets]\nDOGE = 8\n[[inst"}
    found = await asked(binance, "binance", TRADER, binance_server.SECRET, **other)
    assert "no such market" in found["there DOGE/USDT"].what


async def test_a_clock_that_is_off_is_told(binance: binance_server.Venue) -> None:
    """By how much at least."""
    binance.faults.skew_ns = 3_600_000_000_000
    found = await asked(binance, "binance", TRADER, binance_server.SECRET)
    assert not found["there clock"].ok


async def test_kraken_tells_rights_by_name() -> None:
    """The same questions of another exchange."""
    venue = kraken_server.Venue()
    await venue.open()
    key, secret = kraken_server.KEY, kraken_server.SECRET
    try:
        found = await asked(venue, "kraken", key, secret)
        assert "may withdraw money" in found["there key"].what
        assert found["there clock"].ok, found["there clock"].line()
        assert found["there balances"].ok, found["there balances"].line()
    finally:
        await venue.close()


@pytest.mark.parametrize(
    ("exchange", "said", "rights"),
    [
        ("bybit", {"result": {"readOnly": 0, "permissions": {"Wallet": ["Withdraw"]}}}, (1, 1)),
        ("bybit", {"result": {"readOnly": 1, "permissions": {"Spot": ["SpotTrade"]}}}, (0, 0)),
        ("okx", {"data": [{"perm": "read_only,trade"}]}, (1, 0)),
        ("okx", {"data": [{"perm": "read_only,withdraw"}]}, (0, 1)),
        ("kraken", {"result": {"permissions": ["query-funds", "modify-trades"]}}, (1, 0)),
    ],
)
def test_rights_are_read_as_exchanges_document_them(
    exchange: str, said: dict[str, Any], rights: tuple[int, int]
) -> None:
    """Trade, withdraw."""
    assert tuple(map(int, RIGHTS[exchange][1](said))) == rights


async def test_no_mode_but_live_asks_a_live_host() -> None:
    """The client is made and asked for nothing."""
    text = CONFIG.replace("MODE", "sandbox").replace("PROTOCOL", "bitstamp")
    text = text.replace("HTTP", "").replace("WS", "")
    text = text.replace("[venues.trading]", '[venues.trading]\ngateway = "ccxt"')
    text = text.replace('rest_url = ""\nstream_url = ""\n', "")
    with loopback_only():
        (finding,) = await examine(parse(text, "x"), {"THE_KEY": "k", "THE_SECRET": "s"})
    assert not finding.ok


def test_live_trading_is_started_by_nobody_who_did_not_say_so(tmp_path: Any) -> None:
    """No terminal and no flag: refused before anything is opened."""
    path = tmp_path / "live.toml"
    text = CONFIG.replace("MODE", "live").replace("PROTOCOL", "binance")
    path.write_text(text.replace("HTTP", "http://127.0.0.1:1").replace("WS", "ws://127.0.0.1:1"))
    result = CliRunner().invoke(app, ["run", str(path)])
    assert "real orders with real money at there" in str(result.exception)
    assert list(tmp_path.iterdir()) == [path]
