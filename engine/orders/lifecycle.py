"""One order's life as a table: which state may follow which; and what is kept of an order.

UNKNOWN is left by evidence only, to wherever the evidence says. A final state is left by nothing:
a fill that arrives after it is money and is counted, but the state stays.
"""

import msgspec

from engine.messages import OrderIntent, OrderState, Reason

_S = OrderState

FINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED})

FOLLOWS: dict[OrderState, frozenset[OrderState]] = {
    _S.INTENDED: frozenset({_S.APPROVED, _S.REJECTED}),
    _S.APPROVED: frozenset({_S.SENT, _S.REJECTED, _S.CANCELLED, _S.UNKNOWN}),
    _S.SENT: frozenset({_S.ACKNOWLEDGED, _S.PARTLY_FILLED, _S.CANCELLING, _S.UNKNOWN}) | FINAL,
    _S.ACKNOWLEDGED: frozenset({_S.PARTLY_FILLED, _S.CANCELLING, _S.UNKNOWN}) | FINAL,
    _S.PARTLY_FILLED: frozenset({_S.PARTLY_FILLED, _S.CANCELLING, _S.UNKNOWN}) | FINAL,
    _S.CANCELLING: frozenset({_S.PARTLY_FILLED, _S.CANCELLING, _S.UNKNOWN}) | FINAL,
    _S.UNKNOWN: frozenset({_S.ACKNOWLEDGED, _S.PARTLY_FILLED, _S.CANCELLING, _S.UNKNOWN}) | FINAL,
    **{state: frozenset() for state in FINAL},
}


class IllegalTransition(ValueError):
    """A state that cannot follow the one an order is in."""


def advance(state: OrderState, then: OrderState) -> OrderState:
    """The state after `state` when `then` is reported; raises IllegalTransition."""
    if then not in FOLLOWS[state]:
        raise IllegalTransition(f"{then.name} cannot follow {state.name}")
    return then


class Order(msgspec.Struct):
    """One order at the venue. `filled_lots` is the total by the venue's last word.

    `told_lots` is how much of that came as fills: where it is less in the end, fills are owed. A
    `known` one the venue has spoken of. What the venue says after `proof_ns` of its clock proves what
    became of it; 0: nothing does yet. At `doubt_at_ns` of ours it has waited too long, for the `asked`th
    time; `heard_ns` is when something was last heard of it. `missing_ns` is when the venue last said
    that it has no such order, `queried_ns` when it was asked. An `unwanted` one is cancelled until it
    is gone. Evidence must have been asked for from `proof_own_ns` of our clock on as well, for the
    venue's may be set back; `missing_asked_ns` is when what `missing_ns` says was asked for.
    """

    intent: OrderIntent
    state: OrderState
    raises: bool = True
    proof_ns: int = 0
    doubt_at_ns: int = 0
    asked: int = 0
    heard_ns: int = 0
    filled_lots: int = 0
    told_lots: int = 0
    venue_id: str = ""
    known: bool = False
    unwanted: bool = False
    missing_ns: int = 0
    queried_ns: int = 0
    proof_own_ns: int = 0
    missing_asked_ns: int = 0


class Finished(msgspec.Struct, array_like=True):
    """What is remembered of an order that is final."""

    bot: int
    instrument: int
    state: OrderState
    reason: Reason
    filled_lots: int
    told_lots: int
    expires_ns: int
    ended_ns: int
