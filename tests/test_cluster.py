"""The cluster runtime for real: Ray, shared memory, sockets; every actor killed and frozen in turn.

One run serves all faults; at its end it drains, its ledger must equal the exchange's accounts, and
everything its actors recorded is run again, cut epochs included.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("ray", reason="the cluster extra is not installed")
pytest.importorskip("iceoryx2", reason="the cluster extra is not installed")

from actors.launch import Launch
from actors.replay import play_in_cluster
from engine.config import Config, parse
from engine.edges.comparison import compare_accounts, ledger_of
from engine.edges.directory import SHARED, open_page
from engine.edges.journal import read_inbox, segments
from engine.edges.recovery import rerun
from engine.edges.replaying import capture_config, tape_config
from engine.edges.runs import RECORDER, alive
from engine.edges.solo import play_in_solo
from engine.edges.verification import host_of, verify_run
from engine.messages import AnyMessage, Frame, decode
from engine.runtime import replay
from engine.venue import VenueState
from tests.captures import hold_tops

DEMO = Path(__file__).parent.parent / "configs" / "demo.toml"
BACK_S = 3.0
ACTORS = (
    "venue-alpha",
    "venue-beta",
    "venue-gamma",
    "scanner",
    "risk",
    "ledger",
    "bot-arb",
    "api",
    RECORDER,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


class Run:
    """A demo run under test."""

    def __init__(self, folder: Path) -> None:
        text = DEMO.read_text().replace("port = 8090", "port = 0")
        text = text.replace('state_dir = "runs"', f'state_dir = "{folder}"')
        self.config = parse(text, "demo")
        self.launch = Launch(self.config, text)
        self.launch.start()
        self.launch.wait_up()

    def watch_until(self, condition, seconds: float) -> bool:  # type: ignore[no-untyped-def]
        """Keep the launcher's watch until something holds; False when time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.launch.watch()
            if condition():
                return True
            time.sleep(0.005)
        return False

    def settled(self) -> bool:
        """A standby waits and every actor beats."""
        directory = self.launch.directory
        now_ns = time.monotonic_ns()
        return directory.standby_pid != 0 and all(
            now_ns - self.page(actor).heartbeat_ns < 500_000_000 for actor in ACTORS
        )

    def page(self, actor: str):  # type: ignore[no-untyped-def]
        """An actor's current page."""
        directory = self.launch.directory
        return open_page(self.launch.run, actor, directory.epoch(actor))[0]

    def fault(self, actor: str, number: signal.Signals) -> float:
        """Kill or freeze an actor; seconds from the kill, or from the third missed heartbeat."""
        directory = self.launch.directory
        assert self.watch_until(self.settled, 20), "the run did not come to rest before the fault"
        epoch, pid = directory.epoch(actor), directory.pid(actor)
        others = {other: directory.epoch(other) for other in ACTORS if other != actor}
        began_ns = time.monotonic_ns()
        if number == signal.SIGSTOP:
            beats_ns = self.config.engine.missed_heartbeats * self.config.engine.heartbeat_ms
            began_ns += beats_ns * 1_000_000
        os.kill(pid, number)

        def back() -> bool:
            if directory.epoch(actor) == epoch:
                return False
            return bool(self.page(actor).first_step_ns)

        assert self.watch_until(back, 15), f"{actor} did not come back"
        if number == signal.SIGSTOP:
            with pytest.raises(ProcessLookupError):  # "thawed": it is dead, and was before
                os.kill(pid, signal.SIGCONT)
        assert not alive(pid), "the predecessor was dead before its successor served"
        assert {other: directory.epoch(other) for other in others} == others
        return (self.page(actor).first_step_ns - began_ns) / 1e9


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One cluster for all faults."""
    run = Run(tmp_path_factory.mktemp("state"))
    yield run
    run.launch.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "freeze"])
@pytest.mark.parametrize("actor", ACTORS)
def test_an_actor_is_back_within_three_seconds(
    run: Run, actor: str, number: signal.Signals
) -> None:
    """Its successor has processed a message, and nobody else was restarted."""
    seconds = run.fault(actor, number)
    print(f"{actor} {number.name}: back after {seconds:.3f} s")
    assert seconds < BACK_S


@pytest.mark.parametrize("actor", ["venue-alpha", "risk"])
def test_a_successor_that_freezes_before_it_answers_is_replaced(run: Run, actor: str) -> None:
    """It serves by then: its heartbeats are missed, and the supervisor does not wait for its answer."""
    directory = run.launch.directory
    assert run.watch_until(run.settled, 20)
    epochs = {each: directory.epoch(each) for each in ACTORS}
    supervisor = directory.beaten(1)[0]
    os.kill(directory.pid(actor), signal.SIGKILL)
    deadline = time.monotonic() + 15
    while directory.epoch(actor) == epochs[actor]:
        assert time.monotonic() < deadline, "nobody took the place of the dead"
        time.sleep(0.0002)  # the moment between serving and answering is some milliseconds
    frozen = directory.pid(actor)
    os.kill(frozen, signal.SIGSTOP)
    began = time.monotonic()

    def back() -> bool:
        return directory.epoch(actor) == epochs[actor] + 2 and bool(run.page(actor).first_step_ns)

    assert run.watch_until(back, 15), "the frozen successor was not replaced"
    print(f"{actor}: back {time.monotonic() - began:.3f} s after its successor froze")
    assert not alive(frozen)
    assert {each: directory.epoch(each) for each in ACTORS} == {**epochs, actor: epochs[actor] + 2}
    assert directory.beaten(1)[0] == supervisor


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "freeze"])
def test_trading_goes_on_while_the_supervisor_is_replaced(run: Run, number: signal.Signals) -> None:
    """The launcher puts a successor to work; no actor is restarted; frames go on being taken."""
    launch, directory = run.launch, run.launch.directory
    assert run.watch_until(run.settled, 20)
    epochs = {actor: directory.epoch(actor) for actor in ACTORS}
    pid = directory.beaten(1)[0]
    before = run.page("venue-alpha").get(0)
    began = time.monotonic()
    os.kill(pid, number)
    assert run.watch_until(lambda: directory.beaten(1)[0] not in (0, pid), 10)
    seconds = time.monotonic() - began
    print(f"supervisor {number.name}: back after {seconds:.3f} s")
    assert seconds < BACK_S + (1.5 if number == signal.SIGSTOP else 0)
    assert not alive(pid)
    assert run.watch_until(lambda: run.page("venue-alpha").get(0) > before + 20, 10)
    assert {actor: directory.epoch(actor) for actor in ACTORS} == epochs
    assert launch.directory.supervisor_restarts >= 1


def test_it_all_adds_up_and_runs_again(run: Run) -> None:
    """After all faults: nothing doubled or lost, and each epoch replays to the same outputs."""
    launch = run.launch
    assert run.watch_until(run.settled, 20)
    assert launch.drain(), "something stayed open or unknown"
    snapshots = launch.stop_actors()
    assert launch.exchange is not None
    ledger = ledger_of(run.config, launch.topology, snapshots)
    comparison = compare_accounts(run.config, launch.exchange.url, ledger)
    print("\n".join(comparison.lines()))
    assert comparison.holds, comparison.lines()
    assert comparison.fills > 0, "the run traded"
    verdicts = verify_run(run.config, launch.folder)
    for verdict in verdicts:
        print(verdict._replace(differences=()))
        assert verdict.differences == ()
        assert verdict.epochs >= 3, "the first, one killed and one frozen"
    assert sum(verdict.witnessed for verdict in verdicts) > 1000
    tape = max(launch.folder.glob("tape-*.parquet"))
    folder, states = play_tape(tape)
    counts = [state.counts for state in states]
    print(f"{tape.name}: {[count.frames for count in counts]} frames played back")
    assert [count.frames for count in counts] == [
        sum(isinstance(message, Frame) for message in inputs(launch.folder / actor))
        for actor in ACTORS[:3]
    ]
    assert all(verdict.differences == () for verdict in verify_run(tape_run(folder), folder))
    name = launch.run
    launch.close()
    left = [path.name for path in SHARED.glob(f"*{name}*")]
    assert left == [], "shared memory is left behind"


def inputs(folder: Path) -> list[AnyMessage]:
    """Everything an actor took in, over all its segments."""
    return [decode(r.data) for segment in segments(folder) for r in read_inbox(segment)]


def play_tape(tape: Path) -> tuple[Path, list[VenueState]]:
    """Play a tape back through the solo runtime."""
    text = tape_config(tape, 0.0)
    return play_in_solo(parse(text, "tape"), text)


def tape_run(folder: Path) -> Config:
    """The configuration of a run's folder."""
    return parse((folder / "config.toml").read_text(), "config.toml")


