"""Sets a backtest up from a configuration: exchanges of its own, tapes from files, a summary."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import merge
from pathlib import Path

from engine.assembly import build_all, solo_topology
from engine.backtest.simulation import Kept, Simulation, TapeFrame
from engine.config import Config, instruments_of
from engine.edges.capture import CapturedFrame
from engine.edges.exchange_server import latency_ns, make_exchange, opening_balances
from engine.edges.feeds import frames_of
from engine.exchange.exchange import Exchange
from engine.exchange.market import TapeMarket
from engine.ledger import Ledger
from engine.messages import decode
from engine.units import format_decimal
from engine.venues.simulated import PUBLIC

BEGIN_NS = 1_700_000_000_000_000_000


def make_simulation(
    config: Config, pace: Callable[[int], None]
) -> tuple[Simulation, Kept, dict[int, Exchange], int]:
    """The simulation of a configuration, its recorder, its exchanges, and when it begins."""
    topology = solo_topology(config)
    instruments = instruments_of(config)
    begin_ns = min((frame.at_ns for frame in _tape(config)), default=BEGIN_NS)
    exchanges: dict[int, Exchange] = {}
    followers: dict[int, TapeMarket] = {}
    for place, venue in enumerate(config.venues):
        if venue.kind == "simulated":
            exchanges[place] = make_exchange(config, place, begin_ns)
        elif venue.protocol == "simulated":
            market = followers[place] = TapeMarket()
            exchanges[place] = Exchange(
                venue.name,
                instruments.of_venue(place),
                market,
                opening_balances(config, venue.name),
                latency_ns(config),
                config.seed,
            )
    recorder = Kept()
    simulation = Simulation(
        build_all(config, topology, instruments),
        topology,
        exchanges,
        followers,
        _tape(config),
        recorder,
        pace,
    )
    return simulation, recorder, exchanges, begin_ns


def _tape(config: Config) -> Iterator[TapeFrame]:
    """All venues' recordings merged by time; ties go by venue.

    Of a tape only the market counts: what it says of the account that traded then is left out.
    """
    parts = []
    for place, venue in enumerate(config.venues):
        if venue.kind == "replay":
            frames = frames_of(Path(venue.path), venue.name)
            if venue.protocol == "simulated":
                frames = (frame for frame in frames if frame.payload.startswith(PUBLIC))
            parts.append(_frames(place, frames))
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
        f"{exchange.venue} {asset}: ledger {ledger.balances.get((exchange.venue, asset), 0)}, "
        f"exchange {units}"
        for exchange in exchanges.values()
        for asset, units in exchange.account.totals.items()
        if ledger.balances.get((exchange.venue, asset), 0) != units
    ]
    lines += differing or ["checked: the ledger equals the exchanges' accounts to the last unit"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if differing else 0
