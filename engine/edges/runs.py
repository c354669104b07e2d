"""A run's place on disk, who may write it, and how other commands find the run that is under way.

`STATE_DIR/RUN/` holds the actors' segments, the configuration used and the tape;
`STATE_DIR/current.json` names the run that is alive. `STATE_DIR/NAME.lock` is held by the one engine
of a deployment while it runs, `NAME.last` names its last run, which a later start may resume. The
kill switch lies beside them, for it outlives runs.
"""

import hashlib
import os
import time
from pathlib import Path

import msgspec

from engine.config import Config, ConfigError, parse
from engine.edges.actor_journal import FolderLock
from engine.edges.directory import SHARED
from engine.edges.journal import segments

RECORDER = "recorder"


class CurrentRun(msgspec.Struct):
    """What a command needs to reach a running engine. The token is in a file only its user reads."""

    run: str
    pid: int
    runtime: str
    api: str = ""
    token_file: str = ""


class NoRunError(RuntimeError):
    """No engine is running here; the message says where was looked."""


def load(path: Path) -> tuple[Config, str]:
    """Read and parse a configuration; `$ORCHESTRATOR_DATA` and the like in it are expanded.

    Raises ConfigError when the file cannot be read or does not hold.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    text = os.path.expandvars(text)
    return parse(text, str(path)), text


class OpenedRun:
    """A run of a configuration that this process alone may write: a fresh one, or the last resumed.

    Raises JournalLocked while another process runs the deployment or trades its accounts, NoRunError
    when what is to be resumed is not there or is another configuration's.
    """

    def __init__(self, config: Config, text: str, actors: tuple[str, ...], resume: bool) -> None:
        state = Path(config.state_dir).absolute()
        holder = f"process {os.getpid()} ({config.name})"
        # What plays recordings trades with nobody: it is not the deployment, and may run beside it.
        played = all(venue.kind == "replay" for venue in config.venues)
        own = [] if played else [state / f"{config.name}.lock"]
        self._locks = [FolderLock(path, holder) for path in own]
        last = state / f"{config.name}.last"
        self.epochs: dict[str, int] = {}
        try:
            for path in _account_locks(config):
                self._locks.append(FolderLock(path, f"{holder} of {state}"))
            if resume:
                self.folder = last_run(config)
                _check_same(self.folder, config)
                self.epochs = {actor: _last_epoch(self.folder, actor) for actor in actors}
                self._check_actors(actors)
            else:
                stamp = time.strftime("%Y%m%d-%H%M%S")
                self.folder = state / f"{config.name}-{stamp}-{os.getpid()}"
                self.folder.mkdir(parents=True)
        except BaseException:
            self.close()
            raise
        self.run = self.folder.name
        (self.folder / "config.toml").write_text(text)
        for left_over in ("api-address", "token"):
            (self.folder / left_over).unlink(missing_ok=True)
        if not played:
            last.write_text(self.run)

    def _check_actors(self, actors: tuple[str, ...]) -> None:
        there = {path.parent.name for path in self.folder.glob("*/*.snapshot")}
        if not there <= set(actors):
            raise NoRunError(
                f"{self.folder} was run with the actors {', '.join(sorted(there))}: resume it in the "
                "runtime and with the placement it had, or start fresh"
            )

    def close(self) -> None:
        """Others may run it."""
        for lock in self._locks:
            lock.release()
        self._locks.clear()


def resumes(config: Config, wanted: bool | None) -> bool:
    """Whether a start goes on with the last run, where nobody said so: not what is simulated."""
    if wanted is not None:
        return wanted
    last = Path(config.state_dir).absolute() / f"{config.name}.last"
    return config.mode in {"sandbox", "live"} and last.exists()


def _account_locks(config: Config) -> list[Path]:
    """A lock for each account that is traded, by its key: wherever on the machine that is."""
    found = []
    for venue in config.venues:
        key = os.environ.get(venue.trading.key_env, "") if venue.trading.key_env else ""
        if key and venue.trading.gateway != "none":
            digest = hashlib.sha256(f"{venue.protocol}/{venue.exchange}/{key}".encode())
            found.append(SHARED / f"co-account-{digest.hexdigest()[:16]}.lock")
    return list(dict.fromkeys(found))


def last_run(config: Config) -> Path:
    """The folder of a deployment's last run; raises NoRunError where there is none."""
    last = Path(config.state_dir).absolute() / f"{config.name}.last"
    try:
        folder = last.parent / last.read_text().strip()
    except OSError as error:
        raise NoRunError(f"no run of {config.name} is known: {last}: {error.strerror}") from error
    if not (folder / "config.toml").exists():
        raise NoRunError(f"no run of {config.name} is known: {folder} is not the folder of a run")
    return folder


def _last_epoch(folder: Path, actor: str) -> int:
    """The highest epoch that wrote anything here; a recorder's tapes bear theirs."""
    epochs = [path.epoch for path in segments(folder / actor, "journal")]
    if actor == RECORDER:
        epochs = [int(path.stem.partition("-")[2]) for path in folder.glob("tape-*.parquet")]
    return max(epochs, default=0)


def _check_same(folder: Path, config: Config) -> None:
    """A journal speaks of instruments, venues and bots by number: they must be the same ones."""
    before = parse((folder / "config.toml").read_text(), str(folder / "config.toml"))
    for what, old, new in (
        ("venues", _venues(before), _venues(config)),
        ("instruments", _instruments(before), _instruments(config)),
        ("bots", [(b.name, b.kind) for b in before.bots], [(b.name, b.kind) for b in config.bots]),
        ("assets", before.assets, config.assets),
        ("mode", before.mode, config.mode),
    ):
        if old != new:
            raise NoRunError(
                f"{folder} cannot be resumed: the configuration's {what} are not those it was run "
                f"with ({old} then, {new} now). Put them back, or start fresh"
            )


def _venues(config: Config) -> list[tuple[str, ...]]:
    return [(v.name, v.kind, v.protocol, v.exchange, v.trading.gateway) for v in config.venues]


def _instruments(config: Config) -> list[tuple[str, ...]]:
    return [(i.venue, i.symbol, i.native, i.tick_size, i.lot_size) for i in config.instruments]


def kill_switch_path(config: Config) -> Path:
    """Where the kill switch of a state directory lies."""
    return Path(config.state_dir).absolute() / "kill-switch"


def current_path(state_dir: str) -> Path:
    """Where the run that is alive is named."""
    return Path(state_dir).absolute() / "current.json"


def write_current(state_dir: str, current: CurrentRun) -> None:
    """Name the run that is alive."""
    path = current_path(state_dir)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(current))
    temporary.rename(path)


def read_current(state_dir: str) -> CurrentRun:
    """The run that is alive; raises NoRunError when there is none."""
    path = current_path(state_dir)
    try:
        current = msgspec.json.decode(path.read_bytes(), type=CurrentRun)
    except (OSError, msgspec.DecodeError) as error:
        raise NoRunError(f"no engine is running: {path}: {error}") from error
    if not alive(current.pid):
        raise NoRunError(f"no engine is running: process {current.pid} of {path} is gone")
    return current


def alive(pid: int) -> bool:
    """Whether any thread of a process still runs. Its first may be a zombie while others end."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        if status.rpartition(")")[2].split()[0] not in "ZX":
            return True
        return len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False
