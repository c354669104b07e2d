"""The one step all runtimes take: record the message, run the components, journal, then let it out.

`Host` runs any set of components. It knows no clock, no thread and no transport: the recorder, the
outlet and the time are handed to it, so a backtest, one process and a Ray actor are the same code,
and what an actor recorded can be run again (`replay`) to exactly the same outputs.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from engine.component import Component
from engine.messages import (
    Answer,
    AnyMessage,
    CancelAll,
    CancelCommand,
    Connected,
    Disconnected,
    Drain,
    Fill,
    Frame,
    InstrumentReloaded,
    KillSwitch,
    OrderCommand,
    OrderEvent,
    OrderRefused,
    OrderRequest,
    ParentEvent,
    Reconcile,
    RequestRefused,
    ResolveUnknown,
    SetBreaker,
    SetTimer,
    Started,
    TimerFired,
    encode,
)
from engine.routes import (
    CONFLATED,
    DURABLE,
    EFFECTS,
    QUEUED,
    UNHURRIED,
    Topology,
    hosted,
    receivers,
)

CASCADE_MAX = 10_000


class Recorder(Protocol):
    """Where a host's inputs and durable outputs are kept."""

    def record(self, raw: bytes, now_ns: int) -> None:
        """Keep one input before it is processed."""

    def append(self, records: list[bytes], now_ns: int) -> None:
        """Keep the durable outputs of one step before any of them leaves."""


class Outlet(Protocol):
    """Where a host's outputs go once they are journalled."""

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple["Target", ...]) -> None:
        """Pass a message on to components in other actors."""

    def perform(self, effect: AnyMessage) -> None:
        """Do what a component wants done outside."""


class Target(NamedTuple):
    """An actor that hears a message, whether it must be woken, and whether values conflate.

    Of a `queued` one it hears every value; what does not fit is shed by count and said.
    """

    actor: str
    hurried: bool
    conflated: bool
    queued: bool = False


class Route(NamedTuple):
    """Where a message goes: components of this host, actors elsewhere."""

    local: tuple[Component, ...]
    targets: tuple[Target, ...]


class HostState(msgspec.Struct):
    """The snapshot of a host: each component's own, by name, and the grids that were reloaded."""

    components: dict[str, bytes]
    reloaded: dict[int, tuple[str, str]] = {}


class ComponentFailed(RuntimeError):
    """A component raised: a defect, never an input's fault. The actor stops."""


class OutboxFull(RuntimeError):
    """A receiver has not acknowledged events for so long that no more can be kept for it."""


