"""The engine trades on while its database is dropped under it, and the tables catch up: all real."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from engine.config import parse
from engine.edges.comparison import compare_accounts
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.solo import SoloRun
from engine.edges.store import schema
from engine.edges.store_process import StoreProcess
from tests.store_rig import SERVER, on_server, reachable
from tests.test_resume import TEXT

FILLS = 4


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name that no database has yet, in the environment as a whole url."""
    if not reachable():
        pytest.skip("no PostgreSQL at 127.0.0.1:5432 that lets user postgres in")
    name = f"co_trading_{os.getpid()}_{os.urandom(3).hex()}"
    monkeypatch.setenv("TRADING_STORE", f"{SERVER}/{name}".replace("+psycopg", ""))
    yield name
    on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def stored(database: str) -> int:
    """How many fills the tables have; -1 while there are none."""
    engine = create_engine(f"{SERVER}/{database}")
    try:
        with engine.connect() as connection:
            counted = connection.execute(select(func.count()).select_from(schema.FILLS)).scalar()
            return int(counted or 0)
    except SQLAlchemyError:
        return -1
    finally:
        engine.dispose()


def test_dropping_the_database_stops_nothing(tmp_path: Path, database: str) -> None:
    """Fills go on, accounts stay the exchange's, and in the end every fill and order is there."""
    extra = '[store]\nurl_env = "TRADING_STORE"\nevery_ms = 50\n'
    text_ = TEXT.format(state=tmp_path) + extra
    config = parse(text_, "test")
    solo = SoloRun(config, text_)
    dropped_at: list[int] = []
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        store.watch()
        count = solo.ledger.trade_count
        if not dropped_at:
            if looks % 10 == 0 and stored(database) >= FILLS:
                on_server(f"DROP DATABASE {database} WITH (FORCE)")
                dropped_at.append(count)
        elif count >= dropped_at[0] + FILLS:
            solo.directory.stop_wanted = True

    try:
        solo.exchange = ExchangeProcess(solo.folder / "config.toml")
        solo.exchange.wait_ready()
        store = StoreProcess(config, solo.folder)
        try:
            assert asyncio.run(solo.serve(90, look)), "it came to rest"
        finally:
            store.stop()
        assert dropped_at, "the database was dropped while it traded"
        assert solo.loop.error == ""
        assert compare_accounts(config, solo.exchange.url, solo.ledger).holds
    finally:
        solo.close()
    assert stored(database) == solo.ledger.trade_count > dropped_at[0]
    assert "the store answers again" in (solo.folder / "store.log").read_text()
    engine = create_engine(f"{SERVER}/{database}")
    with engine.connect() as connection:
        unfinished = text(
            "SELECT count(*) FROM orders WHERE state NOT IN ('FILLED','CANCELLED',"
            "'REJECTED','EXPIRED')"
        )
        assert connection.execute(unfinished).scalar() == 0
    engine.dispose()
