"""The tables for people and queries, the same in SQLite and PostgreSQL.

Prices, quantities and money are exact decimals: NUMERIC where there is one, text in SQLite, whose
numbers are floats. Times are ns since 1970. What comes once is keyed by its place in the journal
(actor, epoch, part, record), a fill by the venue's trade id, what changes by what it is about; each
row bears its run, so that one database serves all runs of a state directory.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine


class Exact(TypeDecorator[Decimal]):
    """A decimal that comes back as it was put in."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC, or text where that would be a float."""
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else String())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """In."""
        return value if value is None or dialect.name == "postgresql" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """And out."""
        return None if value is None else Decimal(value)


METADATA = MetaData()


def _place() -> list[Column[Any]]:
    """Where a record stands in the journal, and when it was written."""
    return [
        Column("run", String, primary_key=True),
        Column("actor", String, primary_key=True),
        Column("epoch", Integer, primary_key=True),
        Column("part", Integer, primary_key=True),
        Column("record", Integer, primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
    ]


def _keys(*names: str) -> list[Column[Any]]:
    return [Column(name, String, primary_key=True) for name in ("run", *names)]


CURSORS = Table(
    "cursors",
    METADATA,
    *_keys("actor"),
    Column("epoch", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("record", Integer, nullable=False),
    Column("segments_lost", Integer, nullable=False),
)
ORDERS = Table(
    "orders",
    METADATA,
    *_keys("client_order_id"),
    Column("bot", String),
    Column("venue", String),
    Column("symbol", String),
    Column("side", String),
    Column("price", Exact),
    Column("quantity", Exact),
    Column("time_in_force", String),
    Column("parent", String),
    Column("intended_ns", BigInteger),
    Column("stage", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("filled", Exact),
    Column("venue_order_id", String, nullable=False),
    Column("updated_ns", BigInteger, nullable=False),
)
ORDER_EVENTS = Table(
    "order_events",
    METADATA,
    *_place(),
    Column("client_order_id", String, nullable=False, index=True),
    Column("bot", String, nullable=False),
    Column("venue", String),
    Column("symbol", String),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("filled", Exact),
)
FILLS = Table(
    "fills",
    METADATA,
    *_keys("venue", "trade_id"),
    Column("at_ns", BigInteger, nullable=False, index=True),
    Column("client_order_id", String, nullable=False, index=True),
    Column("bot", String, nullable=False),
    Column("symbol", String, nullable=False),
    Column("side", String, nullable=False),
    Column("price", Exact, nullable=False),
    Column("quantity", Exact, nullable=False),
    Column("notional", Exact, nullable=False),
    Column("fee", Exact, nullable=False),
    Column("fee_asset", String, nullable=False),
    Column("maker", Boolean, nullable=False),
)
POSITIONS = Table(
    "positions",
    METADATA,
    *_keys("base", "quote"),
    Column("quantity", Exact, nullable=False),
    Column("cost", Exact, nullable=False),
    Column("realised", Exact, nullable=False),
    Column("fees", Exact, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
BALANCES = Table(
    "balances",
    METADATA,
    *_keys("venue", "asset"),
    Column("total", Exact, nullable=False),
    Column("dust", Exact, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
PNL = Table(
    "pnl",
    METADATA,
    *_keys("bot", "venue", "base", "quote"),
    Column("quantity", Exact, nullable=False),
    Column("cost", Exact, nullable=False),
    Column("realised_fifo", Exact, nullable=False),
    Column("realised_average", Exact, nullable=False),
    Column("unrealised", Exact, nullable=False),
    Column("fees", Exact, nullable=False),
    Column("fees_other", Exact, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
RISK_EVENTS = Table(
    "risk_events",
    METADATA,
    *_place(),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("level", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("limit_value", Exact),
    Column("value", Exact),
    Column("who", String, nullable=False),
)
DIFFERENCES = Table(
    "differences",
    METADATA,
    *_place(),
    Column("venue", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("ours", Exact, nullable=False),
    Column("theirs", Exact, nullable=False),
    Column("repaired", Boolean, nullable=False),
)
TRANSFERS = Table(
    "transfers",
    METADATA,
    *_keys("venue", "transfer_id"),
    Column("at_ns", BigInteger, nullable=False),
    Column("asset", String, nullable=False),
    Column("amount", Exact, nullable=False),
    Column("kind", String, nullable=False),
)
