"""Which messages about orders a venue takes, and who answers them: its gateway, or nobody."""

from collections.abc import Callable
from typing import Any

from engine.messages import (
    Answer,
    AnyMessage,
    CancelAll,
    CancelCommand,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderState,
    Reason,
    Reconcile,
    RequestRefused,
    ResolveUnknown,
    SetBreaker,
)
from engine.orders.gateway import Gateway

Takers = dict[type, Callable[[Any, int], tuple[AnyMessage, ...]]]


def order_takers(gateway: Gateway, knows: Callable[[int], bool]) -> Takers:
    """What goes to a gateway; `knows` says whether an instrument is the venue's."""
    return {
        OrderCommand: lambda command, now: tuple(
            gateway.place(command, knows(command.intent.instrument), now)
        ),
        CancelCommand: lambda command, now: tuple(gateway.cancel(command, now)),
        RequestRefused: lambda refused, now: tuple(gateway.refused(refused, now)),
        Answer: lambda answer, now: tuple(gateway.news.answer(answer, now)),
        KillSwitch: lambda switch, now: tuple(gateway.kill(switch.on, now)),
        CancelAll: lambda message, now: tuple(gateway.cancel_all(message, now)),
        SetBreaker: lambda message, now: tuple(gateway.set_breaker(message, now)),
        Reconcile: lambda _, now: tuple(gateway.reconcile(now)),
        ResolveUnknown: lambda message, now: tuple(gateway.resolve(message, now)),
    }


def watch_takers(sender: int, stamp: Callable[[], int]) -> Takers:
    """A venue that is only watched rejects every order."""

    def reject(command: OrderCommand, now_ns: int) -> tuple[AnyMessage, ...]:
        intent = command.intent
        return (
            OrderEvent(
                sender,
                stamp(),
                command.received_ns,
                intent.client_order_id,
                intent.bot,
                intent.venue,
                intent.instrument,
                intent.side,
                intent.ticks,
                intent.lots,
                0,
                OrderState.REJECTED,
                Reason.NOT_CONNECTED,
            ),
        )

    return {OrderCommand: reject}
