"""The store's database: opened, made and brought up to date; rows and cursors written together.

A batch's rows and the place in the journal up to which they go are one transaction, so whatever is
killed, nothing is there twice and nothing is missing. What is already there by its key stays or is
replaced by the newer word, so that the same records may be written again.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import alembic.command
import alembic.config
from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from engine.edges.store import schema
from engine.edges.store.projection import Batch, Row
from engine.store_config import StoreConfig

MIGRATIONS = Path(__file__).parent / "migrations"
WORDS = ("stage", "state", "reason", "filled", "venue_order_id", "updated_ns")
ASKED = (
    "bot venue symbol side price quantity time_in_force parent intended_ns".split()
)  # what an intent alone knows of its order


class StoreError(RuntimeError):
    """The store cannot be used as configured; the message says what to do."""


class Cursor(NamedTuple):
    """How far an actor's journal was read: into which segment, byte and record; and what was missed."""

    epoch: int = 0
    part: int = 0
    offset: int = 0
    record: int = 0
    segments_lost: int = 0


def url_of(config: StoreConfig, state_dir: Path) -> URL:
    """Where the store is; raises StoreError when the environment does not say."""
    if not (config.url or config.url_env):
        return URL.create("sqlite", database=config.path or str(state_dir / "store.sqlite"))
    given = os.environ.get(config.url_env, "") if config.url_env else config.url
    if not given:
        raise StoreError(f"store.url_env: the environment variable {config.url_env} is not set")
    try:
        url = make_url(given)
    except ArgumentError:
        raise StoreError(
            f"store.url_env: what {config.url_env} holds is no database url, such as "
            "postgresql://user:password@host/name"
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    return url


class Database:
    """The tables of all runs; every method raises SQLAlchemyError when the database does not answer."""

    def __init__(self, url: URL) -> None:
        self.url = url
        try:
            self.engine = _engine(url)
        except (ImportError, NoSuchModuleError) as error:
            raise StoreError(
                f"{url.render_as_string()}: its driver is not installed: "
                "pip install 'crypto-orchestrator[postgres]'"
            ) from error
        self._insert: Any = postgresql.insert if self.is_server else sqlite.insert
        self._file = 0

    @property
    def is_server(self) -> bool:
        """PostgreSQL, not a file."""
        return self.url.get_backend_name() == "postgresql"

    def prepare(self) -> None:
        """Make the database where it is missing and bring its tables up to date."""
        if not self.is_server:
            assert self.url.database is not None
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        try:
            self._migrate()
        except OperationalError as error:
            if not (self.is_server and "does not exist" in str(error)):
                raise
            self._create()
            self._migrate()
        self._file = self._inode()

    def _migrate(self) -> None:
        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.engine.begin() as connection:
            if self.is_server:  # two engines that start at once take turns
                connection.execute(text("SELECT pg_advisory_xact_lock(7363001)"))
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def _create(self) -> None:
        """The server is there, the database is not: it was never made, or dropped."""
        name = self.url.database or ""
        server = _engine(self.url.set(database="postgres"))
        with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            quoted = server.dialect.identifier_preparer.quote_identifier(name)
            connection.execute(text(f"CREATE DATABASE {quoted}"))
        server.dispose()

    def is_there(self) -> bool:
        """False when a file of SQLite went or was replaced: what is written would go nowhere."""
        return self.is_server or self._inode() == self._file

    def _inode(self) -> int:
        try:
            return os.stat(self.url.database or "").st_ino
        except OSError:
            return 0

    def cursors(self, run: str) -> dict[str, Cursor]:
        """How far each actor's journal of a run was read."""
        table = schema.CURSORS
        with self.engine.connect() as connection:
            rows = connection.execute(select(table).where(table.c.run == run)).mappings()
            return {row["actor"]: Cursor(*(row[name] for name in Cursor._fields)) for row in rows}

    def write(self, run: str, batch: Batch, cursors: dict[str, Cursor]) -> None:
        """A batch and how far it goes, all or nothing."""
        with self.engine.begin() as connection:
            for table, rows in batch.added.items():
                self._add(connection, table, rows)
            for table, newest in batch.newest.items():
                self._replace(connection, table, newest.values())
            self._put_orders(connection, batch)
            places = [
                {"run": run, "actor": actor, **cursor._asdict()}
                for actor, cursor in cursors.items()
            ]
            self._replace(connection, schema.CURSORS, places)

    def _add(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        given = list(rows)
        if given:
            connection.execute(self._insert(table).on_conflict_do_nothing(), given)

    def _replace(self, connection: Connection, table: Table, rows: Iterable[Row]) -> None:
        given = list(rows)
        if not given:
            return
        statement = self._insert(table)
        keys = [column.name for column in table.primary_key]
        others = [column.name for column in table.columns if column.name not in keys]
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys, set_={name: statement.excluded[name] for name in others}
            ),
            given,
        )

    def _put_orders(self, connection: Connection, batch: Batch) -> None:
        """A later stage's words replace an earlier one's; what was asked for comes from the intent."""
        if not batch.stages:
            return
        table = schema.ORDERS
        statement = self._insert(table)
        keys = ["run", "client_order_id"]
        blank = {"time_in_force": None, "parent": None, "intended_ns": None}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=keys,
                set_={name: statement.excluded[name] for name in WORDS},
                where=statement.excluded.stage >= table.c.stage,
            ),
            [{**blank, **row} for row in batch.stages.values()],
        )
        if batch.intended:
            words = {"stage": 0, "state": "", "reason": "", "venue_order_id": "", "updated_ns": 0}
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=keys,
                    set_={name: statement.excluded[name] for name in ASKED},
                ),
                [{**words, "filled": None, **row} for row in batch.intended.values()],
            )

    def forget(self, run: str) -> None:
        """Delete all rows of a run."""
        with self.engine.begin() as connection:
            for table in schema.METADATA.sorted_tables:
                connection.execute(delete(table).where(table.c.run == run))

    def close(self) -> None:
        """Let go of the connections."""
        self.engine.dispose()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, pool_size=1, pool_pre_ping=True, connect_args={"connect_timeout": 5}
        )
    engine = create_engine(url, connect_args={"timeout": 30})

    def tune(connection: Any, record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(engine, "connect", tune)
    return engine
