"""The bus of the simulated world: what `engine/edges/bus.py` promises, and nothing beyond that.

Each pair of actors has two ways, market data and events, each in order by itself. Market data conflates
by key while its way is taken, so that the last value of a key always arrives. Events wait in an
outbox until the reader acknowledges them in its page; what a reader's death took with it is sent
to the successor again. How long a message is under way, and whether one comes twice, is the seed's.
"""

from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple, Protocol

from engine.edges.journal import Pending
from engine.edges.trades import TradeQueue
from engine.messages import AnyMessage, Trade
from engine.routes import conflation_key
from engine.runtime import OutboxFull, Target
from ext.page import Page

US = 1_000
MS = 1_000_000
NEVER = 1 << 62


class Weather(NamedTuple):
    """How messages between actors fare: the usual delay, and the shares that lag or come twice."""

    usual_ns: int = 200 * US
    lag_share: float = 0.01
    lag_ns: int = 80 * MS
    twice_share: float = 0.005


class Carrier(Protocol):
    """The world, as the bus sees it."""

    now_ns: int

    def at(self, at_ns: int, act: Callable[..., None], *what: object) -> None:
        """Call this then."""

    def epoch(self, actor: str) -> int:
        """The epoch of an actor that receives now; 0 while none does."""

    def page(self, actor: str) -> Page | None:
        """The page of an actor's current epoch."""

    def mail(self, actor: str, epoch: int) -> "Mail | None":
        """Where an epoch of an actor is handed its mail; None when it is dead."""

    def leaves_ns(self, actor: str) -> int:
        """When what an actor does now leaves it: later than now while it is frozen."""

    def rung(self, actor: str) -> None:
        """An actor has mail that is urgent."""


class Mail:
    """What lies in front of one epoch of an actor."""

    def __init__(self) -> None:
        self.market: deque[bytes] = deque()
        self.events: deque[bytes] = deque()


class Edge:
    """All that one sender keeps for one reader; compare `engine.edges.bus.Edge`."""

    def __init__(self, bus: "SimulatedBus", actor: str, chance: Random) -> None:
        self.actor = actor
        self._bus = bus
        self._chance = chance
        self._epoch = 0
        self._last: dict[object, bytes] = {}
        self._dirty: dict[object, bytes] = {}
        self._trades = TradeQueue()
        self._outbox: deque[Pending] = deque()
        self._inherited = 0
        self._unsent = 0
        self._hurried = False
        self._market_ns = 0  # until then the way of market data is taken
        self._events_ns = 0

    def market(self, key: object, data: bytes, hurried: bool) -> None:
        """A newer value of a key."""
        if key in self._dirty:
            self._bus.conflated += 1
        self._last[key] = self._dirty[key] = data
        self._hurried = self._hurried or hurried

    def trade(self, message: Trade, data: bytes, hurried: bool) -> None:
        """One more trade for a reader that needs each."""
        self._trades.put(message, data)
        self._hurried = self._hurried or hurried

    def event(self, pending: Pending, inherited: bool = False) -> None:
        """An event to be delivered at least once; raises OutboxFull, but not for a predecessor's."""
        self._inherited += inherited
        if len(self._outbox) - self._inherited >= self._bus.outbox_max:
            self._acknowledged()
            if len(self._outbox) - self._inherited >= self._bus.outbox_max:
                raise OutboxFull(f"{self.actor} has not acknowledged {len(self._outbox)} events")
        self._outbox.append(pending)
        self._unsent += 1

    def flush(self) -> bool:
        """Send what can be sent now; whether to look again.

        Market data that waits for its way to be free goes when what is on it arrives.
        """
        world = self._bus.world
        epoch = world.epoch(self.actor)
        if epoch != self._epoch and not self._follow(epoch):
            return True
        if self._unsent:
            first = len(self._outbox) - self._unsent
            raws = [self._outbox[i].data for i in range(first, len(self._outbox))]
            self._unsent = 0
            self._send_events(raws)
        if (self._dirty or self._trades) and world.now_ns >= self._market_ns:
            raws = list(self._dirty.values())
            waiting = list(self._trades.waiting())
            self._trades.drop(len(waiting))
            self._dirty.clear()
            self._market_ns = self._send(self._market_ns, False, raws + waiting, self._hurried)
            self._hurried = False
        if len(self._outbox) > 64:
            self._acknowledged()
        return False

    def _send(self, after_ns: int, events: bool, raws: list[bytes], hurried: bool) -> int:
        """Set out, behind what set out before; when it arrives."""
        bus, chance = self._bus, self._chance
        delay_ns = chance.expovariate(1.0) * bus.weather.usual_ns
        if chance.random() < bus.weather.lag_share:
            delay_ns += chance.random() * bus.weather.lag_ns
        left_ns = bus.world.leaves_ns(bus.actor)
        due_ns = max(left_ns + int(delay_ns) + 1, after_ns)
        bus.world.at(due_ns, self._arrive, left_ns, events, self._epoch, raws, hurried)
        return due_ns

    def _send_events(self, raws: list[bytes]) -> None:
        self._events_ns = self._send(self._events_ns, True, raws, True)
        if self._chance.random() < self._bus.weather.twice_share:
            self._bus.doubled += len(raws)
            self._events_ns = self._send(self._events_ns, True, raws, True)

    def _arrive(
        self, left_ns: int, events: bool, epoch: int, raws: list[bytes], hurried: bool
    ) -> None:
        """What was sent to an epoch that is dead by now vanishes, and what never left its sender."""
        world = self._bus.world
        mail = world.mail(self.actor, epoch)
        if mail is None or left_ns > self._bus.died_ns:
            return
        (mail.events if events else mail.market).extend(raws)
        if hurried:
            world.rung(self.actor)
        if not events and (self._dirty or self._trades) and not self._bus.closed:
            self.flush()

    def _follow(self, epoch: int) -> bool:
        """Turn to the reader's current epoch: everything unacknowledged and every last value anew."""
        if epoch == 0:
            return False
        if self._epoch:
            self._bus.resent += len(self._outbox)
        self._epoch = epoch
        self._acknowledged()
        self._unsent = len(self._outbox)
        self._dirty = dict(self._last)
        self._market_ns = self._events_ns = self._bus.world.now_ns
        self._hurried = True
        return True

    def _acknowledged(self) -> None:
        """Forget what the reader has durably processed."""
        page = self._bus.world.page(self.actor)
        if page is None or not self._epoch:
            return
        outbox = self._outbox
        while outbox and page.acknowledged(outbox[0].sender) >= outbox[0].sequence:
            outbox.popleft()
            self._inherited = max(self._inherited - 1, 0)
        self._unsent = min(self._unsent, len(outbox))

    def pending(self) -> list[Pending]:
        """What the reader has not acknowledged yet."""
        self._acknowledged()
        return list(self._outbox)


