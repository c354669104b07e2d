"""The messages in which an emulated order speaks: its events, its children and their cancels."""

from typing import NamedTuple

from engine.instruments import Instrument
from engine.messages import CancelIntent, Dust, OrderIntent, ParentEvent, Reason, TimeInForce
from engine.orders.identity import client_order_id
from engine.parents.plan import Order
from engine.parents.state import Parent, Role
from engine.parents.triggers import stop_price

ACCOUNT = "main"


class Stamp(NamedTuple):
    """Who speaks, as its how-manieth message, because of a frame received when."""

    sender: int
    sequence: int
    received_ns: int


def event_of(parent: Parent, reason: Reason, stamp: Stamp) -> ParentEvent:
    """Where a parent stands; `trigger_ticks` is where its stop does, rounded up to the tick."""
    intent = parent.intent
    return ParentEvent(
        *stamp,
        intent.parent,
        intent.bot,
        intent.venue,
        intent.instrument,
        intent.kind,
        parent.state,
        intent.side,
        intent.lots,
        parent.filled,
        (stop_price(parent) + 1) // 2,
        reason,
    )


def dust_of(parent: Parent, instrument: Instrument, stamp: Stamp) -> Dust:
    """What an exit could not get rid of, for it is less than the venue takes."""
    intent, units = parent.intent, parent.kept * instrument.base_units_per_lot
    return Dust(*stamp, intent.venue, instrument.base, intent.bot, units)


def cancel_of(parent: Parent, name: str, stamp: Stamp) -> CancelIntent:
    """A child is no longer wanted."""
    intent = parent.intent
    return CancelIntent(*stamp, name, intent.bot, intent.venue, intent.instrument)


def child_of(
    parent: Parent, order: Order, deployment: str, expires_ns: int, stamp: Stamp
) -> OrderIntent:
    """A parent's newest child, its `made`th, under a name that no other order has."""
    intent = parent.intent
    content = f"{intent.instrument}/{order.side}/{order.ticks}/{order.lots}"
    name = client_order_id(deployment, ACCOUNT, intent.parent, 0, parent.made, order.role, content)
    exits = order.role in (Role.TAKE, Role.MEND)
    return OrderIntent(
        *stamp,
        name,
        intent.bot,
        -parent.number,  # a bot's own groups count up from 1
        parent.made,
        intent.venue,
        intent.instrument,
        order.side,
        order.ticks,
        order.lots,
        TimeInForce.GTC if order.rests else TimeInForce.IOC,
        expires_ns,
        flattening=exits,
        parent=intent.parent,
    )