class Host:
    """Runs the components of one actor, message by message."""

    def __init__(
        self,
        components: Sequence[Component],
        topology: Topology,
        recorder: Recorder,
        outlet: Outlet,
    ) -> None:
        self.components = tuple(components)
        self.topology = topology
        self.recorder = recorder
        self.outlet = outlet
        self._by_number = {c.sender: c for c in components}
        self._actor = topology.actor(components[0].sender)
        self._routes: dict[object, Route] = {}
        self._reloaded: dict[int, tuple[str, str]] = {}

    def step(self, message: AnyMessage, raw: bytes | None, now_ns: int) -> list[AnyMessage]:
        """Take one message from outside through its whole cascade; the messages that came out.

        An order's request leaves as soon as all that led to it is in the journal, before what else
        the message causes is worked out. Raises `ComponentFailed` when a component raises.
        """
        self.recorder.record(encode(message) if raw is None else raw, now_ns)
        outputs: list[AnyMessage] = []
        left = 0
        for output in self._cascade(message, now_ns):
            outputs.append(output)
            if type(output) is OrderRequest:
                self._let_out(outputs[left:], now_ns)
                left = len(outputs)
        if len(outputs) > left:
            self._let_out(outputs[left:] if left else outputs, now_ns)
        return outputs

    def cascade(self, message: AnyMessage, now_ns: int) -> list[AnyMessage]:
        """All outputs of this host's components on a message, in order; changes only their state."""
        return list(self._cascade(message, now_ns))

    def _cascade(self, message: AnyMessage, now_ns: int) -> Iterator[AnyMessage]:
        """Depth first: what follows from an output comes before the output's next sibling."""
        if type(message) is InstrumentReloaded:
            self._reload(message.instrument, message.tick_size, message.lot_size)
        waiting = [(component, message) for component in reversed(self._entry(message))]
        done = 0
        while waiting:
            component, current = waiting.pop()
            try:
                produced = component.on_message(current, now_ns)
            except Exception as error:
                name = self.topology.name(component.sender)
                raise ComponentFailed(f"{name} on {type(current).__name__}: {error!r}") from error
            if not produced:
                continue
            yield from produced
            for output in reversed(produced):
                if type(output) is InstrumentReloaded:
                    self._reload(output.instrument, output.tick_size, output.lot_size)
                local = self.route(output).local
                if local:
                    waiting.extend([(component, output) for component in reversed(local)])
            done += 1
            if done > CASCADE_MAX:
                raise ComponentFailed(f"more than {CASCADE_MAX} messages follow from {message!r}")

    def _reload(self, number: int, tick_size: str, lot_size: str) -> None:
        """An instrument is on another grid, for all components at once."""
        self._reloaded[number] = (tick_size, lot_size)
        for component in self.components:
            component.reload(number, tick_size, lot_size)

    def _let_out(self, outputs: list[AnyMessage], now_ns: int) -> None:
        """Journal first, in one write; only then publish and perform, in the order produced."""
        durable: list[bytes] = []
        leaving: list[tuple[AnyMessage, bytes, tuple[Target, ...]]] = []
        for output in outputs:
            kind = type(output)
            targets = () if kind in EFFECTS else self.route(output).targets
            kept = kind in DURABLE
            data = encode(output) if kept or targets else b""
            if kept:
                durable.append(data)
            if targets or kind in EFFECTS:
                leaving.append((output, data, targets))
        if durable:
            self.recorder.append(durable, now_ns)
        outlet = self.outlet
        for output, data, targets in leaving:
            if targets:
                outlet.publish(output, data, targets)
            else:
                outlet.perform(output)

    def _entry(self, message: AnyMessage) -> tuple[Component, ...]:
        """The components that hear a message from outside this host."""
        kind = type(message)
        if kind is TimerFired:
            component = self._by_number.get(message.component)  # type: ignore[union-attr]
            return (component,) if component is not None else ()
        if kind in (Started, KillSwitch, Drain):
            return self.components
        key = ("entry", _key(message))
        route = self._routes.get(key)
        if route is None:
            route = Route(hosted(message, self.components, self.topology), ())
            self._routes[key] = route
        return route.local

    def route(self, message: AnyMessage) -> Route:
        """Where an output goes; looked up by type and address, computed once for each."""
        kind = type(message)
        key: object = kind if kind not in _ADDRESS else (kind, _ADDRESS[kind](message))
        route = self._routes.get(key)
        if route is None:
            route = self._make_route(message)
            self._routes[key] = route
        return route

    def _make_route(self, message: AnyMessage) -> Route:
        local = []
        targets: dict[str, Target] = {}
        kind = type(message)
        for number in receivers(message, self.topology):
            if number in self._by_number:
                local.append(self._by_number[number])
                continue
            actor = self.topology.actor(number)
            place = self.topology.kinds[number - 1]
            heard_as = "bots" if place == "bot" else place
            known = targets.get(actor)
            hurried = (kind, heard_as) not in UNHURRIED or (known is not None and known.hurried)
            queued = (kind, heard_as) in QUEUED or (known is not None and known.queued)
            targets[actor] = Target(actor, hurried, kind in CONFLATED, queued)
        return Route(tuple(local), tuple(targets.values()))

    def snapshot(self) -> bytes:
        """All components' states."""
        return msgspec.msgpack.encode(
            HostState(
                {self.topology.name(c.sender): c.snapshot() for c in self.components},
                self._reloaded,
            )
        )

    def restore(self, data: bytes) -> None:
        """Put all components back; raises ValueError when the bytes are another set's."""
        try:
            state = msgspec.msgpack.decode(data, type=HostState)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a host's snapshot: {error}") from error
        mine = {self.topology.name(c.sender): c for c in self.components}
        if mine.keys() != state.components.keys():
            raise ValueError(f"snapshot of {sorted(state.components)}, host of {sorted(mine)}")
        for number, (tick_size, lot_size) in state.reloaded.items():
            self._reload(number, tick_size, lot_size)
        for name, component in mine.items():
            component.restore(state.components[name])


# Where the address of an addressed message stands; all others go by their type alone.
_ADDRESS: dict[type, Callable[[Any], int]] = {
    OrderCommand: lambda message: message.intent.venue,
    CancelCommand: lambda message: message.venue,
    OrderEvent: lambda message: message.bot,
    Fill: lambda message: message.bot,
    OrderRefused: lambda message: message.bot,
    ParentEvent: lambda message: message.bot,
    CancelAll: lambda message: message.venue,
    Reconcile: lambda message: message.venue,
    ResolveUnknown: lambda message: message.venue,
    SetBreaker: lambda message: message.venue,
    Answer: lambda message: message.venue,
    Frame: lambda message: message.venue,
    Connected: lambda message: message.venue,
    Disconnected: lambda message: message.venue,
    RequestRefused: lambda message: message.venue,
}


def _key(message: AnyMessage) -> object:
    """What decides a message's way: its type, and its address where it has one."""
    kind = type(message)
    address = _ADDRESS.get(kind)
    return kind if address is None else (kind, address(message))


def replay(
    host: Host, inputs: Iterable[tuple[AnyMessage, int]]
) -> Iterable[tuple[AnyMessage, int, list[AnyMessage]]]:
    """Run recorded inputs through a host again: each with its time and what follows from it."""
    for message, now_ns in inputs:
        yield message, now_ns, host.cascade(message, now_ns)


class Timers:
    """The timers that components asked for: one for each (component, key), the last one set."""

    def __init__(self) -> None:
        self._due: dict[tuple[int, int], int] = {}
        self._heap: list[tuple[int, int, int]] = []

    def set(self, effect: SetTimer) -> None:
        """Set or replace a timer."""
        self._due[effect.sender, effect.key] = effect.at_ns
        heapq.heappush(self._heap, (effect.at_ns, effect.sender, effect.key))

    def next_due_ns(self) -> int | None:
        """When the next timer is due, if there is one."""
        while self._heap:
            at_ns, component, key = self._heap[0]
            if self._due.get((component, key)) == at_ns:
                return at_ns
            heapq.heappop(self._heap)
        return None

    def fired(self, now_ns: int, number: Callable[[], int]) -> list[TimerFired]:
        """The timers due by now, taken out; `number` gives each firing its sequence."""
        firings = []
        while (due := self.next_due_ns()) is not None and due <= now_ns:
            _, component, key = heapq.heappop(self._heap)
            del self._due[component, key]
            firings.append(TimerFired(0, number(), 0, component, key))
        return firings
