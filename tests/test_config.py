"""Configurations: what does not hold names the file, the key and what was expected."""

from pathlib import Path
from typing import get_args

import pytest

from engine.assembly import HANDLERS
from engine.config import Config, ConfigError, Protocol, instruments_of, parse

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()


def account(more: str) -> str:
    """The exchange's table with an account main before it, and more in that."""
    return f'[[exchange.accounts]]\nname = "main"\n{more}\n[exchange]'


def test_the_demo_parses() -> None:
    """Three venues, six instruments, one bot."""
    config = parse(DEMO, "demo.toml")
    assert isinstance(config, Config)
    assert [venue.name for venue in config.venues] == ["alpha", "beta", "gamma"]
    assert len(instruments_of(config)) == 6


def test_a_protocol_that_may_be_named_has_a_handler() -> None:
    """And a handler that is there may be named: the configuration cannot ask who has one."""
    assert set(get_args(Protocol)) == set(HANDLERS)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seed = 7", "sead = 7", "demo.toml: .*sead"),
        ("seed = 7", 'seed = "seven"', "demo.toml: seed: Expected `int`"),
        ("seed = 7", "seed = -1", "demo.toml: seed: Expected `int` >= 0"),
        ('mode = "simulated"', 'mode = "live"', r"venues\[0\].kind: mode 'live' trades on no"),
        ('mode = "simulated"', 'mode = "fast"', "mode: Invalid enum value"),
        ("port = 8090", "port = 70000", "api.port: Expected `int` <= 65535"),
        ("port = 8090", 'port = 1\nhost = "0.0.0.0"', "api.host"),
        ("port = 8090", 'port = 1\nsecret = "x"', "api.secret: a secret does not belong"),
        (
            'name = "beta"',
            'name = "beta"\n[venues.trading]\nsecret_env = "no variable"',
            "secret_env: Expected `str` matching",
        ),
        (
            'kind = "arbitrage"',
            'kind = "magic"',
            r"bots\[0\]: kind: 'magic' is neither",
        ),
        ('kind = "arbitrage"', 'kind = "a b:C"', r"bots\[0\].kind: Expected `str` matching"),
        ('name = "beta"', 'name = "alpha"', r"venues\[1\].name: 'alpha' is there twice"),
        ('venue = "beta"', 'venue = "delta"', r"instruments\[2\].venue: one of alpha, beta"),
        ('tick_size = "0.05"', 'tick_size = "0"', "instruments: BTC/USDT: .*above zero"),
        ('tick_size = "0.05"', 'tick_size = "a"', r"tick_size: Expected `str` matching"),
        ('symbols = ["BTC/USDT", "ETH/USDT"]', 'symbols = ["X/Y"]', "no instrument has .*X/Y"),
        ("[exchange]", '[exchange]\nqueue_model = "exact"', "exchange.queue_model: Invalid enum"),
        (
            "[exchange]",
            "[exchange]\nqueue_power = 0.0",
            "exchange.queue_power: Expected `float` > 0",
        ),
        ("[risk]", '[risk]\nposition_max_share = "2"', "risk.position_max_share: Expected `str`"),
        ("[risk]", '[risk]\ntargets = { DOGE = "1" }', "risk.targets.DOGE: no instrument has"),
        ("[risk]", '[risk]\ngross_max = "1"\nnet_max = "2"', "risk.net_max: 2 is above risk.gross"),
        (
            "[[bots]]",
            '[risk.levels]\ndaily_loss = { caution = "0.05", halt = "0.04" }\n[[bots]]',
            "risk.levels.daily_loss.halt: 0.04 is not above caution = 0.05",
        ),
        (
            "[[bots]]",
            "[risk.levels]\nlatency_ms = { caution = 20, restricted = 10 }\n[[bots]]",
            "risk.levels.latency_ms.restricted: 10 is not above caution = 20",
        ),
        (
            "[[bots]]",
            "[risk.bots.arb]\norders_open_max = 21\n[[bots]]",
            "risk.bots.arb.orders_open_max: 21 is above risk.orders_open_max = 20",
        ),
        ("[[bots]]", "[risk.bots.nobody]\n[[bots]]", "risk.bots.nobody: no bot has this name"),
        ("[[bots]]", "[risk.venues.delta]\n[[bots]]", "risk.venues.delta: no venue has this name"),
        (
            "[[bots]]",
            '[risk.instruments."BTC/USDT"]\norder_notional_max = "5001"\n[[bots]]',
            "order_notional_max: above risk.order_notional_max = 5000",
        ),
        (
            "[[bots]]",
            '[risk.instruments."BTC/USDT"]\nprice_distance_max_bps = 51\n[[bots]]',
            "price_distance_max_bps: above risk.price_distance_max_bps = 50",
        ),
        (
            "[[bots]]",
            '[risk.clusters.a]\nassets = ["BTC"]\nexposure_max = "1"\n'
            '[risk.clusters.b]\nassets = ["BTC"]\nexposure_max = "1"\n[[bots]]',
            "risk.clusters.b.assets: BTC is in the cluster 'a' too",
        ),
        ("heartbeat_ms = 250", "heartbeat_ms = 1", "engine.heartbeat_ms: Expected `int` >= 20"),
        (
            'currency = "USDT"',
            'currency = "EUR"',
            "ledger.currency: no instrument has 'EUR'",
        ),
        ('currency = "USDT"', 'ignored = ["USDT"]', "ledger.ignored: 'USDT' is what"),
        (
            'currency = "USDT"',
            'pegs = { XYZ = "USDT" }',
            "ledger.pegs.XYZ: the decimals of XYZ are not known; add assets.XYZ",
        ),
        (
            'currency = "USDT"',
            'rounding = { XYZ = "0.1" }',
            "ledger.rounding.XYZ: the decimals of XYZ are not known",
        ),
        (
            'currency = "USDT"',
            'rounding = { USDT = "99999999999999" }',
            "ledger.rounding: .* does not fit",
        ),
        (
            'currency = "USDT"',
            'pegs = { USDC = "USDC" }',
            "ledger.pegs.USDC: an asset is worth one of itself",
        ),
        ("[exchange.balances.alpha]", "[exchange.balances.omega]", "balances.omega: no venue"),
        ("[exchange]", '[[exchange.accounts]]\nname = "x"\n[exchange]', "one must be 'main'"),
        (
            "[exchange]",
            account('[[exchange.accounts]]\nname = "main"'),
            r"accounts\[1\].name: 'main' is there",
        ),
        ("[exchange]", account("[exchange.accounts.balances.omega]"), r"balances.omega: no venue"),
        (
            "[exchange]",
            account('tier = [{ volume = 5, maker = "0", taker = "0" }]'),
            r"\[0\].tier: one step",
        ),
        (
            "[exchange]",
            account('tier = [{ maker = "0", taker = "1" }]'),
            r"taker: Expected `str` matching",
        ),
        ('position_max = { BTC = "0.5"', 'position_max = { DOGE = "1"', "position_max.DOGE"),
        ("[scanner]", '[placement]\nx = ["nobody"]\n[scanner]', "placement.x: 'nobody'"),
        ("[scanner]", "[scanner", "demo.toml: not TOML"),
    ],
)
def test_what_does_not_hold_is_named(old: str, new: str, says: str) -> None:
    """The message has the file, the key's path and what was expected."""
    assert old in DEMO
    with pytest.raises(ConfigError, match=says) as raised:
        parse(DEMO.replace(old, new, 1), "demo.toml")
    assert str(raised.value).startswith("demo.toml: ")


