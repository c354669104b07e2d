"""Calls of ccxt's unified interface as bytes, and what they give.

engine/edges/ccxt_private.py runs the calls and encodes what they gave: numbers are decimal strings,
nothing that the engine does not read is kept. An exception comes back by the name of its class; see
ccxt_failures.py.
"""

from typing import Final

import msgspec

REQUESTS: Final = "requests"
"""The name of the header that says how many HTTP requests a call made; '0': it was refused here."""

HEADERS: Final = ("retry-after", "x-mbx-used-weight-1m", "x-mbx-order-count-10s")
"""The headers of venues that are read."""

ORDERS, TRADES, BALANCE, READY = "orders", "trades", "balance", "ready"
"""What a frame of the private connection tells of."""


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call: a method of ccxt's client, its arguments in order, and the `params` after them.

    `kind` says what it gives: `ORDERS` (one or many), `TRADES`, `BALANCE`, or '' (kept as it is).
    """

    method: str
    kind: str
    args: tuple[str | int | None, ...] = ()
    params: dict[str, str | int | bool] = {}


class Work(msgspec.Struct, frozen=True, array_like=True):
    """The calls of one request, run one after the other; `since_ms` is for whoever reads the answer.

    `venue_ms` is the venue's time as far as it is known, for clients that sign with a timestamp.
    """

    calls: tuple[Call, ...]
    venue_ms: int
    since_ms: int = 0


class SeenOrder(msgspec.Struct, frozen=True):
    """ccxt's order structure, as far as it is read; None where the exchange did not say."""

    id: str | None = None
    clientOrderId: str | None = None
    symbol: str | None = None
    side: str | None = None
    price: str | None = None
    amount: str | None = None
    filled: str | None = None
    status: str | None = None
    timestamp: int | None = None
    lastUpdateTimestamp: int | None = None


class SeenFee(msgspec.Struct, frozen=True):
    """A fee; the cost is negative for a rebate."""

    cost: str | None = None
    currency: str | None = None


class SeenTrade(msgspec.Struct, frozen=True):
    """ccxt's trade structure, as far as it is read."""

    id: str | None = None
    order: str | None = None
    clientOrderId: str | None = None
    symbol: str | None = None
    side: str | None = None
    price: str | None = None
    amount: str | None = None
    takerOrMaker: str | None = None
    timestamp: int | None = None
    fee: SeenFee | None = None


class SeenBalance(msgspec.Struct, frozen=True):
    """ccxt's balance structure: decimal strings by asset."""

    total: dict[str, str | None] = {}
    free: dict[str, str | None] = {}
    timestamp: int | None = None


class SeenTransfer(msgspec.Struct, frozen=True):
    """ccxt's ledger entry, or its deposit or withdrawal; `direction` is a ledger's."""

    id: str | None = None
    currency: str | None = None
    amount: str | None = None
    type: str | None = None
    direction: str | None = None
    status: str | None = None
    timestamp: int | None = None
    fee: SeenFee | None = None
