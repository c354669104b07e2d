"""The reports of a matching book in words, and orders given in few."""

from typing import Any

from tests.twins import matching_words as w


def _names(*groups: str) -> dict[int, str]:
    return {vars(w)[name]: name for name in " ".join(groups).split()}


REASONS = _names(
    "INVALID TICK LOT NOTIONAL BAND REDUCE WOULD_TAKE FULL NOT_IN_AUCTION IS_HALTED IS_CLOSED",
    "UNKNOWN_ORDER NO_PARENT BY_CLIENT BY_MASS NOT_FILLED NOT_FILLABLE NO_LIQUIDITY SELF_TRADE",
    "BY_GROUP BY_PARENT OUT_OF_TIME END_OF_DAY IN_AUCTION",
)
PHASES = _names("CONTINUOUS AUCTION HALTED CLOSED")
STATES = _names("RESTING WAITING DORMANT PARKED PENDING")
TEMPLATES = {
    w.ACCEPTED: "{0.order} accepted",
    w.REJECTED: "{0.order} rejected {1}",
    w.TRADE: "{0.order} trades {0.lots} at {0.ticks} with {0.other} {1}",
    w.CANCELLED: "{0.order} cancelled, {0.lots} left {1}",
    w.EXPIRED: "{0.order} expired, {0.lots} left {1}",
    w.REPLACED: "{0.order} replaced: {0.lots} at {0.ticks}",
    w.CANCEL_REJECTED: "{0.order} not cancelled {1}",
    w.REPLACE_REJECTED: "{0.order} not replaced {1}",
    w.TRIGGERED: "{0.order} triggered at {0.ticks}",
    w.REPRICED: "{0.order} moved to {0.ticks}",
    w.DECREMENTED: "{0.order} less {0.lots} is {0.leaves} {1}",
    w.ACTIVATED: "{0.order} activated",
    w.PHASE: "{2}",
}


def told(book: Any) -> list[str]:
    """What happened since it was last asked, a line each."""
    lines = []
    for report in book.reports():
        reason = REASONS.get(report.reason, "")
        phase = PHASES.get(report.lots, "")
        lines.append(TEMPLATES[report.kind].format(report, reason, phase).strip())
    return lines


def happened(book: Any) -> list[str]:
    """The same without those that say only that an order was accepted."""
    return [line for line in told(book) if not line.endswith(" accepted")]


def state(book: Any, order: int) -> str:
    """What an order that lives is doing."""
    return STATES[book.order(order).state]


def buy(book: Any, lots: int, at: int = 0, **rest: int) -> int:
    """A limit order with a price, a market order without; its number."""
    return _order(book, w.BUY, lots, at, rest)


def sell(book: Any, lots: int, at: int = 0, **rest: int) -> int:
    """The same on the other side."""
    return _order(book, w.SELL, lots, at, rest)


def _order(book: Any, side: int, lots: int, at: int, rest: dict[str, int]) -> int:
    kind = rest.pop("kind", w.LIMIT if at else w.MARKET)
    number: int = book.submit(side, kind, at, lots, **rest)
    return number
