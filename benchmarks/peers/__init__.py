"""What the benchmarks are measured against.

The peers of tick_to_order have `measure(interval_us, samples)` in ns: a bare futex chain is the
floor of four hops over four processes, plain Ray calls are what the bus replaces, NautilusTrader's
in-process path is the peer of the fused placement. The peers of feeds are scripts, `feed_ccxt` and
so on, which `feeds` runs in turns. All but these and `nautilus_node` can be imported with nothing
more than the standard library.
"""

from collections.abc import Sequence


def percentiles(samples_ns: Sequence[int]) -> dict[str, float]:
    """p50, p90, p99 and max by nearest rank; refuses an empty run."""
    if not samples_ns:
        raise ValueError("no samples")
    ordered = sorted(samples_ns)
    last = len(ordered) - 1
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: float(ordered[round(last * rank)]) for name, rank in ranks.items()}
