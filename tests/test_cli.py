"""The command line: what is refused is one line that says what and how to mend it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = Path(__file__).parent.parent / "configs" / "demo.toml"


def orchestrator(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "engine", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "missing.toml"), "missing.toml: cannot be read"),
        (("run", str(DEMO), "--for", "soon"), "--for soon: a duration such as 30s"),
        (("run", str(DEMO), "--runtime", "moon"), "--runtime moon: cluster or solo"),
        (("kill-switch", "maybe"), "kill-switch maybe: on or off"),
        (("status",), "no engine is running"),
        (("stop",), "no engine is running"),
        (("top",), "no engine is running"),
        (("replay", "nowhere.gz"), "nowhere.gz: there is no such file"),
        (("replay", str(DEMO)), "not a capture"),
        (("replay", "."), "no config.toml in it"),
        (("backtest", "missing.toml"), "cannot be read"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_refusals_are_one_line(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    """Exit code 2, one line on stderr, no traceback."""
    done = orchestrator(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    """The line names the port; no run's folder is made."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        config = tmp_path / "taken.toml"
        config.write_text(DEMO.read_text().replace("port = 8090", f"port = {port}"))
        done = orchestrator("run", str(config), "--runtime", "solo", "--for", "1s", folder=tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_kill_switch_latches_in_its_file(tmp_path: Path) -> None:
    """On and off by hand, with nothing running."""
    assert "ON" in orchestrator("kill-switch", "on", folder=tmp_path).stdout
    from engine.edges.directory import KillSwitchPage

    page = KillSwitchPage(tmp_path / "runs" / "kill-switch")
    assert page.on
    assert "off" in orchestrator("kill-switch", "off", folder=tmp_path).stdout
    assert not page.on
    page.path.unlink()
    page.verify()
    assert page.on, "a missing page means ON"


def test_solo_trades_stops_on_a_signal_and_adds_up(tmp_path: Path) -> None:
    """`stop` drains it; the comparison is made and said; exit code 0."""
    config = tmp_path / "demo.toml"
    config.write_text(DEMO.read_text().replace("port = 8090", "port = 0"))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "run", str(config), "--runtime", "solo"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    current = tmp_path / "runs" / "current.json"
    deadline = time.monotonic() + 20
    while not current.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert orchestrator("stop", folder=tmp_path).returncode == 0
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert "checked: 9 balances" in out
    assert not current.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)


def test_doctor_and_version_answer(tmp_path: Path) -> None:
    """Every finding is a line."""
    assert orchestrator("version", folder=tmp_path).stdout.startswith("orchestrator ")
    done = orchestrator("doctor", "--port", "0", folder=tmp_path)
    assert "compiler" in done.stdout.lower() or "python" in done.stdout.lower()


def test_backtest_prints_that_it_checked(tmp_path: Path) -> None:
    """Ten simulated seconds of the demo."""
    done = orchestrator("backtest", str(DEMO), "--for", "10s", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the ledger equals the exchanges' accounts" in done.stdout
