"""Memory stays flat: an hour in the cluster, and a day of simulated time; each process and shared memory.

The full form is in `make nightly`. The short one shows that sampling works and that nothing explodes.
"""

import gc
import os
import time
from pathlib import Path

import pytest

from engine.config import parse
from engine.edges.backtesting import make_simulation
from tests.soaking import anonymous_bytes, folder_bytes, resident_bytes, slope

DEMO = (Path(__file__).parent.parent / "configs" / "demo.toml").read_text()
FLAT = 0.01
"""Of what there was, an hour of real time; the simulated day may grow by as much in a day."""
NOISE_BYTES = 256 * 1024
"""What a page of the allocator more or less may do to the line of a small process."""
EXPLODED = 2.0
HOUR_S, DAY_S = 3600, 86_400
SHORT_S, SHORT_SIMULATED_S = 15, 120
SAMPLE_S = 5.0
UP_S = 180.0
WARM_UP = 0.25
"""The part of the samples that is left out: tables fill until their bound. Of the full form a third of
the hour comes before it."""
BY_DESIGN = ("exchange",)
"""The simulated exchange keeps 100,000 orders a venue, which an hour does not fill; it is only printed."""

Samples = dict[str, list[tuple[float, int]]]


def test_the_slope_of_a_line_is_its_rise() -> None:
    """Bytes an hour, whatever the begin; one moment has none."""
    line = slope([(100.0 + t, 5000 + 10 * t) for t in range(50)])
    assert (round(line.begin), round(line.an_hour)) == (5000, 36_000)
    assert round(line.share, 3) == 7.2
    with pytest.raises(ValueError, match="one moment"):
        slope([(1.0, 2), (1.0, 3)])


def test_this_process_has_memory() -> None:
    """Samples are of the process asked for: what it takes shows."""
    before = anonymous_bytes(os.getpid())
    taken = bytearray(os.urandom(1)) * (64 * 2**20)
    grown = anonymous_bytes(os.getpid()) - before
    assert grown > 48 * 2**20
    assert resident_bytes(os.getpid()) > anonymous_bytes(os.getpid()) > len(taken)


def held_flat(samples: Samples, flat_over_s: float) -> list[str]:
    """A line of words for each that grew more than it may in `flat_over_s`; all slopes are printed."""
    grown = []
    for name, found in sorted(samples.items()):
        line = slope(found[int(len(found) * WARM_UP) :])
        over = line.an_hour * flat_over_s / HOUR_S
        print(
            f"{name:20} {line.begin / 2**20:9.2f} MiB {over / 1024:+10.1f} KiB "
            f"({over / max(line.begin, 1):+.3%}) over {flat_over_s:.0f} s"
        )
        if over > max(FLAT * line.begin, NOISE_BYTES) and name not in BY_DESIGN:
            grown.append(name)
    return grown


def exploded(samples: Samples) -> list[str]:
    """Names of those that have more than twice what they began with."""
    return [name for name, found in samples.items() if found[-1][1] > EXPLODED * found[0][1]]


# --- the cluster ------------------------------------------------------------------------------------


def demo_text(folder: Path) -> str:
    """The demo's configuration, on any free port."""
    text = DEMO.replace("port = 8090", "port = 0")
    return text.replace('state_dir = "runs"', f'state_dir = "{folder}"')


def soak_cluster(text: str, seconds: float) -> Samples:
    """A configuration, traded for so long; every process and the run's shared memory, sampled."""
    pytest.importorskip("ray", reason="the cluster extra is not installed")
    pytest.importorskip("iceoryx2", reason="the cluster extra is not installed")
    from actors.launch import Launch
    from engine.edges.directory import SHARED

    launch = Launch(parse(text, "soak"), text)
    samples: Samples = {}
    try:
        launch.start()
        launch.wait_up(UP_S)
        assert launch.exchange is not None
        began = time.monotonic()
        due = began
        while (now := time.monotonic()) - began < seconds:
            launch.watch()
            if now >= due:
                due += SAMPLE_S
                pids = {actor: launch.directory.pid(actor) for actor in launch.actors}
                pids |= {"exchange": launch.exchange.pid, "launcher": os.getpid()}
                pids["supervisor"] = launch.directory.beaten(1)[0]
                for name, pid in pids.items():
                    samples.setdefault(name, []).append((now, anonymous_bytes(pid)))
                shared = folder_bytes(SHARED, launch.run)
                samples.setdefault("shared memory", []).append((now, shared))
            time.sleep(0.05)  # the pace of looking
        assert all(launch.directory.restarts(actor) == 0 for actor in launch.actors)
        assert launch.drain(60)
    finally:
        launch.close()
    return samples


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_memory_of_every_process_is_sampled(tmp_path: Path) -> None:
    """The short form: fifteen seconds of trading."""
    samples = soak_cluster(demo_text(tmp_path), SHORT_S)
    assert len(samples) == 13
    assert all(len(found) >= 2 and found[-1][1] > 0 for found in samples.values())
    held_flat(samples, HOUR_S)
    assert exploded(samples) == []


@pytest.mark.nightly
@pytest.mark.cluster
@pytest.mark.timeout(2 * HOUR_S)
def test_an_hour_in_the_cluster_is_flat_to_a_hundredth(tmp_path: Path) -> None:
    """The full form: some thirty orders a second over three gateways, so that tables are full early."""
    pytest.importorskip("ccxt", reason="the venues extra is not installed")
    from tests.storm import config_text

    text = config_text(tmp_path, 7).replace("[risk]\n", "[risk]\nduplicate_window_s = 300\n")
    assert held_flat(soak_cluster(text, HOUR_S / (1 - WARM_UP)), HOUR_S) == []


# --- simulated time ---------------------------------------------------------------------------------


def soak_simulation(seconds: int, samples_taken: int) -> Samples:
    """The demo in the backtest runtime; this process, sampled over simulated time."""
    simulation, kept, _, begin_ns = make_simulation(parse(DEMO, "demo"), lambda now_ns: None)
    samples: Samples = {"simulation": []}
    step_s = seconds // samples_taken
    for number in range(1, samples_taken + 1):
        from_ns = begin_ns + (number - 1) * step_s * 10**9
        simulation.run(from_ns, from_ns + step_s * 10**9)
        kept.durable.clear()  # the journal of a run in memory is not the engine's
        gc.collect()
        samples["simulation"].append((number * step_s, anonymous_bytes(os.getpid())))
    return samples


@pytest.mark.timeout(120)
def test_two_simulated_minutes_do_not_explode() -> None:
    """The short form."""
    samples = soak_simulation(SHORT_SIMULATED_S, 6)
    held_flat(samples, DAY_S)
    assert exploded(samples) == []


@pytest.mark.nightly
@pytest.mark.timeout(4 * HOUR_S)
def test_a_simulated_day_is_flat_to_a_hundredth() -> None:
    """The full form."""
    assert held_flat(soak_simulation(DAY_S, 240), DAY_S) == []
