"""One order's life as a table: which state may follow which.

UNKNOWN is left by evidence only, to wherever the evidence says. A final state is left by nothing:
a fill that arrives after it is money and is counted, but the state stays.
"""

from engine.messages import OrderState

_S = OrderState

FINAL = frozenset({_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.EXPIRED})

FOLLOWS: dict[OrderState, frozenset[OrderState]] = {
    _S.INTENDED: frozenset({_S.APPROVED, _S.REJECTED}),
    _S.APPROVED: frozenset({_S.SENT, _S.REJECTED, _S.UNKNOWN}),
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
