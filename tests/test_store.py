"""The store on real databases: what the journal says is what the tables say, whatever breaks meanwhile."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from engine.__main__ import app
from engine.config import ConfigError, parse
from engine.edges.store import schema
from engine.edges.store.database import Database, StoreError, url_of
from engine.edges.store.projector import Projector
from engine.messages import (
    BUY,
    SELL,
    BalanceUpdate,
    BookPnL,
    Difference,
    DifferenceKind,
    Fill,
    InstrumentReloaded,
    OrderCommand,
    OrderEvent,
    OrderIntent,
    OrderRefused,
    OrderState,
    PositionUpdate,
    Reason,
    Risk,
    RiskLevel,
    Scope,
    SetLimit,
    TimeInForce,
    Transfer,
)
from engine.store_config import StoreConfig
from tests.store_rig import CONFIG, Shop, on_server, shops


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    """A run with a store of each kind."""
    yield from shops(request.param, tmp_path, monkeypatch)


def intent(shop: Shop, name: str = "o1", side: int = BUY) -> OrderIntent:
    """Buy 0.002 at 100.50 on alpha."""
    return OrderIntent(
        shop.bot, 1, 0, name, shop.bot, 1, 0, 0, 0, side, 10_050, 20, TimeInForce.IOC, 9
    )


def event(shop: Shop, state: OrderState, name: str = "o1", filled: int = 0) -> OrderEvent:
    """What became of it."""
    told = (shop.bot, 0, 0, BUY, 10_050, 20, filled, state, Reason.NONE, "v-1")
    return OrderEvent(1, 2, 0, name, *told)


def fill(shop: Shop, trade: str, name: str = "o1", lots: int = 20) -> Fill:
    """A fill of it, its fee in bitcoin."""
    told = (shop.bot, 0, 0, BUY, 10_050, lots, 3, "BTC", trade, False)
    return Fill(1, 3, 0, name, *told)


def caught_up(shop: Shop) -> Projector:
    """A projector that has read everything."""
    projector = Projector(shop.folder, shop.config)
    assert projector.catch_up(threading.Event())
    return projector


def wait_for(shop: Shop, count: int) -> None:
    """Until so many fills are in the table; a database that is away meanwhile is asked again."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if len(shop.rows(schema.FILLS)) >= count:
                return
        except Exception:  # noqa: BLE001 -- dropped, or not made again yet
            time.sleep(0.05)  # between two looks at the condition
    raise AssertionError(f"{count} fills did not come")


def test_an_orders_life_is_one_row(shop: Shop) -> None:
    """From intent to its last word, exact, with its events and its fill beside it."""
    shop.say(10, intent(shop))
    shop.say(11, OrderCommand(shop.risk, 1, 0, intent(shop), 1))
    shop.say(12, event(shop, OrderState.SENT))
    shop.say(13, fill(shop, "t1"), event(shop, OrderState.FILLED, filled=20))
    caught_up(shop)
    (order,) = shop.rows(schema.ORDERS)
    assert order == {
        "client_order_id": "o1",
        "bot": "arb",
        "venue": "alpha",
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": Decimal("100.50"),
        "quantity": Decimal("0.0020"),
        "time_in_force": "IOC",
        "parent": "",
        "intended_ns": 10,
        "stage": 3,
        "state": "FILLED",
        "reason": "NONE",
        "filled": Decimal("0.0020"),
        "venue_order_id": "v-1",
        "updated_ns": 13,
    }
    assert [row["state"] for row in shop.rows(schema.ORDER_EVENTS, "record")] == ["SENT", "FILLED"]
    (filled,) = shop.rows(schema.FILLS)
    assert (filled["price"], filled["notional"]) == (Decimal("100.50"), Decimal("0.201"))
    assert (filled["fee"], filled["fee_asset"]) == (Decimal("0.00000003"), "BTC")


def test_actors_may_be_read_in_any_order(shop: Shop) -> None:
    """In a cluster each has a journal of its own: a venue's last word may be read before the intent."""
    shop.say(30, fill(shop, "t1"), event(shop, OrderState.FILLED, filled=20), actor="a-venue")
    projector = caught_up(shop)
    shop.say(20, OrderCommand(shop.risk, 1, 0, intent(shop), 1), actor="b-risk")
    assert projector.catch_up(threading.Event())
    shop.say(10, intent(shop), actor="c-bot")
    assert projector.catch_up(threading.Event())
    (order,) = shop.rows(schema.ORDERS)
    assert (order["state"], order["updated_ns"]) == ("FILLED", 30)
    assert (order["intended_ns"], order["time_in_force"]) == (10, "IOC")


