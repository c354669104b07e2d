"""Starts the actors, watches their heartbeats, and replaces who died or froze.

A heartbeat is a word in the actor's page, so nothing an actor does for trading waits for it. An
actor whose process is gone, or that missed its heartbeats, is killed by process id, the death is
confirmed, and only then may a successor open a gateway: an epoch cannot stop a thawed process
between its check and its send. One standby process with everything imported waits for that moment.

The supervisor keeps no state of its own: it is all in the directory, the pages and the run's
folder, so its own successor goes on where it was. It ends the run when the launcher is dead.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import ray

from actors.shell import Role, Shell
from engine.edges.directory import ActorState, Directory, open_page
from engine.edges.runs import alive

POLL_S = 0.05
START_TIMEOUT_S = 60.0
DEATH_TIMEOUT_S = 5.0
STANDBY = "standby"
BEGINNERS_PATIENCE = 3
"""How much longer an actor may be silent that has not processed anything yet: it opens its sockets, and
on a machine that is busy enough one killed for that would be killed again and again."""


class Plan(msgspec.Struct, frozen=True):
    """What a supervisor needs to know of a run. `exchange` is the simulated exchange's address."""

    run: str
    folder: str
    actors: tuple[str, ...]
    exchange: str
    token: str
    heartbeat_ms: int
    missed_heartbeats: int


def shell_actor(name: str) -> Any:
    """An empty shell in a process of its own, by name: a Ray handle, which has no useful type."""
    return (
        ray.remote(Shell)
        .options(
            name=name,
            num_cpus=0,
            lifetime="detached",
            max_restarts=0,
            max_concurrency=4,
            enable_task_events=False,
        )
        .remote()
    )


def kill_and_confirm(pid: int) -> None:
    """SIGKILL a process, stopped ones too, and wait until it is gone; raises TimeoutError."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + DEATH_TIMEOUT_S
    while alive(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not die of SIGKILL")
        time.sleep(0.001)  # the wait between two looks at a condition, not in place of one


class Supervisor:
    """One at a time per run; public methods are Ray calls."""

    def __init__(self, packed: bytes, number: int) -> None:
        self._plan = msgspec.msgpack.decode(packed, type=Plan)
        self._directory = Directory(self._plan.run, self._plan.actors)
        self._number = number
        self._standby: Any = None
        self._standby_ready: Any = None
        self._standbys = 0
        self._failed: set[str] = set()
        self._thread: threading.Thread | None = None

    def ready(self) -> int:
        """The process id, once the process is up."""
        return os.getpid()

    def start(self) -> None:
        """Begin to supervise: the first starts all actors, a successor takes over who runs."""
        self._thread = threading.Thread(target=self._run, name="supervision", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._beat()
        self._kill_leftovers()
        directory = self._directory
        missing = [a for a in self._plan.actors if directory.claimed(a) == directory.began_at(a)]
        if missing:
            self._start_all(missing)
        while not self._directory.stopping:
            self._beat()
            if not alive(self._directory.beaten(0)[0]):
                self._end_run()
                return
            for actor in self._plan.actors:
                if actor not in self._failed and self._is_gone(actor):
                    self._replace(actor)
            self._keep_standby()
            time.sleep(POLL_S)  # the pace of looking at heartbeats

    def _beat(self) -> None:
        self._directory.beat(1, os.getpid())

    def _kill_leftovers(self) -> None:
        """A predecessor's standby may have been half way into a role: it is not trusted."""
        pid = self._directory.standby_pid
        if pid:
            kill_and_confirm(pid)
            self._directory.standby_pid = 0

    def _role(self, actor: str, epoch: int) -> bytes:
        plan = self._plan
        return msgspec.msgpack.encode(
            Role(plan.run, plan.folder, actor, epoch, plan.actors, plan.exchange, plan.token)
        )

    def _start_all(self, actors: list[str]) -> None:
        """All processes at once, each given its role as soon as it is there.

        What an early speaker says is kept for a late hearer, so nobody waits for anybody.
        """
        shells = [
            (actor, shell_actor(f"{actor}@{self._directory.claimed(actor) + 1}"))
            for actor in actors
        ]
        self._wait(
            [
                shell.assume.remote(self._role(actor, self._directory.claim(actor)))
                for actor, shell in shells
            ]
        )

    def _wait(self, calls: list[Any], enough: Callable[[], bool] = lambda: False) -> None:
        """Wait for calls to end, or for enough, while the heartbeat goes on; raises what they raised."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while calls and not enough():
            done, calls = ray.wait(calls, timeout=POLL_S)
            self._beat()
            ray.get(done)
            if time.monotonic() > deadline:
                raise TimeoutError("an actor did not take its role in time")

    def _is_gone(self, actor: str) -> bool:
        """Whether the current epoch's process is dead or has missed its heartbeats."""
        epoch = self._directory.claimed(actor)
        try:
            page, _ = open_page(self._plan.run, actor, epoch)
        except OSError:
            return self._directory.claimed(actor) != self._directory.epoch(actor)
        if page.state == ActorState.FAILED:
            self._failed.add(actor)
            return False
        if page.state == ActorState.STOPPED:
            return False
        if not alive(page.pid):
            return True
        silent_ns = time.monotonic_ns() - page.heartbeat_ns
        patience = 1 if page.first_step_ns else BEGINNERS_PATIENCE
        beats = patience * self._plan.missed_heartbeats
        return silent_ns > beats * self._plan.heartbeat_ms * 1_000_000

    def _replace(self, actor: str) -> None:
        """Kill every earlier epoch's process, confirm it, and give the role to the standby."""
        directory = self._directory
        for epoch in range(max(directory.epoch(actor), 1), directory.claimed(actor) + 1):
            try:
                page, _ = open_page(self._plan.run, actor, epoch)
            except OSError:
                continue
            kill_and_confirm(page.pid)
        epoch = directory.claim(actor)
        shell, self._standby = self._standby or shell_actor(f"{actor}@{epoch}"), None
        try:
            # A successor may serve and freeze before it answers: serving is answer enough, and what
            # befalls it from then on is for the next look to find.
            call = shell.assume.remote(self._role(actor, epoch))
            self._wait([call], lambda: directory.epoch(actor) == epoch)
        except ray.exceptions.RayActorError:
            return  # the successor died too: the next look finds that and tries again
        except ray.exceptions.RayTaskError:
            self._failed.add(actor)  # its state cannot be restored; its page and file say why
            return
        directory.standby_pid = 0
        directory.restarted(actor, directory.restarts(actor) + 1)

    def _keep_standby(self) -> None:
        """One process that has imported everything and waits."""
        if self._standby is None and self._standby_ready is None:
            self._standbys += 1
            self._starting = shell_actor(f"{STANDBY}-{self._number}-{self._standbys}")
            self._standby_ready = self._starting.ready.remote()
        if self._standby is None and self._standby_ready is not None:
            done, _ = ray.wait([self._standby_ready], timeout=0)
            if done:
                self._directory.standby_pid = ray.get(self._standby_ready)
                self._standby, self._standby_ready = self._starting, None

    def _end_run(self) -> None:
        """The launcher is dead: nobody would ever stop this run, so it ends now."""
        self._directory.stopping = True
        for pid in self._pids():
            kill_and_confirm(pid)
        self._directory.remove()
        os.kill(os.getpid(), signal.SIGKILL)

    def _pids(self) -> Iterable[int]:
        pids = {self._directory.pid(actor) for actor in self._plan.actors}
        pids.add(self._directory.standby_pid)
        return pids - {0}