@pytest.mark.parametrize("name", ["KRAKEN", "BINANCE"])
def test_a_capture_plays_through_the_cluster(name: str, recorded: Path, tmp_path: Path) -> None:
    """After every frame the top that the cluster's venue gave is the independent rebuild's."""
    path = recorded / "cryptofeed" / f"{name}.jsonl.gz"
    text = capture_config(path, 0.0).replace('"runs"', f'"{tmp_path}"')
    config = parse(text, "capture")
    folder, states = play_in_cluster(config, text)
    counts = [state.counts for state in states]
    assert counts[0].checksums_failed == counts[0].gaps == counts[0].malformed == 0
    verdicts = verify_run(config, folder)
    assert [verdict.differences for verdict in verdicts] == [()] * len(verdicts)
    from engine.assembly import topology_of

    topology = topology_of(config)
    actor = topology.actors[0]
    first = segments(folder / actor)[0]
    host = host_of(config, topology, actor)
    rerun(host, first)  # proves that it runs; then once more, step by step
    host = host_of(config, topology, actor)
    recorded_inputs = [
        (decode(record.data), record.now_ns)
        for segment in segments(folder / actor)
        for record in read_inbox(segment)
    ]
    steps = ((message, outputs) for message, _, outputs in replay(host, recorded_inputs))
    compared, rebuild = hold_tops(config, steps)
    checksums = rebuild.checksums
    print(f"{name}: {compared} tops, {checksums} checksums in the cluster runtime")
    assert (checksums, compared) == {"KRAKEN": (4269, 4279), "BINANCE": (0, 176)}[name]
    assert checksums == counts[0].checksums
    assert msgspec.json.encode(verdicts[0].differences) == b"[]"