def test_money_and_risk_are_there_with_names(shop: Shop) -> None:
    """The last word of what changes; each word of what happened."""
    shop.say(
        5,
        PositionUpdate(5, 1, 0, "BTC", "USDT", 1, 1, 1, 1),
        PositionUpdate(5, 2, 0, "BTC", "USDT", -200_000, -(2**62), 3, 4),
        BalanceUpdate(5, 3, 0, 1, "BTC", 150_000_000, 7),
        BookPnL(5, 4, 0, shop.bot, 0, "BTC", "USDT", 1, 2, 3, 4, -5, 6, 7),
        OrderRefused(4, 1, 0, "o9", shop.bot, 1, Reason.POSITION, 10, 12),
        RiskLevel(4, 2, 0, Risk.RESTRICTED, Reason.DAILY_LOSS),
        SetLimit(0, 1, 0, Scope.ASSET, "BTC", "position_max", "0.50", "ann"),
        Difference(1, 5, 0, 1, DifferenceKind.BALANCE_DRIFT, "BTC", 5, 6, True),
        Transfer(1, 6, 0, 1, "USDT", -250_000_000, "w-1", "withdrawal"),
    )
    caught_up(shop)
    (position,) = shop.rows(schema.POSITIONS)
    assert position["quantity"] == Decimal("-0.00200000")
    assert position["cost"] == Decimal(-(2**62)).scaleb(-8), "to the last unit: no float on the way"
    (balance,) = shop.rows(schema.BALANCES)
    assert (balance["venue"], balance["total"]) == ("beta", Decimal("1.5"))
    (book,) = shop.rows(schema.PNL)
    assert (book["bot"], book["venue"], book["base"]) == ("arb", "alpha", "BTC")
    assert (book["realised_fifo"], book["unrealised"]) == (Decimal("3E-8"), Decimal("-5E-8"))
    refused, level, limit = shop.rows(schema.RISK_EVENTS, "record")
    assert (refused["kind"], refused["reason"], refused["value"]) == (
        "order refused",
        "POSITION",
        Decimal(12),
    )
    assert (level["level"], level["reason"]) == ("RESTRICTED", "DAILY_LOSS")
    assert (limit["subject"], limit["limit_value"]) == ("ASSET BTC position_max", Decimal("0.5"))
    (difference,) = shop.rows(schema.DIFFERENCES)
    assert (difference["kind"], difference["repaired"]) == ("BALANCE_DRIFT", True)
    (moved,) = shop.rows(schema.TRANSFERS)
    assert (moved["amount"], moved["transfer_id"]) == (Decimal("-2.5"), "w-1")
    (order,) = shop.rows(schema.ORDERS)
    assert (order["state"], order["venue"], order["side"]) == ("REJECTED", "beta", None)


def test_a_reloaded_grid_counts_from_there_on(shop: Shop) -> None:
    """Ticks and lots of before are not counted on it."""
    shop.say(1, fill(shop, "t1"))
    shop.say(2, InstrumentReloaded(1, 9, 0, 0, "0.1", "0.001"))
    shop.say(3, fill(shop, "t2"))
    caught_up(shop)
    prices = [row["price"] for row in shop.rows(schema.FILLS, "trade_id")]
    assert prices == [Decimal("100.5"), Decimal("1005.0")]


def test_what_is_read_twice_is_there_once(shop: Shop) -> None:
    """A projector killed between any two steps, its cursor with its rows; a fill told again too."""
    for number in range(50):
        name = f"o{number}"
        shop.say(number, intent(shop, name), fill(shop, f"t{number}", name))
        shop.say(number, fill(shop, f"t{number}", name), event(shop, OrderState.FILLED, name, 20))
        if number % 17 == 16:
            shop.begin("solo")
    steps = 0
    while True:
        projector = Projector(shop.folder, shop.config)  # each step by another
        projector._begin()
        taken = projector.step()
        projector.database.close()
        if not taken:
            break
        steps += 1
    assert steps >= 200 // 7
    assert len(shop.rows(schema.FILLS)) == len(shop.rows(schema.ORDERS)) == 50
    assert len(shop.rows(schema.ORDER_EVENTS)) == 50
    (cursor,) = shop.rows(schema.CURSORS)
    assert (cursor["part"], cursor["segments_lost"]) == (2, 0)


def test_journals_that_went_unread_are_counted(shop: Shop) -> None:
    """It goes on with what there is, and says how much is missing."""
    shop.say(1, fill(shop, "t1"))
    projector = caught_up(shop)
    for number in range(2, 6):
        shop.begin("solo")
        shop.say(number, fill(shop, f"t{number}"))
    for part in (1, 2, 3):
        (shop.folder / "solo" / f"000001-{part:06d}.journal").unlink()
    assert projector.catch_up(threading.Event())
    assert [row["trade_id"] for row in shop.rows(schema.FILLS, "trade_id")] == ["t1", "t5"]
    assert shop.rows(schema.CURSORS)[0]["segments_lost"] == 3


