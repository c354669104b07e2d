"""What a strategy may ask for: orders, groups of legs that pass together, and cancels.

Every order gets a name that no other has, also over restarts, and is followed from here on until it
is final. Prices are ticks and quantities lots of the instrument; `received_ns` is that of the
message which caused the order. What is returned is sent in order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.component import NOTHING, Component, Outputs
from engine.config import BotConfig
from engine.instruments import Instruments
from engine.messages import (
    CancelIntent,
    GroupIntent,
    OrderIntent,
    OrderState,
    TimeInForce,
)
from engine.orders.identity import client_order_id

MS = 1_000_000
ACCOUNT = "main"


class Placed(msgspec.Struct):
    """An order of ours that is not final: it may still fill. UNKNOWN is not final.

    One that `rests` does not end by itself.
    """

    group: int
    leg: int
    instrument: int
    side: int
    state: OrderState = OrderState.INTENDED
    lots: int = 0
    rests: bool = False


class Leg(NamedTuple):
    """One order of a group, immediate or cancel unless it says otherwise."""

    instrument: int
    side: int
    ticks: int
    lots: int
    time_in_force: TimeInForce = TimeInForce.IOC


class Ordering(Component):
    """The part of a strategy that makes orders; see the module."""

    def __init__(
        self, sender: int, instruments: Instruments, config: BotConfig, deployment: str
    ) -> None:
        super().__init__(sender, instruments)
        self.config = config
        self.placed: dict[str, Placed] = {}
        self._deployment = deployment
        self._ttl_ns = config.order_ttl_ms * MS
        self._incarnation = 0
        self._groups = 0

    def begin_group(self) -> None:
        """The orders that follow belong together, and to no order before."""
        self._groups += 1

    def _name(self, group: int, leg: int, content: str) -> str:
        return client_order_id(
            self._deployment, ACCOUNT, self.config.name, self._incarnation, group, leg, content
        )

    def order(
        self,
        leg: int,
        instrument: int,
        side: int,
        ticks: int,
        lots: int,
        received_ns: int,
        now_ns: int,
        *,
        time_in_force: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        good_until_ns: int = 0,
        hedge_of: int = 0,
    ) -> OrderIntent:
        """An order of the group begun last, immediate or cancel unless it says otherwise.

        `hedge_of` is the group whose legs it takes back, as a leg that was not there before.
        """
        group = hedge_of or self._groups
        name = self._name(group, leg, f"{instrument}/{side}/{ticks}/{lots}")
        rests = time_in_force in (TimeInForce.GTC, TimeInForce.GTD)
        state = OrderState.INTENDED
        self.placed[name] = Placed(group, leg, instrument, side, state, lots, rests)
        return OrderIntent(
            self.sender,
            self.next_sequence(),
            received_ns,
            name,
            self.sender,
            group,
            leg,
            self.instruments[instrument].venue,
            instrument,
            side,
            ticks,
            lots,
            time_in_force,
            now_ns + self._ttl_ns,
            post_only=post_only,
            hedge=hedge_of > 0,
            good_until_ns=good_until_ns,
        )

    def limit(
        self,
        instrument: int,
        side: int,
        ticks: int,
        lots: int,
        received_ns: int,
        now_ns: int,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        good_until_ns: int = 0,
    ) -> OrderIntent:
        """An order by itself, in a group of its own; GTD ends at `good_until_ns`.

        Raises ValueError where the time in force and `good_until_ns` or `post_only` contradict.
        """
        if (time_in_force is TimeInForce.GTD) != (good_until_ns > 0):
            raise ValueError(f"{time_in_force.name} with good_until_ns={good_until_ns}")
        if post_only and time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
            raise ValueError(f"{time_in_force.name} takes at once, post_only never does")
        self.begin_group()
        return self.order(
            0,
            instrument,
            side,
            ticks,
            lots,
            received_ns,
            now_ns,
            time_in_force=time_in_force,
            post_only=post_only,
            good_until_ns=good_until_ns,
        )

    def group(self, legs: Sequence[Leg], received_ns: int, now_ns: int) -> GroupIntent:
        """Orders that are checked and reserved together: all of them pass the RiskGuard or none."""
        self.begin_group()
        orders = tuple(
            self.order(
                number,
                leg.instrument,
                leg.side,
                leg.ticks,
                leg.lots,
                received_ns,
                now_ns,
                time_in_force=leg.time_in_force,
            )
            for number, leg in enumerate(legs)
        )
        stamp = (self.sender, self.next_sequence(), received_ns)
        return GroupIntent(*stamp, self.sender, self._groups, orders)

    def cancel(self, name: str, received_ns: int) -> Outputs:
        """Ask for the end of an order; nothing for one that has ended.

        It may still fill: it is in `placed` until its end is told.
        """
        order = self.placed.get(name)
        if order is None:
            return NOTHING
        venue = self.instruments[order.instrument].venue
        stamp = (self.sender, self.next_sequence(), received_ns)
        return (CancelIntent(*stamp, name, self.sender, venue, order.instrument),)

    def withdraw(self, received_ns: int) -> Outputs:
        """End what rests, for nobody will be there to look after it."""
        resting = [name for name, order in self.placed.items() if order.rests]
        return tuple(cancel for name in resting for cancel in self.cancel(name, received_ns))
