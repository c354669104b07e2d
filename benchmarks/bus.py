"""Claim: the in-process bus takes a message through a component more than a million times a second.

A chain of components in one host: each message is routed, handled and its answer routed on, with
nothing recorded. Beside it, the shared-memory bus: an event and a market value out and in.
"""

import os
import time

from benchmarks.report import Report, arguments, median_spread
from engine.component import Component, Outputs
from engine.messages import AnyMessage, Depth, OpportunityGone, encode
from engine.routes import Topology
from engine.runtime import Host, Target

ROUNDS = 9
MESSAGES = 200_000


class Echo(Component):
    """Hears a depth and says it again; the second in the chain hears that and is silent."""

    def __init__(self, sender: int, kind: str, batch: Outputs) -> None:
        super().__init__(sender)
        self.kind = kind  # type: ignore[misc]  # a kind of its own for each, here only
        self._batch = batch
        self.heard = 0

    def on_message(self, message: AnyMessage, now_ns: int) -> Outputs:
        """Count; the first gives a batch for the second."""
        self.heard += 1
        return self._batch


class Nowhere:
    """Neither keeps nor sends."""

    def record(self, raw: bytes, now_ns: int) -> None:
        """Nothing is kept."""

    def append(self, records: list[bytes], now_ns: int) -> None:
        """Nothing is kept."""

    def publish(self, message: AnyMessage, encoded: bytes, targets: tuple[Target, ...]) -> None:
        """Nobody is elsewhere."""

    def perform(self, effect: AnyMessage) -> None:
        """No effects here."""


def in_process() -> float:
    """Messages a second through a component behind the in-process bus."""
    depth = Depth(1, 1, 0, 0, 2, 1, b"")  # type: ignore[arg-type]
    batch = (depth,) * 1000
    topology = Topology(("venue", "scanner"), ("venue", "scanner"), ("all", "all"))
    venue, scanner = Echo(1, "venue", batch), Echo(2, "scanner", ())
    host = Host([venue, scanner], topology, Nowhere(), Nowhere())
    entry = OpportunityGone(0, 1, 0, 1, 1)
    host._routes["entry", OpportunityGone] = host.route(entry)._replace(local=(venue,))
    began = time.perf_counter()
    for _ in range(MESSAGES // 1000):
        host.step(entry, b"", 1)
    elapsed = time.perf_counter() - began
    assert scanner.heard == MESSAGES
    return MESSAGES / elapsed


def shared_memory() -> float:
    """Microseconds for one event out and in, both ends in this process, without a wake."""
    from engine.edges.bus import SharedMemoryBus
    from engine.edges.directory import Directory, create_page

    directory = Directory(f"bench-bus-{os.getpid()}", ("a", "b"), create=True)
    try:
        ends = {}
        for actor in ("a", "b"):
            epoch = directory.claim(actor)
            page, memory = create_page(directory.run, actor, epoch)
            ends[actor] = SharedMemoryBus(directory, actor, epoch, page, memory, 4096)
            directory.enter(actor, epoch, os.getpid())
        targets = (Target("b", True, False),)
        began = time.perf_counter()
        for sequence in range(1, 10_001):
            message = OpportunityGone(1, sequence, 0, 1, 1)
            ends["a"].publish(message, encode(message), targets)
            ends["a"].flush()
            ends["b"].drain(16)
            ends["b"].page.acknowledge(1, sequence)
        elapsed = time.perf_counter() - began
        for end in ends.values():
            end.close()
        return elapsed * 1e6 / 10_000
    finally:
        directory.remove()


def main() -> None:
    """Print the figures."""
    assert __doc__
    report = Report(arguments(__doc__.splitlines()[0]).json)
    report.machine()
    rate, rates = median_spread([in_process() for _ in range(ROUNDS)])
    report.figure(
        "bus.in_process", rate, "messages/s", bar=1e6, better="higher", spread=rates,
        load="batches of 1,000 through one host to one component",
    )  # fmt: skip
    cost, costs = median_spread([shared_memory() for _ in range(3)])
    report.figure(
        "bus.shared_memory", cost, "us", spread=costs, load="one event out, in and acknowledged"
    )


if __name__ == "__main__":
    main()