def test_the_database_may_go_while_it_is_followed(shop: Shop) -> None:
    """Dropped for real, with everything in it: made again, and caught up from the first journal."""
    follower = start(shop)
    try:
        for number in range(20):
            shop.say(number, fill(shop, f"t{number}"))
        wait_for(shop, 20)
        drop(shop)
        for number in range(20, 40):
            shop.say(number, fill(shop, f"t{number}"))
        wait_for(shop, 40)
        drop(shop)
        wait_for(shop, 40)
    finally:
        follower.terminate()
        assert follower.wait(20) == 0
    assert len(shop.rows(schema.FILLS)) == 40


def start(shop: Shop) -> "subprocess.Popen[bytes]":
    """`orchestrator store follow` on the run's folder."""
    command = [sys.executable, "-m", "engine", "store", "follow", str(shop.folder)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def rebuild(shop: Shop) -> Result:
    """`orchestrator store rebuild` on the run's folder."""
    return CliRunner().invoke(app, ["store", "rebuild", str(shop.folder)])


def drop(shop: Shop) -> None:
    """The database is gone."""
    if shop.url.startswith("sqlite"):
        for path in shop.state.glob("store.sqlite*"):
            path.unlink()
        return
    on_server(f"DROP DATABASE {shop.url.rpartition('/')[2]} WITH (FORCE)")


def test_one_command_makes_it_again(shop: Shop) -> None:
    """The same rows as before, from the journal alone; refused where the journal begins too late."""
    for number in range(30):
        name = f"o{number}"
        shop.say(number, intent(shop, name), fill(shop, f"t{number}", name))
    caught_up(shop)
    tables = (schema.ORDERS, schema.FILLS, schema.CURSORS)
    before = [shop.rows(table, *table.primary_key.columns.keys()) for table in tables]
    engine = shop.engine()
    with engine.begin() as connection:
        connection.execute(schema.FILLS.update().values(price=Decimal(1)))
    engine.dispose()
    done = rebuild(shop)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "60 records into" in done.stdout
    assert [shop.rows(table, *table.primary_key.columns.keys()) for table in tables] == before
    shop.begin("solo")
    (shop.folder / "solo" / "000001-000000.journal").unlink()
    done = rebuild(shop)
    assert done.exit_code == 2
    assert "is the first journal that is kept" in done.stderr
    assert len(shop.rows(schema.FILLS)) == 30


def test_one_follower_at_a_time(shop: Shop) -> None:
    """A rebuild beside it would fill what it deletes."""
    shop.say(1, fill(shop, "t1"))
    follower = start(shop)
    try:
        wait_for(shop, 1)
        done = rebuild(shop)
        assert done.exit_code == 2
        assert f"held by process {follower.pid} (store)" in done.stderr
    finally:
        follower.terminate()
        assert follower.wait(20) == 0


def test_the_migrations_make_what_the_tables_say(shop: Shop) -> None:
    """Alembic finds nothing to change after them."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    caught_up(shop)
    engine = shop.engine()
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.METADATA) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ('url = "postgresql://me:secret@host/db"', "store.url"),
        ('url = "postgresql://me@host/db"\npath = "x"', "one of path, url and url_env"),
        ('url = "mysql://me@host/db"', "store.url"),
    ],
)
def test_a_store_that_cannot_be_is_named(store: str, words: str) -> None:
    """A password in a configuration above all."""
    with pytest.raises(ConfigError, match=words) as wrong:
        parse(CONFIG.format(state="runs", store=store), "test")
    assert "secret" not in str(wrong.value)


def test_an_environment_that_says_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is opened."""
    with pytest.raises(StoreError, match="NOWHERE is not set"):
        url_of(StoreConfig(url_env="NOWHERE"), tmp_path)
    monkeypatch.setenv("NOWHERE", "what is this")
    with pytest.raises(StoreError, match="is no database url") as wrong:
        url_of(StoreConfig(url_env="NOWHERE"), tmp_path)
    assert "what is this" not in str(wrong.value)
    assert Database(url_of(StoreConfig(), tmp_path)).url.database == str(tmp_path / "store.sqlite")


def test_a_sale_is_a_sale(shop: Shop) -> None:
    """Sides by their names."""
    shop.say(1, intent(shop, "s1", SELL))
    caught_up(shop)
    assert shop.rows(schema.ORDERS)[0]["side"] == "sell"