class SimulatedBus:
    """One actor's place on the bus; takes the place of `engine.edges.bus.SharedMemoryBus`."""

    def __init__(
        self, world: Carrier, actor: str, mail: Mail, weather: Weather, outbox_max: int, seed: str
    ) -> None:
        self.world = world
        self.actor = actor
        self.weather = weather
        self.outbox_max = outbox_max
        self.market_first = False
        self.closed = False
        self.died_ns = NEVER
        self.conflated = 0
        self.doubled = 0
        self.resent = 0
        self._mail = mail
        self._seed = seed
        self._edges: dict[str, Edge] = {}
        self._touched: dict[Edge, None] = {}

    def restore(self, pending: Iterable[Pending]) -> None:
        """Take over what a predecessor had not got acknowledged."""
        for event in pending:
            self._edge(event.actor).event(event, inherited=True)

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """Keep a message for its readers; `flush` sends. Raises OutboxFull."""
        for target in targets:
            edge = self._edge(target.actor)
            if target.queued:
                assert isinstance(message, Trade)
                edge.trade(message, encoded, target.hurried)
            elif target.conflated:
                edge.market(conflation_key(message), encoded, target.hurried)
            else:
                edge.event(Pending(target.actor, message.sender, message.sequence, encoded))

    def _edge(self, actor: str) -> Edge:
        edge = self._edges.get(actor)
        if edge is None:
            chance = Random(f"{self._seed}/{self.actor}/{actor}")
            edge = self._edges[actor] = Edge(self, actor, chance)
        self._touched[edge] = None
        return edge

    def flush(self) -> bool:
        """Send what waits; whether something is left."""
        if not self._touched:
            return False
        left = [edge for edge in self._touched if edge.flush()]
        self._touched = dict.fromkeys(left)
        return bool(left)

    def look_around(self) -> None:
        """See to edges whose readers were replaced although nothing new is to be said to them."""
        for edge in self._edges.values():
            self._touched[edge] = None

    def pending(self) -> list[Pending]:
        """All events that readers have not acknowledged."""
        return [event for edge in self._edges.values() for event in edge.pending()]

    def drain(self, limit: int) -> list[bytes]:
        """Up to `limit` messages of each kind: events first, or what `market_first` says."""
        mail = self._mail
        queues = (mail.market, mail.events) if self.market_first else (mail.events, mail.market)
        found: list[bytes] = []
        for queue in queues:
            if len(queue) <= limit:
                found += queue
                queue.clear()
            else:
                found += [queue.popleft() for _ in range(limit)]
        return found

    def has_mail(self) -> bool:
        """Whether anything waits."""
        return bool(self._mail.market or self._mail.events)

    def close(self) -> None:
        """Leave the bus: what was sent is under way, what was not is gone."""
        self.closed = True
        self.died_ns = min(self.died_ns, self.world.now_ns)
        self._touched.clear()
