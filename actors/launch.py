"""Brings a run up on a local Ray cluster, keeps watch over its supervisor, and brings it down.

The launcher is the process the user started. It starts Ray, the simulated exchange and the
supervisor; the supervisor starts the actors. Launcher and supervisor watch each other: a dead or
frozen supervisor is replaced here while trading goes on; a dead launcher ends the run there.
"""

import os
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from engine.assembly import VIEW_ACTOR, topology_of
from engine.config import Config, on_own_exchange
from engine.edges.directory import (
    ActorState,
    Counter,
    Directory,
    KillSwitchPage,
    open_page,
)
from engine.edges.exchange_process import ExchangeProcess
from engine.edges.runs import (
    RECORDER,
    CurrentRun,
    OpenedRun,
    alive,
    current_path,
    kill_switch_path,
    write_current,
)
from engine.edges.store_process import StoreProcess

POLL_S = 0.05
SUPERVISOR_SILENT_NS = 1_500_000_000
STOP_TIMEOUT_S = 10.0
UP_TIMEOUT_S = 60.0

RAY_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # one user, loopback only; the default would write a token file
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_worker_niceness": "0",  # the default of 15 would let any other process go first
    "RAY_DEDUP_LOGS": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
}


class LaunchError(RuntimeError):
    """The run could not be brought up; the message says what to do."""


