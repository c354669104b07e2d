"""The whole engine under a simulated clock: actors that die and freeze, a bus that lags, exchanges that err.

The actors are the engine's own loops on real segments, and the exchanges its own fronts; only time,
the bus and the sockets are made here. Everything that happens is one queue of events in the order of
time, so a run is a function of its `Scenario`. See docs/simulation.md.
"""

import gc
import heapq
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from engine.assembly import build, topology_of
from engine.component import Component
from engine.config import instruments_of
from engine.edges.directory import SHARED
from engine.edges.exchange_server import make_exchange, make_front, make_wires
from engine.edges.journal import JournalError, read_journal, segments
from engine.edges.secrets import keys_of
from engine.edges.simulation.actor import Actor, Clock, Killed, SimulatedLoop
from engine.edges.simulation.coverage import Coverage
from engine.edges.simulation.exposure import Broken
from engine.edges.simulation.invariants import Invariants, Moment
from engine.edges.simulation.line import VenueLine
from engine.edges.simulation.monkey import Monkey
from engine.edges.simulation.network import MS, Mail, SimulatedBus
from engine.edges.simulation.outcome import Outcome
from engine.edges.simulation.plan import BEGIN_NS, MONKEY, SECOND_NS, Injection, Scenario
from engine.edges.simulation.rest import at_rest, restless
from engine.edges.simulation.troubles import Troubles, WatchedSwitch
from engine.exchange.fair_price import FairPrice
from engine.messages import (
    AnyMessage,
    OrderRequest,
    Reason,
    Risk,
    RiskLevel,
    decode,
)
from engine.routes import Topology
from engine.runtime import ComponentFailed, OutboxFull
from engine.venue import Venue
from ext.page import Page

QUIET_S = 40
REST_NS = 700 * MS
KEPT = 400