def test_accounts_of_the_exchange() -> None:
    """Without any there is the one that the engine trades with; more may have tiers and balances."""
    assert [each.name for each in parse(DEMO, "demo").exchange.accounts] == ["main"]
    more = """tier = [{ maker = "-0.0001", taker = "0.0003" }, { maker = "0", taker = "0", volume = 9 }]
[[exchange.accounts]]
name = "second"
[exchange.accounts.balances.alpha]
BTC = "1"
"""
    main, second = parse(DEMO.replace("[exchange]", account(more)), "demo").exchange.accounts
    assert [step.volume for step in main.tier] == [0, 9]
    assert second.balances == {"alpha": {"BTC": "1"}}


def test_an_asset_without_decimals_says_where_to_put_them() -> None:
    """Not a guess: a line to add."""
    text = DEMO.replace("BTC/USDT", "DOGE/USDT").replace("BTC", "DOGE")
    with pytest.raises(ConfigError, match=r"add assets\.DOGE"):
        parse(text, "demo.toml")


@pytest.mark.parametrize("name", ["demo", "watch"])
def test_the_configurations_that_come_along_hold(name: str) -> None:
    """And the engine has a handler for each of their protocols."""
    from engine.assembly import HANDLERS, build_all, solo_topology

    path = Path(__file__).parent.parent / "configs" / f"{name}.toml"
    config = parse(path.read_text(), name)
    assert {venue.protocol for venue in config.venues} <= set(HANDLERS)
    assert build_all(config, solo_topology(config), instruments_of(config))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('kind = "watch"\n', r"venues\[0\].protocol: name the exchange's protocol"),
        (
            'kind = "simulated"\nstream_url = "wss://x"\n',
            r"venues\[0\].stream_url: only a venue of kind 'watch' has addresses",
        ),
        ('kind = "watch"\nprotocol = "kraken"\nstream_url = "kraken.com"\n', "stream_url"),
        (
            'kind = "watch"\nprotocol = "kraken"\nredundancy = 3\n',
            "redundancy: Expected `int` <= 2",
        ),
    ],
)
def test_a_venue_that_cannot_be_watched_is_refused(lines: str, says: str) -> None:
    """By the place in the file and the mend."""
    text = f'name = "w"\n[[venues]]\nname = "a"\n{lines}'
    with pytest.raises(ConfigError, match=says):
        parse(f"instruments = []\n{text}", "w.toml")
