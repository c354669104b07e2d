"""What is said of ccxt before anything is opened, and how its numbers, books and addresses are taken."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.__main__ import Refused, app
from engine.config import ConfigError, parse
from engine.edges.ccxt_client import Patience, client_class, decimal_text, levels_of, redirected
from engine.edges.doctor import check_exchange

CONFIG = """
name = "ccxt"
[api]
port = 0
[[venues]]
name = "crypto"
kind = "watch"
protocol = "ccxt"
exchange = "cryptocom"
[[instruments]]
venue = "crypto"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00001"
"""


# --- what is refused before anything is opened --------------------------------------------------------


def test_an_unknown_exchange_is_refused_with_what_is_near() -> None:
    """A slip in a name costs one line, not a run."""
    with pytest.raises(ConfigError, match=r"exchange geminy: .*near: .*gemini"):
        client_class("geminy")
    assert check_exchange("gemini").ok
    assert "no websocket client" in check_exchange("zaif").what


def test_without_ccxt_the_cure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """ccxt is an extra; only these venues need it."""
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(ConfigError, match=r"pip install 'crypto-orchestrator\[venues\]'"):
        client_class("gemini")


@pytest.mark.parametrize(
    ("old", "new"),
    [('exchange = "cryptocom"\n', ""), ('protocol = "ccxt"', 'protocol = "kraken"')],
)
def test_the_exchange_belongs_to_the_protocol(old: str, new: str) -> None:
    """Required for ccxt, refused for all others."""
    assert old in CONFIG
    with pytest.raises(ConfigError, match=r"venues\[0\].exchange: protocol 'ccxt' needs"):
        parse(CONFIG.replace(old, new), "test")


def test_a_run_with_an_unknown_exchange_does_not_begin(tmp_path: Path) -> None:
    """The command says in one line what is wrong."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.replace("cryptocom", "criptocom"))
    done = CliRunner().invoke(app, ["run", str(path), "--runtime", "solo"])
    assert isinstance(done.exception, Refused)
    assert "exchange criptocom: ccxt knows no exchange of this id" in str(done.exception)
    assert "near: cryptocom" in str(done.exception)


# --- numbers, levels and addresses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (22252.37, "22252.37"), (1e-08, "0.00000001"), (0.1 + 0.2, "0.3"), (5.0, "5"), (7, "7"),
        (1e21, "1000000000000000000000"), (123456789012.345, "123456789012.345"),
    ],
)  # fmt: skip
def test_floats_become_the_decimals_they_mean(number: float, text: str) -> None:
    """15 significant digits, and no exponent."""
    assert decimal_text(number) == text


def test_orders_of_one_price_are_one_level() -> None:
    """Books by order id hold several entries at a price."""
    side = [[1.5, 1.0, "a"], [1.5, 0.1, "b"], [1.4, 2.0, "c"], [1.3, 1.0, "d"]]
    assert levels_of(side, 2) == [("1.5", "1.1"), ("1.4", "2")]


def test_addresses_keep_their_paths() -> None:
    """Only what stands before them is replaced, and only where the configuration says so."""
    urls = {"v1": "https://a.b/c/v1", "ws": {"public": "wss://s.b/m"}, "none": None}
    assert redirected(urls, "http://x:1", "ws://x:2/") == {
        "v1": "http://x:1/c/v1",
        "ws": {"public": "ws://x:2/m"},
        "none": None,
    }
    assert redirected(urls, "", "") == urls


def test_a_quiet_market_is_begun_anew_less_and_less() -> None:
    """As long as its levels stay the same; other symbols have a patience of their own."""
    patience = Patience(1.0)
    spent = [now for now in range(100) if patience.spends("A", b"same", float(now))]
    assert spent == [0, 1, 3, 7, 15, 31, 63]
    assert patience.spends("B", b"same", 64.0)
    patience.changed("A", b"same")
    assert not patience.spends("A", b"same", 65.0)
    patience.changed("A", b"other")
    assert patience.spends("A", b"other", 65.0)