class World:
    """One run of a scenario; see the module. `kept` is how many moments the trace holds."""

    def __init__(self, scenario: Scenario, kept: int = KEPT) -> None:
        self.scenario = scenario
        self.now_ns = BEGIN_NS
        self.steps = 0
        self.coverage = Coverage()
        self.trace: deque[Moment] = deque(maxlen=kept)
        config = self.config = scenario.config
        self.clock = Clock(config.name, BEGIN_NS)
        spread = topology_of(config)
        seen = len(spread.names) - 1  # without the view: it decides nothing
        self.topology = Topology(
            spread.names[:seen],
            spread.kinds[:seen],
            spread.actors_of[:seen],
            spread.watchers,
            spread.of_kind("execution"),
        )
        self.instruments = instruments_of(config)
        self._queue: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        self._chance = Random(f"world/{scenario.seed}")
        self.actors = {name: Actor(name) for name in self.topology.actors}
        self._draining = False
        self.keys = [keys_of(config, place) for place in range(len(config.venues))]
        self.lines: dict[int, VenueLine] = {}
        self.troubles = Troubles(self)
        exchanges = {}
        fair_prices: dict[str, FairPrice] = {}
        for place in range(len(config.venues)):
            exchange = exchanges[place] = make_exchange(config, place, BEGIN_NS, fair_prices)
            protocol = config.venues[place].protocol
            wire = make_wires(config, exchange)[protocol]
            front = make_front(config, exchange, BEGIN_NS, {protocol: wire})
            actor = self.topology.actor(self.topology.of_kind("venue")[place])
            self.lines[place] = VenueLine(self, place, actor, front)
        self.invariants = Invariants(config, self.instruments, exchanges, self.coverage)

    # --- time and the queue -------------------------------------------------------------------------

    def at(self, at_ns: int, act: Callable[..., None], *what: object) -> None:
        """See `Carrier`."""
        self._count += 1
        heapq.heappush(self._queue, (at_ns, self._count, act, what))

    def _advance(self, until_ns: int) -> None:
        queue, clock = self._queue, self.clock
        while queue and queue[0][0] <= until_ns:
            at_ns, _, act, what = heapq.heappop(queue)
            if at_ns > self.now_ns:
                self.now_ns = clock.time_ns = at_ns
            act(*what)
        self.now_ns = clock.time_ns = until_ns

    # --- what the bus asks --------------------------------------------------------------------------

    def epoch(self, actor: str) -> int:
        """See `Carrier`."""
        return self.clock.epoch(actor)

    def page(self, actor: str) -> Page | None:
        """See `Carrier`."""
        loop = self.actors[actor].loop
        return None if loop is None else loop.page

    def mail(self, actor: str, epoch: int) -> Mail | None:
        """See `Carrier`."""
        found = self.actors[actor]
        return found.mail if found.loop is not None and found.epoch == epoch else None

    def leaves_ns(self, actor: str) -> int:
        """See `Carrier`."""
        found = self.actors[actor]
        return max(self.now_ns, found.thaws_ns) if found.frozen else self.now_ns

    def rung(self, actor: str) -> None:
        """See `Carrier`."""
        self._wake(self.actors[actor], self.now_ns)

    # --- actors -------------------------------------------------------------------------------------

    def _wake(self, actor: Actor, at_ns: int) -> None:
        if actor.wake_ns > self.now_ns and actor.wake_ns <= at_ns:
            return
        actor.wake_ns = at_ns
        self.at(at_ns, self._turn, actor, at_ns)

    def _turn(self, actor: Actor, at_ns: int) -> None:
        if actor.wake_ns == at_ns and actor.loop is not None and not actor.frozen:
            self._do(actor, lambda loop: loop.turn())

    def _do(self, actor: Actor, act: Callable[[SimulatedLoop], object]) -> None:
        """Let an actor do something, and all that follows from it, until it sleeps, dies or fails."""
        loop = actor.loop
        if loop is None:
            return
        self.steps += 1
        try:
            act(loop)
            while not actor.frozen and not loop.stopping.is_set() and loop.turn():
                self.steps += 1
        except Killed:
            self.kill(actor)
            return
        except (ComponentFailed, JournalError, OutboxFull) as error:
            loop.fail(error)
        if loop.stopping.is_set():
            self._failed(actor, loop)
        elif not actor.frozen:
            actor.wake_ns = 0
            self._wake(actor, self.now_ns + loop.sleep_ns())

    def _failed(self, actor: Actor, loop: SimulatedLoop) -> None:
        """Only a full disk is a reason to stop; the operator mends it and trades on."""
        if not loop.disk.disk_full:
            raise Broken("no actor fails", f"{actor.name}: {loop.error}")
        self.kill(actor, 1.0)

    def kill(self, actor: Actor, after_s: float = 0.0) -> None:
        """kill -9; a successor comes a while after that."""
        loop = actor.loop
        assert loop is not None
        self._note(actor.name, "dies")
        loop.die()
        actor.loop = None
        actor.frozen = False
        actor.waiting.clear()
        for line in self.lines.values():
            if line.actor == actor.name:
                line.drop()
        wait_ns = int((after_s + self._chance.choice((0.05, 0.5, 2.0))) * SECOND_NS)
        self.at(self.now_ns + wait_ns, self._start, actor)

    def resume(self) -> None:
        """Everybody dies at once, and a new run goes on with what their folders hold."""
        for actor in self.actors.values():
            self.clock.began[actor.name] = actor.epoch
            if actor.loop is not None:
                self.kill(actor)

    def _start(self, actor: Actor) -> None:
        """The next epoch of an actor, from what its folder holds; its predecessor is dead."""
        actor.epoch += 1
        actor.mail = Mail()
        name, epoch, config = actor.name, actor.epoch, self.config
        bus = SimulatedBus(
            self,
            name,
            actor.mail,
            self.scenario.weather,
            config.engine.outbox_max,
            f"{config.seed}/{epoch}",
        )
        loop = actor.loop = SimulatedLoop(
            self._components(name),
            self.topology,
            self.clock,
            self._folder / name,
            config,
            epoch,
            self.kill_switch,
            bus,
            self,
            self._chance,
        )
        loop.draining = self._draining
        loop.stillborn, actor.stillborn = actor.stillborn, False
        before = segments(self._folder / name)[-1:]
        try:
            loop.restore()
        except Killed:
            self.kill(actor)
            return
        except JournalError as error:
            raise Broken("recovery", f"{name}: {error}") from error
        for path in before:  # what was decided, and written only by the recovery
            for record in read_journal(path):
                self.journalled(name, decode(record.data), record.data, record.now_ns)
        self._note(name, f"begins epoch {epoch}: {loop.restored_inputs} inputs run again")
        loop.gate.gateway = self._Edges(self, name)
        loop.open()
        for line in self.lines.values():
            if line.actor == name:
                line.open(self._connections(loop, line.venue))
        self._wake(actor, self.now_ns)

    @staticmethod
    def _connections(loop: SimulatedLoop, venue: int) -> int:
        """How many connections bring a venue's market data."""
        found = (c for c in loop.host.components if isinstance(c, Venue) and c.venue == venue)
        return next(found).lines.connections

    def _components(self, actor: str) -> list[Component]:
        config, topology = self.config, self.topology
        components = build(config, topology, self.instruments, actor)
        for place, component in enumerate(components):
            if topology.name(component.sender) == f"bot-{MONKEY}":
                bot = next(bot for bot in config.bots if bot.name == MONKEY)
                components[place] = Monkey(component.sender, self.instruments, bot, config.name)
        return components

    class _Edges:
        """The sockets of one actor's venues."""

        def __init__(self, world: "World", actor: str) -> None:
            self._world = world
            self._actor = actor

        def perform(self, effect: AnyMessage) -> Reason:
            """See `engine.edges.gate.Gateway`."""
            return self._world.perform(effect)

    def perform(self, effect: AnyMessage) -> Reason:
        """An effect has passed the gate."""
        if isinstance(effect, OrderRequest):
            self.trace.append((self.now_ns, "leaves", effect))
            self.invariants.passed(effect, self.kill_switch.on, self.now_ns)
        return self.lines[effect.venue].perform(effect)  # type: ignore[union-attr]  # all effects but timers name one

    def inject(self, actor: str, make: Callable[[int], AnyMessage]) -> None:
        """A message of an actor's own edges, numbered as it takes it; a frozen one takes it later."""
        found = self.actors[actor]
        if found.loop is None:
            return
        if found.frozen:
            found.waiting.append(lambda: self.inject(actor, make))
            return
        self._do(found, lambda loop: loop.inject(make(loop.next_shell_sequence())))

    def freeze(self, actor: str, for_ns: int) -> None:
        """See `engine.edges.simulation.actor.Told`."""
        found = self.actors[actor]
        if found.loop is None or found.frozen:
            return
        self._note(actor, f"is frozen for {for_ns / SECOND_NS:.3f} s")
        found.frozen = True
        found.thaws_ns = self.now_ns + for_ns
        found.loop.simulated_door.deferred = deque()
        self.at(found.thaws_ns, self._thaw, found, found.epoch)

    def _thaw(self, actor: Actor, epoch: int) -> None:
        if not actor.frozen or actor.epoch != epoch or actor.loop is None:
            return
        if actor.doomed:
            actor.doomed = False
            self.kill(actor)
            return
        actor.frozen = False
        self._do(actor, lambda loop: loop.thaw())
        while actor.waiting and not actor.frozen:
            actor.waiting.popleft()()

    # --- who is told --------------------------------------------------------------------------------

    def journalled(self, actor: str, message: AnyMessage, data: bytes, now_ns: int) -> None:
        """See `engine.edges.simulation.actor.Told`."""
        self.trace.append((now_ns, actor, message))
        self.invariants.journalled(message, data)
        if isinstance(message, RiskLevel) and message.level >= Risk.HALT:
            self.troubles.halted()

    def happened(self, injection: Injection) -> None:
        """See `engine.edges.simulation.actor.Told`."""
        self._note("injection", f"{injection.kind} {injection.subject} {injection.point}")
        self.coverage.happened(injection)

    def _note(self, who: str, what: str) -> None:
        self.trace.append((self.now_ns, who, what))

    # --- a run --------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Everything, until it is quiet or something is broken."""
        self._folder = Path(tempfile.mkdtemp(prefix="co-simulation-", dir=SHARED))
        self.kill_switch = WatchedSwitch(self._folder / "kill-switch", self.invariants)
        invariant = seen = ""
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._run()
        except Broken as broken:
            invariant, seen = broken.invariant, str(broken)
        finally:
            for actor in self.actors.values():
                if actor.loop is not None:
                    actor.loop.die()
            shutil.rmtree(self._folder)
            if collecting:
                gc.enable()
        for line in self.lines.values():
            for kind, count in line.front.faults.counts.items():
                self.coverage.saw("exchange fault", kind.name, count)
        return Outcome(
            self.scenario,
            invariant,
            seen,
            (self.now_ns - BEGIN_NS) / SECOND_NS,
            len(self.invariants.created),
            len(self.invariants.fills),
            self.steps,
            self.coverage,
            tuple(self.trace),
        )

    def _run(self) -> None:
        for injection in self.scenario.injections:
            self.at(injection.at_ns, self.troubles.inject, injection)
        for actor in self.actors.values():
            self._start(actor)
        self._advance(BEGIN_NS + int(self.scenario.seconds * SECOND_NS))
        self._calm()
        until_ns = self.now_ns + QUIET_S * SECOND_NS
        since_ns = 0
        while self.now_ns < until_ns:
            self._advance(self.now_ns + 100 * MS)
            if not at_rest(self):
                since_ns = 0
            elif not since_ns:
                since_ns = self.now_ns
            elif self.now_ns - since_ns >= REST_NS:
                break
        else:
            raise Broken("it comes to rest", restless(self))
        self.invariants.quiet()

    def _calm(self) -> None:
        """Nothing goes wrong any more, and nothing new is begun."""
        self.troubles.turn_kill_switch(False)
        self._draining = True
        for actor in self.actors.values():
            if actor.loop is not None:
                actor.doomed = False
                actor.loop.trap.armed.clear()
                actor.loop.disk.disk_full = False
                actor.loop.draining = True
        for venue, line in self.lines.items():
            line.front.turned(line.front.faults.clear(0, self.now_ns), self.now_ns)
            line.schedule()
            self.troubles.close_breaker(venue)
            self.troubles.clear_hands(line)
