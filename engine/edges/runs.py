"""A run's place on disk, and how other commands find the run that is under way.

`STATE_DIR/RUN/` holds the actors' segments, the configuration used and the tape;
`STATE_DIR/current.json` names the run that is alive. The kill switch lies beside them, for it
outlives runs.
"""

import os
import time
from pathlib import Path

import msgspec

from engine.config import Config, ConfigError, parse

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


def new_run(config: Config, text: str) -> tuple[str, Path]:
    """A fresh run's name and folder, its configuration written into it."""
    run = f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder = Path(config.state_dir).absolute() / run
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(text)
    return run, folder


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
    """Whether a process exists and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
