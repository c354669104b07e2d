"""What is done to a simulated world: deaths, freezes, a full disk, an operator's words, other hands."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config import ENGINE_ACCOUNT
from engine.edges.directory import KillSwitchPage
from engine.edges.simulation.actor import Actor
from engine.edges.simulation.invariants import BY_HAND, Invariants
from engine.edges.simulation.line import VenueLine
from engine.edges.simulation.plan import SECOND_NS, Injection, Kind, Point
from engine.exchange.orders import NewOrder, Refused
from engine.messages import (
    BUY,
    CancelAll,
    Reconcile,
    Risk,
    Scope,
    SetBreaker,
    SetLimit,
    SetRiskLevel,
)
from ext.matching import LIMIT

if TYPE_CHECKING:
    from engine.edges.simulation.world import World

OPERATOR = "the simulated operator"
LEVELS = (Risk.HALT, Risk.SHUTDOWN, Risk.RESTRICTED, Risk.SHUTDOWN, Risk.CAUTION, Risk.NORMAL)
DEPOSITED = ("USDT", 1_000_000_000)
AGAIN_NS = 6 * SECOND_NS
LIMITS = (
    (Scope.ASSET, "BTC", "position_max", "0.08"),
    (Scope.GLOBAL, "", "order_notional_max", "2500"),
    (Scope.GLOBAL, "", "orders_open_max", "5"),
    (Scope.ASSET, "ETH", "position_max", "1"),
    (Scope.ASSET, "ETH", "position_max", "nonsense"),
)


class WatchedSwitch(KillSwitchPage):
    """The kill switch, whoever turns it: from then on no cancel needs a wish of its own."""

    def __init__(self, path: Path, invariants: Invariants) -> None:
        super().__init__(path, create=True)
        self._invariants = invariants

    def turn(self, on: bool) -> None:
        """See `KillSwitchPage`."""
        super().turn(on)
        self._invariants.swept = self._invariants.swept or on


class Troubles:
    """Carries out injections; see `engine.edges.simulation.plan.Kind`."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._awaited = False

    def inject(self, injection: Injection) -> None:
        """Its time has come."""
        world = self._world
        kind, subject = injection.kind, injection.subject
        actor = world.actors.get(subject)
        if kind in (Kind.CRASH, Kind.FREEZE, Kind.FROZEN_DEAD):
            self._strike(injection)
            return
        world.happened(injection)
        if kind is Kind.PAUSE:
            for each in world.actors.values():
                world.freeze(each.name, injection.for_ns)
        elif kind is Kind.RESUME:
            world.resume()
        elif kind is Kind.DISK_FULL and actor is not None and actor.loop is not None:
            actor.loop.disk.fill_disk()
            world.at(world.now_ns + injection.for_ns, self._free_disk, actor)
        elif kind is Kind.KILL_SWITCH:
            self.turn_kill_switch(True)
            world.at(world.now_ns + injection.for_ns, self.turn_kill_switch, False)
        else:
            self._operate(injection)

    def _free_disk(self, actor: Actor) -> None:
        """The operator made room, and trades on once the actor has taken it."""
        if actor.loop is not None:
            actor.loop.disk.disk_full = False
        self._world.at(self._world.now_ns + SECOND_NS, self.turn_kill_switch, False)

    def _strike(self, injection: Injection) -> None:
        """An actor is to die or to freeze, now or as soon as it comes to the point."""
        actor = self._world.actors.get(injection.subject)
        if actor is None or actor.loop is None:
            return
        if injection.kind is Kind.CRASH and injection.point is Point.REBORN:
            self._world.happened(injection)
            actor.stillborn = True
            self._world.kill(actor)
            return
        actor.doomed = injection.kind is Kind.FROZEN_DEAD
        actor.loop.trap.armed.append(injection)

    def _operate(self, injection: Injection) -> None:
        """An operator's word, or the network's."""
        kind, world = injection.kind, self._world
        names = [venue.name for venue in world.config.venues]
        risk = world.topology.actor(world.topology.of_kind("risk")[0])
        if kind is Kind.LEVEL:
            self.set_level(LEVELS[injection.count % len(LEVELS)])
            return
        if kind is Kind.LIMIT:
            scope, subject, name, value = LIMITS[injection.count % len(LIMITS)]
            for at_ns, now_value in ((world.now_ns, value), (world.now_ns + injection.for_ns, "")):
                world.at(at_ns, self._set_limit, risk, (scope, subject, name, now_value))
            return
        if injection.subject not in names:
            return
        venue = names.index(injection.subject)
        line = world.lines[venue]
        if kind is Kind.DISCONNECT:
            line.lose("the network is gone")
        elif kind is Kind.RECONCILE:
            world.inject(line.actor, lambda number: Reconcile(0, number, 0, venue, OPERATOR))
        elif kind is Kind.CANCEL_ALL:
            world.invariants.swept = True
            world.inject(line.actor, lambda number: CancelAll(0, number, 0, venue, OPERATOR))
        elif kind in (Kind.FOREIGN_ORDER, Kind.CANCELLED_THERE, Kind.DEPOSIT):
            self._by_hand(line, kind, injection.count)
        elif kind is Kind.BREAKER:
            world.inject(line.actor, lambda number: SetBreaker(0, number, 0, venue, True, OPERATOR))
            world.at(world.now_ns + injection.for_ns, self.close_breaker, venue)

    def set_level(self, level: Risk) -> None:
        """The operator moves the RiskGuard."""
        world = self._world
        risk = world.topology.actor(world.topology.of_kind("risk")[0])
        world.inject(risk, lambda number: SetRiskLevel(0, number, 0, level, OPERATOR))

    def halted(self) -> None:
        """After a while the operator lets it trade again; it never does by itself."""
        if not self._awaited:
            self._awaited = True
            self._world.at(self._world.now_ns + AGAIN_NS, self._let_trade)

    def _let_trade(self) -> None:
        self._awaited = False
        self.set_level(Risk.NORMAL)

    def _set_limit(self, actor: str, what: tuple[Scope, str, str, str]) -> None:
        self._world.inject(actor, lambda number: SetLimit(0, number, 0, *what, OPERATOR))

    def _by_hand(self, line: VenueLine, kind: Kind, count: int) -> None:
        """Somebody else uses our account at a venue: far from the market, to cancel, to pay in."""
        exchange = line.front.exchange
        instrument = self._world.instruments.of_venue(line.venue)[0]

        def act(clock_ns: int) -> None:
            if kind is Kind.CANCELLED_THERE:
                exchange.cancel_all(ENGINE_ACCOUNT, None, clock_ns)
                return
            if kind is Kind.DEPOSIT:
                asset, units = DEPOSITED
                exchange.accounts.deposit(ENGINE_ACCOUNT, asset, units, clock_ns, "by hand")
                self._world.invariants.deposited(line.venue, asset, units)
                return
            ticks = instrument.price_to_ticks("30000")
            lots = instrument.quantity_to_lots("0.001")
            new = NewOrder(
                instrument.id, BUY, LIMIT, lots, ticks, f"{BY_HAND}{self._world.now_ns}-{count}"
            )
            exchange.place(ENGINE_ACCOUNT, new, clock_ns)

        with suppress(Refused):  # a halted market takes nobody's order
            line.front.do(act, self._world.now_ns)
        line.schedule()

    def clear_hands(self, line: VenueLine) -> None:
        """Whoever placed orders by hand takes them back."""
        exchange = line.front.exchange

        def act(clock_ns: int) -> None:
            for order in exchange.open_orders(ENGINE_ACCOUNT):
                if order.request.client_id.startswith(BY_HAND):
                    exchange.cancel(ENGINE_ACCOUNT, order.number, clock_ns)

        line.front.do(act, self._world.now_ns)
        line.schedule()

    def close_breaker(self, venue: int) -> None:
        """The operator trusts a venue again."""
        actor = self._world.lines[venue].actor
        self._world.inject(actor, lambda number: SetBreaker(0, number, 0, venue, False, OPERATOR))

    def turn_kill_switch(self, on: bool) -> None:
        """The operator's, or of who mended what had turned it on."""
        self._world.kill_switch.turn(on)
