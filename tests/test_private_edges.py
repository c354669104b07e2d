"""Where a natively traded venue's account is asked, by its mode: no other mode reaches a live host."""

import pytest

from engine.assembly import build_all, make_trading, solo_topology
from engine.config import Config, ConfigError, instruments_of, parse
from engine.edges.private_edges import open_private, private_endpoint, served
from engine.messages import AnyMessage
from engine.venue import Venue
from engine.venues.binance_trading import BinanceTrading
from engine.venues.kraken_trading import KrakenTrading

EXCHANGE = "ws://127.0.0.1:7000"
NATIVE = {"binance": "BTCUSDT", "kraken": "BTC/USDT"}


def configured(protocol: str, mode: str, kind: str = "watch", more: str = "") -> Config:
    """One venue."""
    return parse(
        f'name = "edges"\nmode = "{mode}"\n'
        f'[[venues]]\nname = "v"\nkind = "{kind}"\nprotocol = "{protocol}"\n'
        f'[venues.trading]\nkey_env = "THE_KEY"\nsecret_env = "THE_SECRET"\n{more}\n'
        f'[[instruments]]\nvenue = "v"\nsymbol = "BTC/USDT"\nnative = "{NATIVE[protocol]}"\n'
        'tick_size = "0.01"\nlot_size = "0.00001"\n',
        "edges.toml",
    )


def venue_of(config: Config) -> Venue:
    """The component."""
    parts = build_all(config, solo_topology(config), instruments_of(config))
    return next(part for part in parts if isinstance(part, Venue))


class Nobody:
    """An inbox that hears nothing."""

    def inject(self, message: AnyMessage) -> None:
        """Not called."""
        raise AssertionError(message)

    def next_shell_sequence(self) -> int:
        """A number."""
        return 1


@pytest.mark.parametrize("protocol", ["binance", "kraken"])
@pytest.mark.parametrize(("mode", "kind"), [("simulated", "simulated"), ("paper", "watch")])
def test_simulated_and_paper_accounts_are_at_our_own_exchange(
    protocol: str, mode: str, kind: str
) -> None:
    """Both addresses, whatever keys the environment has."""
    endpoint = private_endpoint(configured(protocol, mode, kind), 0, EXCHANGE)
    assert endpoint.rest == f"http://127.0.0.1:7000/v/{protocol}"
    assert endpoint.stream.startswith(f"{EXCHANGE}/v/{protocol}/")


@pytest.mark.parametrize("protocol", ["binance", "kraken"])
def test_only_live_is_at_the_exchange(protocol: str) -> None:
    """Its production hosts."""
    endpoint = private_endpoint(configured(protocol, "live"), 0, "")
    assert endpoint.rest == f"https://api.{protocol}.com"


def test_a_venue_that_is_only_watched_has_no_account() -> None:
    """In simulated mode, or by its configuration: no protocol, no edge, no key that is looked for."""
    for config in (
        configured("binance", "simulated"),
        configured("kraken", "live", more='gateway = "none"'),
    ):
        assert make_trading(config, 0, instruments_of(config)) is None
        assert open_private(Nobody(), lambda: 1, config, venue_of(config), EXCHANGE) is None


def test_a_missing_key_is_named_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its variable."""
    config = configured("kraken", "live")
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(ConfigError, match="THE_KEY is not set"):
        open_private(Nobody(), lambda: 1, config, venue_of(config), "")


def test_who_trades_by_which_protocol() -> None:
    """And with which limits: those of the account's tier, none on an exchange without."""
    config = configured("binance", "live")
    assert isinstance(make_trading(config, 0, instruments_of(config)), BinanceTrading)
    config = configured("kraken", "live", more='tier = "pro"')
    made = make_trading(config, 0, instruments_of(config))
    assert isinstance(made, KrakenTrading)
    assert [budget.limit for budget in made.budgets] == [20, 180]
    text = "[exchange]\nlimits = false\n"
    free = configured("kraken", "simulated", "simulated", f"{text}\n")
    made = make_trading(free, 0, instruments_of(free))
    assert isinstance(made, KrakenTrading)
    assert all(budget.limit > 10**9 for budget in made.budgets)


def test_a_served_venue_has_the_addresses_of_its_market_data() -> None:
    """Below its wire."""
    settings = configured("binance", "simulated", "simulated").venues[0]
    at = served(settings, EXCHANGE)
    assert at.stream_url == f"{EXCHANGE}/v/binance/stream"
    assert at.rest_url == "http://127.0.0.1:7000/v/binance"
    settings = configured("kraken", "simulated", "simulated").venues[0]
    assert served(settings, EXCHANGE).stream_url == f"{EXCHANGE}/v/kraken/v2"


def test_a_protocol_that_is_not_served_and_a_name_that_is_not_binances_are_errors() -> None:
    """Each names the place and what is expected."""
    text = (
        'name = "e"\n[[venues]]\nname = "v"\nprotocol = "PROTOCOL"\n[[instruments]]\nvenue = "v"\n'
    )
    text += 'symbol = "BTC/USDT"\ntick_size = "0.01"\nlot_size = "0.00001"\n'
    with pytest.raises(ConfigError, match=r"venues\[0\].protocol: .*simulated, binance, kraken"):
        parse(text.replace("PROTOCOL", "okx"), "e.toml")
    with pytest.raises(ConfigError, match=r"instruments\[0\].native: .*'BTCUSDT'"):
        parse(text.replace("PROTOCOL", "binance"), "e.toml")
    parse(text.replace("PROTOCOL", "kraken"), "e.toml")
