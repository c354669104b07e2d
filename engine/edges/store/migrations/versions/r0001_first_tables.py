"""The first tables: orders and their events, fills, positions, balances, profit, risk, differences."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from engine.edges.store.schema import Exact

revision = "0001"
down_revision = None

PLACE = ("run", "actor", "epoch", "part", "record")


def _texts(*names: str, nullable: bool = False) -> list["sa.Column[Any]"]:
    return [sa.Column(name, sa.String(), nullable=nullable) for name in names]


def _exact(*names: str, nullable: bool = False) -> list["sa.Column[Any]"]:
    return [sa.Column(name, Exact(), nullable=nullable) for name in names]


def _integers(*names: str) -> list["sa.Column[Any]"]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def _times(*names: str, nullable: bool = False) -> list["sa.Column[Any]"]:
    return [sa.Column(name, sa.BigInteger(), nullable=nullable) for name in names]


def _create(name: str, keys: tuple[str, ...], *columns: list["sa.Column[Any]"]) -> None:
    flat = [column for group in columns for column in group]
    op.create_table(name, *flat, sa.PrimaryKeyConstraint(*keys))


def _placed() -> list["sa.Column[Any]"]:
    return [*_texts("run", "actor"), *_integers("epoch", "part", "record"), *_times("at_ns")]


def upgrade() -> None:
    """From nothing."""
    _create_orders()
    _create_money()
    _create_events()


def _create_orders() -> None:
    _create(
        "cursors",
        ("run", "actor"),
        _texts("run", "actor"),
        _integers("epoch", "part"),
        _times("offset"),
        _integers("record", "segments_lost"),
    )
    _create(
        "orders",
        ("run", "client_order_id"),
        _texts("run", "client_order_id"),
        _texts("bot", "venue", "symbol", "side", nullable=True),
        _exact("price", "quantity", nullable=True),
        _texts("time_in_force", "parent", nullable=True),
        _times("intended_ns", nullable=True),
        _integers("stage"),
        _texts("state", "reason"),
        _exact("filled", nullable=True),
        _texts("venue_order_id"),
        _times("updated_ns"),
    )
    _create(
        "order_events",
        PLACE,
        _placed(),
        _texts("client_order_id", "bot"),
        _texts("venue", "symbol", nullable=True),
        _texts("state", "reason"),
        _exact("filled", nullable=True),
    )
    op.create_index("ix_order_events_client_order_id", "order_events", ["client_order_id"])
    _create(
        "fills",
        ("run", "venue", "trade_id"),
        _texts("run", "venue", "trade_id"),
        _times("at_ns"),
        _texts("client_order_id", "bot", "symbol", "side"),
        _exact("price", "quantity", "notional", "fee"),
        _texts("fee_asset"),
        [sa.Column("maker", sa.Boolean(), nullable=False)],
    )
    op.create_index("ix_fills_at_ns", "fills", ["at_ns"])
    op.create_index("ix_fills_client_order_id", "fills", ["client_order_id"])


def _create_money() -> None:
    _create(
        "positions",
        ("run", "base", "quote"),
        _texts("run", "base", "quote"),
        _exact("quantity", "cost", "realised", "fees"),
        _times("at_ns"),
    )
    _create(
        "balances",
        ("run", "venue", "asset"),
        _texts("run", "venue", "asset"),
        _exact("total", "dust"),
        _times("at_ns"),
    )
    _create(
        "pnl",
        ("run", "bot", "venue", "base", "quote"),
        _texts("run", "bot", "venue", "base", "quote"),
        _exact("quantity", "cost", "realised_fifo", "realised_average", "unrealised"),
        _exact("fees", "fees_other"),
        _times("at_ns"),
    )


def _create_events() -> None:
    _create(
        "risk_events",
        PLACE,
        _placed(),
        _texts("kind", "subject", "level", "reason"),
        _exact("limit_value", "value", nullable=True),
        _texts("who"),
    )
    _create(
        "differences",
        PLACE,
        _placed(),
        _texts("venue", "kind", "subject"),
        _exact("ours", "theirs"),
        [sa.Column("repaired", sa.Boolean(), nullable=False)],
    )
    _create(
        "transfers",
        ("run", "venue", "transfer_id"),
        _texts("run", "venue", "transfer_id"),
        _times("at_ns"),
        _texts("asset"),
        _exact("amount"),
        _texts("kind"),
    )


def downgrade() -> None:
    """To nothing: all of it can be made again from the journal."""
    for name in (
        "cursors orders order_events fills positions balances pnl risk_events differences transfers"
    ).split():
        op.drop_table(name)
