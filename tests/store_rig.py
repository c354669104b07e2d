"""Journals to fill a store from, and databases to fill: SQLite's file, and a real PostgreSQL's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, create_engine, select, text

from engine.assembly import solo_topology
from engine.config import Config, parse
from engine.edges.journal import SegmentStart
from engine.edges.segment import Room, Segment
from engine.messages import AnyMessage, encode

SERVER = "postgresql+psycopg://postgres@127.0.0.1:5432"
CONFIG = """
name = "shop"
state_dir = "{state}"
[[venues]]
name = "alpha"
[[venues]]
name = "beta"
[[instruments]]
venue = "alpha"
symbol = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.0001"
[[instruments]]
venue = "beta"
symbol = "BTC/USDT"
tick_size = "0.5"
lot_size = "0.001"
[[bots]]
name = "arb"
[store]
every_ms = 10
batch_max = 7
{store}
"""


def reachable() -> bool:
    """Whether a PostgreSQL answers where the tests look for one."""
    engine = create_engine(f"{SERVER}/postgres", connect_args={"connect_timeout": 2})
    try:
        engine.connect().close()
    except Exception:  # noqa: BLE001 -- no server, no driver, no right: all the same to a test
        return False
    finally:
        engine.dispose()
    return True


def on_server(*statements: str) -> None:
    """Run statements beside any transaction, in the server's own database."""
    engine = create_engine(f"{SERVER}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


class Shop:
    """A run's folder, its journals' writer, and the store that its configuration names."""

    def __init__(self, folder: Path, store: str, url: str) -> None:
        self.state = folder
        self.folder = folder / "shop-run"
        self.folder.mkdir()
        text_ = CONFIG.format(state=folder, store=store)
        (self.folder / "config.toml").write_text(text_)
        self.config: Config = parse(text_, "test")
        self.url = url
        self.topology = solo_topology(self.config)
        self.bot = self.topology.number("bot-arb")
        self.risk = self.topology.number("risk")
        self.segments: dict[str, Segment] = {}
        self.parts: dict[str, int] = {}

    def begin(self, actor: str, epoch: int = 1, size: int = 65_536) -> None:
        """A fresh segment of an actor."""
        part = self.parts.get(actor, -1) + 1
        self.parts[actor] = part
        if actor in self.segments:
            self.segments[actor].close()
        start = SegmentStart(epoch, part, b"", {}, [], 0)
        folder = self.folder / actor
        self.segments[actor] = Segment(Room(folder, size), folder, start)

    def say(self, at_ns: int, *messages: AnyMessage, actor: str = "solo") -> None:
        """Append to an actor's journal."""
        if actor not in self.segments:
            self.begin(actor)
        self.segments[actor].append([encode(message) for message in messages], at_ns)

    def engine(self) -> Engine:
        """The store, to look into."""
        return create_engine(self.url)

    def rows(self, table: Table, *order: str) -> list[dict[str, object]]:
        """All rows of a table, without their run."""
        engine = self.engine()
        with engine.connect() as connection:
            found = connection.execute(select(table).order_by(*(table.c[name] for name in order)))
            rows = [dict(row) for row in found.mappings()]
        engine.dispose()
        for row in rows:
            assert row.pop("run") == "shop-run"
        return rows


def shops(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop with a store of one kind; the server's database is dropped at the end."""
    if kind == "sqlite":
        yield Shop(folder, "", f"sqlite:///{folder}/store.sqlite")
        return
    if not reachable():
        pytest.skip("no PostgreSQL at 127.0.0.1:5432 that lets user postgres in")
    name = f"co_test_{os.getpid()}_{os.urandom(3).hex()}"
    url = f"{SERVER}/{name}"
    monkeypatch.setenv("SHOP_STORE", url.replace("+psycopg", ""))
    try:
        yield Shop(folder, 'url_env = "SHOP_STORE"', url)
    finally:
        on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
