"""Sets a backtest up from a configuration: exchanges of its own, tapes from files, a summary."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import merge

from engine.assembly import build_all, solo_topology
from engine.backtest.simulation import Kept, Simulation, TapeFrame
from engine.config import ENGINE_ACCOUNT, Config, instruments_of
from engine.edges.capture import CapturedFrame
from engine.edges.comparison import compare_balances
from engine.edges.exchange_server import add_accounts, make_exchange, make_front
from engine.edges.exchange_sockets import OWN
from engine.edges.playback import make_played, market_frames
from engine.exchange.racing import RacingExchange
from engine.exchange.wires.simulated import SimulatedWire
from engine.ledger import Ledger
from engine.messages import decode
from engine.units import format_decimal

BEGIN_NS = 1_700_000_000_000_000_000


def make_simulation(
    config: Config, pace: Callable[[int], None]
) -> tuple[Simulation, Kept, dict[int, RacingExchange], int]:
    """The simulation of a configuration, its recorder, its exchanges, and when it begins."""
    topology = solo_topology(config)
    instruments = instruments_of(config)
    first = next(_tape(config), None)
    begin_ns = BEGIN_NS if first is None else first.at_ns
    exchanges: dict[int, RacingExchange] = {}
    for place, venue in enumerate(config.venues):
        if venue.kind == "simulated":
            exchanges[place] = make_exchange(config, place, begin_ns)
        elif venue.protocol == "simulated":
            exchanges[place] = make_played(config, place, begin_ns, shifted=False)
            add_accounts(exchanges[place], config, begin_ns)
    recorder = Kept()
    simulation = Simulation(
        build_all(config, topology, instruments),
        topology,
        {
            place: make_front(
                # A tape's own frames tell of its books and trades.
                config,
                exchange,
                begin_ns,
                {OWN: SimulatedWire(exchange, public=config.venues[place].kind == "simulated")},
            )
            for place, exchange in exchanges.items()
        },
        _tape(config),
        recorder,
        pace,
    )
    return simulation, recorder, exchanges, begin_ns


def _tape(config: Config) -> Iterator[TapeFrame]:
    """All venues' recordings merged by time; ties go by venue."""
    parts = []
    for place, venue in enumerate(config.venues):
        if venue.kind == "replay":
            parts.append(_frames(place, market_frames(venue)))
    return merge(*parts, key=lambda frame: (frame.at_ns, frame.venue))


def _frames(place: int, frames: Iterator[CapturedFrame]) -> Iterator[TapeFrame]:
    for at_ns, connection, kind, about, payload in frames:
        yield TapeFrame(at_ns, place, connection, kind, payload, about)


def paced(begin_ns: int, speed: float) -> Callable[[int], None]:
    """Waits until the real clock has come as far as the simulation's, times `speed`."""
    begin = time.monotonic()

    def pace(now_ns: int) -> None:
        wait_s = (now_ns - begin_ns) / 1e9 / speed - (time.monotonic() - begin)
        if wait_s > 0:
            time.sleep(wait_s)

    return pace


def run_backtest(config: Config, seconds: float) -> int:
    """Run and print what came of it; 0 when the ledger equals the exchanges' accounts."""
    simulation, recorder, exchanges, begin_ns = make_simulation(config, lambda now_ns: None)
    started = time.perf_counter()
    simulation.run(begin_ns, begin_ns + int(seconds * 1e9))
    elapsed_s = time.perf_counter() - started
    ledger = next(c for c in simulation.host.components if isinstance(c, Ledger))
    counts = Counter(type(decode(data)).__name__ for data in recorder.durable)
    lines = [
        f"simulated {seconds:g} s in {elapsed_s:.2f} s: {simulation.frames} frames, "
        f"{simulation.frames / elapsed_s:,.0f} a second",
        ", ".join(f"{count} {name}" for name, count in sorted(counts.items())),
    ]
    instruments = instruments_of(config)
    for (base, quote), position in sorted(ledger.positions.items()):
        decimals = instruments.decimals(quote)
        lines.append(
            f"{base}/{quote}: position {format_decimal(position.quantity, instruments.decimals(base))}"
            f", realised {format_decimal(position.realised, decimals)} {quote}"
            f", fees {format_decimal(position.fees, decimals)} {quote} (simulated)"
        )
    differing = [
        problem for exchange in exchanges.values() for problem in exchange.audit().problems
    ]
    for exchange in exchanges.values():
        rows = exchange.audit().balances
        theirs = {asset: units for account, asset, units, _ in rows if account == ENGINE_ACCOUNT}
        differing += [
            f"{found.venue} {found.asset}: ledger {found.ledger}, exchange {found.exchange}"
            for found in compare_balances(exchange.venue, theirs, ledger.balances)
            if found.ledger != found.exchange
        ]
    lines += differing or ["checked: the ledger equals the exchanges' accounts to the last unit"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if differing else 0