class Launch:
    """One run in the cluster runtime, from `start` to `stop`."""

    def __init__(self, config: Config, text: str, resume: bool = False) -> None:
        self.config = config
        self.topology = topology_of(config)
        self.actors = (*self._order(), RECORDER)
        self.opened = OpenedRun(config, text, self.actors, resume)
        self.run, self.folder = self.opened.run, self.opened.folder
        self.token = secrets.token_urlsafe(24)
        self.directory = Directory(self.run, self.actors, create=True)
        for actor, epoch in self.opened.epochs.items():
            self.directory.resume(actor, epoch)
        self.kill_switch = KillSwitchPage(kill_switch_path(config), create=True)
        self.exchange: ExchangeProcess | None = None
        self._store: StoreProcess | None = None
        self.address = ""
        self._supervisors = 0
        self._supervisor_standby: Any = None
        self._ray: Any = None

    def _order(self) -> tuple[str, ...]:
        """Venues first: books fill while the others start, and what is said is kept for them."""
        actors = list(self.topology.actors)
        return tuple(sorted(actors, key=self._rank))

    def _rank(self, actor: str) -> int:
        kinds = {self.topology.kinds[n - 1] for n in self.topology.in_actor(actor)}
        ranks = {"view": 5, "ledger": 1, "risk": 2, "execution": 2, "bot": 3, "scanner": 4}
        ranks["venue"] = 0
        return min(ranks[kind] for kind in kinds)

    def start(self) -> None:
        """Ray, the exchange, the supervisor; returns when the supervisor is at work."""
        self.directory.beat(0, os.getpid())
        if any(on_own_exchange(self.config, venue) for venue in self.config.venues):
            self.exchange = ExchangeProcess(self.folder / "config.toml")
        os.environ.update(RAY_ENVIRONMENT)
        import ray  # only now: the environment must stand before it is imported

        self._ray = ray
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=80 * 2**20,
            namespace=self.run,
            log_to_driver=False,
            configure_logging=False,
        )
        if self.exchange is not None:
            self.exchange.wait_ready()
        self._start_supervisor()
        self._write_current()
        self._store = StoreProcess(self.config, self.folder)

    def wait_up(self, timeout_s: float = UP_TIMEOUT_S) -> None:
        """Wait until every actor receives; raises LaunchError naming those that do not."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.watch()
            missing = [a for a in self.actors if self.directory.epoch(a) == 0]
            if not missing and self.address:
                return
            if time.monotonic() > deadline or self.directory.stop_wanted:
                waited_for = ", ".join(missing) or "the control API"
                raise LaunchError(f"not up after {timeout_s:.0f} s: {waited_for}")
            time.sleep(POLL_S)  # between two looks at the condition

    def _write_current(self) -> None:
        token_file = self.folder / "token"
        token_file.touch(mode=0o600)
        token_file.write_text(self.token)
        write_current(
            self.config.state_dir,
            CurrentRun(self.run, os.getpid(), "cluster", self.address, str(token_file)),
        )

    def _plan(self) -> bytes:
        from actors.supervisor import Plan

        return msgspec.msgpack.encode(
            Plan(
                self.run,
                str(self.folder),
                self.actors,
                self.exchange.url if self.exchange is not None else "",
                self.token,
                self.config.engine.heartbeat_ms,
                self.config.engine.missed_heartbeats,
            )
        )

    def _make_supervisor(self) -> Any:
        import ray

        from actors.supervisor import Supervisor

        self._supervisors += 1
        return (
            ray.remote(Supervisor)
            .options(
                name=f"supervisor@{self._supervisors}",
                num_cpus=0,
                lifetime="detached",
                max_concurrency=4,
                enable_task_events=False,
            )
            .remote(self._plan(), self._supervisors)
        )

    def _start_supervisor(self) -> None:
        """Put a supervisor to work (the standby if there is one) and make the next standby."""
        import ray

        supervisor = self._supervisor_standby or self._make_supervisor()
        ray.get(supervisor.start.remote())
        self._supervisor_standby = self._make_supervisor()

    def watch(self) -> None:
        """One look: the launcher's own heartbeat, the supervisor's, the API's address."""
        self.directory.beat(0, os.getpid())
        pid, beat_ns = self.directory.beaten(1)
        if pid and not self.directory.stopping:
            silent = time.monotonic_ns() - beat_ns > SUPERVISOR_SILENT_NS
            if silent or not alive(pid):
                from actors.supervisor import kill_and_confirm

                kill_and_confirm(pid)
                self.directory.supervisor_restarts += 1
                self._start_supervisor()
        if not self.address:
            self._find_address()
        if self._store is not None:
            self._store.watch()

    def _find_address(self) -> None:
        path = self.folder / "api-address"
        if path.exists():
            self.address = path.read_text()
            self._write_current()

    def run_until(self, ended: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Keep watch until `ended` says so or a stop is asked for; `tick` is called each look."""
        while not ended() and not self.directory.stop_wanted:
            self.watch()
            tick()
            time.sleep(POLL_S)  # the pace of looking, not a wait for anything

    def _handle(self, actor: str) -> Any:
        """The Ray handle of an actor's current epoch, found by process id."""
        import ray

        wanted = self.directory.pid(actor)
        names = [entry["name"] for entry in ray.util.list_named_actors(all_namespaces=True)]
        for name in names:
            if name.startswith((f"{actor}@", "standby-")):
                handle: Any = ray.get_actor(name, namespace=self.run)
                try:
                    if ray.get(handle.ready.remote(), timeout=2) == wanted:
                        return handle
                except ray.exceptions.RayError:
                    continue
        raise LaunchError(f"the process of {actor} ({wanted}) answers no call")

    def drain(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Bots start nothing new; wait until nothing is open, unknown or undelivered."""
        for actor in self._of_kinds("bot"):
            self._call(actor, "drain")
        deadline = time.monotonic() + timeout_s
        quiet_since = None
        while time.monotonic() < deadline:
            self.watch()
            if self._open_work() == 0:
                quiet_since = quiet_since or time.monotonic()
                if time.monotonic() - quiet_since > 3 * self.config.engine.heartbeat_ms / 1000:
                    return True
            else:
                quiet_since = None
            time.sleep(POLL_S)  # between two looks at the condition
        return False

    def _of_kinds(self, *kinds: str) -> list[str]:
        numbers = [n for kind in kinds for n in self.topology.of_kind(kind)]
        return list(dict.fromkeys(self.topology.actor(number) for number in numbers))

    def _open_work(self) -> int:
        """What the actors say is under way or not yet acknowledged."""
        total = 0
        for actor in self.topology.actors:
            try:
                page, _ = open_page(self.run, actor, self.directory.epoch(actor))
            except OSError:
                return 1
            if page.state not in (ActorState.RUNNING, ActorState.DRAINING):
                continue
            total += page.get(Counter.OPEN_WORK)
            if actor != VIEW_ACTOR:
                total += page.get(Counter.UNACKNOWLEDGED)
        return total

    def _call(self, actor: str, method: str) -> Any:
        import ray

        return ray.get(getattr(self._handle(actor), method).remote(), timeout=STOP_TIMEOUT_S)

    def stop_actors(self) -> dict[str, bytes]:
        """End the loops in order, speakers first; the snapshots of the actors by name."""
        self.directory.stopping = True
        snapshots: dict[str, bytes] = {}
        order = [
            *self._of_kinds("venue", "scanner", "bot", "execution", "risk", "ledger"),
            VIEW_ACTOR,
        ]
        for actor in order:
            self._call(actor, "stop")
            if actor not in snapshots and actor != VIEW_ACTOR:
                data = self._call(actor, "snapshot")
                assert isinstance(data, bytes)
                snapshots[actor] = data
        self._call(RECORDER, "stop")
        return snapshots

    def close(self) -> None:
        """Everything down: processes, shared memory, files that name the run."""
        self.directory.stopping = True
        if self._store is not None:
            self._store.stop()
        if self.exchange is not None:
            self.exchange.stop()
        if self._ray is not None:
            from actors.supervisor import kill_and_confirm

            self._ray.shutdown()
            pids = {self.directory.pid(actor) for actor in self.actors}
            pids |= {self.directory.beaten(1)[0], self.directory.standby_pid}
            for pid in pids - {0}:
                kill_and_confirm(pid)
        self.directory.remove()
        current_path(self.config.state_dir).unlink(missing_ok=True)
        self.opened.close()
