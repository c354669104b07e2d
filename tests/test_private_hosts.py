"""No mode but live reaches a live private host; secrets show nowhere."""

import pickle
import pprint
import traceback

import ccxt
import pytest

from engine.config import ConfigError, parse
from engine.edges.private_hosts import HostRefused, PrivateHosts, hosts_in
from engine.edges.secrets import Secret, keys_of

BINANCE = hosts_in(ccxt.binance().urls["api"])
LIVE = "https://api.binance.com/api/v3/order"
CONFIG = """
name = "keys"
mode = "MODE"
[[venues]]
name = "binance"
kind = "watch"
protocol = "binance"
[venues.trading]
gateway = "ccxt"
key_env = "THE_KEY"
secret_env = "THE_SECRET"
[[instruments]]
venue = "binance"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.00001"
"""


@pytest.mark.parametrize("mode", ["simulated", "paper", "sandbox"])
def test_no_other_mode_reaches_a_live_host(mode: str) -> None:
    """Every host of the exchange's production is refused, by name."""
    hosts = PrivateHosts(mode, BINANCE)
    assert "api.binance.com" in BINANCE
    for host in BINANCE:
        with pytest.raises(HostRefused, match=host):
            hosts.check(f"https://{host}/api/v3/order")


def test_a_sandbox_reaches_the_testnet_and_the_others_loopback_only() -> None:
    """What each mode may reach."""
    testnet = "https://testnet.binance.vision/api/v3/order"
    PrivateHosts("sandbox", BINANCE).check(testnet)
    PrivateHosts("live", BINANCE).check(LIVE)
    for mode in ("simulated", "paper"):
        PrivateHosts(mode).check("http://127.0.0.1:9000/alpha/binance/api/v3/order")
        for url in (testnet, "", "/api/v3/order", "https://127.0.0.1.evil.example/"):
            with pytest.raises(HostRefused):
                PrivateHosts(mode).check(url)


def test_a_secret_shows_nowhere() -> None:
    """Not in a text, an error's traceback, a print or a file."""
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", pprint.pformat([secret])]
    try:
        raise ValueError(secret)
    except ValueError as error:
        shown += traceback.format_exception(error)
    assert not any("hunter2" in text for text in shown)
    with pytest.raises(TypeError, match="not written"):
        pickle.dumps(secret)
    assert secret.reveal() == "hunter2"


def test_paper_never_looks_for_real_keys() -> None:
    """The environment has them, and they are not read."""
    config = parse(CONFIG.replace("MODE", "paper"), "keys")
    keys = keys_of(config, 0, {"THE_KEY": "real", "THE_SECRET": "real"})
    assert keys is not None
    assert "real" not in (keys.key.reveal(), keys.secret.reveal())


def test_a_watched_venue_has_no_keys_in_simulated_mode() -> None:
    """It is not traded on."""
    config = parse(CONFIG.replace("MODE", "simulated"), "keys")
    assert keys_of(config, 0, {"THE_KEY": "real", "THE_SECRET": "real"}) is None


def test_a_missing_key_is_named_by_its_variable() -> None:
    """And nothing of what is there is told."""
    config = parse(CONFIG.replace("MODE", "sandbox"), "keys")
    with pytest.raises(ConfigError, match="THE_SECRET is not set") as caught:
        keys_of(config, 0, {"THE_KEY": "real"})
    assert "real" not in str(caught.value)
    keys = keys_of(config, 0, {"THE_KEY": "k", "THE_SECRET": "s"})
    assert keys is not None
    assert (keys.key.reveal(), keys.secret.reveal()) == ("k", "s")
