"""The doctor: each check finds the condition it is for, and every finding is one line with a cure."""

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.edges import doctor

ROOT = Path(__file__).resolve().parents[1]
HUGE = 1 << 60


def ask(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor as `make` does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "engine.edges.doctor", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_this_machine_passes() -> None:
    """Where the tests run, nothing is missing: neither for the set-up nor for the cluster."""
    findings = doctor.check_before_install() + doctor.check(0, cluster=True)
    assert [finding.line() for finding in findings if not finding.ok] == []


def test_solo_asks_for_less() -> None:
    """Solo needs neither Linux nor Ray, so neither is asked for."""
    names = {finding.name for finding in doctor.check(None, cluster=False)}
    assert names == {"python", "kernels"}


def test_a_machine_without_compiler_is_told_before_anything_is_done() -> None:
    """With an empty PATH the preflight prints one line and fails."""
    done = ask({"PATH": ""}, "--before-install")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("compiler: no C compiler")
    assert done.stderr.count("\n") == 1


def test_a_compiler_without_headers_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that cannot compile the smallest program is as good as none."""
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert "lacks the C library's headers" in doctor.check_compiler().what
    assert not doctor.check_compiler().ok


def test_a_taken_port_is_found() -> None:
    """A port with a listener is taken, and is free again once the listener is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        finding = doctor.check_port(port)
        assert not finding.ok
        assert f"127.0.0.1:{port} is taken" in finding.line()
        done = ask(dict(os.environ), "--api-port", str(port))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert doctor.check_port(port).ok


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind every port")
def test_a_privileged_port_is_refused() -> None:
    """A port that needs rights is refused and not called taken."""
    assert "refused" in doctor.check_port(1).what


def test_small_shared_memory_is_found(tmp_path: Path) -> None:
    """Less room than is needed fails, and leaves no file behind."""
    finding = doctor.check_shared_memory(tmp_path, bytes_min=HUGE)
    assert not finding.ok
    assert "--shm-size" in finding.mend
    assert list(tmp_path.iterdir()) == []


def test_missing_shared_memory_is_found(tmp_path: Path) -> None:
    """A system without /dev/shm is told how to mount it."""
    finding = doctor.check_shared_memory(tmp_path / "absent")
    assert not finding.ok
    assert "mount -t tmpfs" in finding.line()


def test_an_old_python_is_found() -> None:
    """The oldest supported version passes, the one before does not."""
    assert doctor.check_python((3, 11, 0)).ok
    assert not doctor.check_python((3, 10, 14)).ok


def test_missing_headers_are_found(tmp_path: Path) -> None:
    """A Python without Python.h cannot build kernels."""
    assert not doctor.check_headers(str(tmp_path)).ok
    (tmp_path / "Python.h").touch()
    assert doctor.check_headers(str(tmp_path)).ok


def test_a_full_disk_is_found(tmp_path: Path) -> None:
    """Less free space than the environment takes fails."""
    assert not doctor.check_disk(tmp_path, bytes_min=HUGE).ok


def test_too_little_memory_is_found() -> None:
    """Less memory than the actors take fails."""
    assert not doctor.check_memory(bytes_min=HUGE).ok


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8 << 20), ("3145728", 1 << 20), ("1048576", 0)]
)
def test_the_container_s_limit_counts(tmp_path: Path, limit: str, free: int) -> None:
    """What a container has left counts when it is less than what the machine has."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable: 8192 kB\n")
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text("2097152\n")
    assert doctor.memory_available(meminfo, tmp_path) == free
    assert doctor.memory_available(meminfo, tmp_path / "absent") == 8 << 20


def test_few_open_files_are_found() -> None:
    """The hard limit is what counts, since the soft one is raised up to it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, {min(512, hard)}))\n"
        "from engine.edges import doctor; print(doctor.check_open_files().ok)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_other_systems_and_old_c_libraries_are_found() -> None:
    """The cluster runtime says that it is for Linux with a glibc that iceoryx2 has a wheel for."""
    assert not doctor.check_linux("darwin").ok
    assert not doctor.check_glibc((2, 31)).ok
    assert doctor.check_glibc((2, 34)).ok


def test_a_missing_package_is_found_without_import() -> None:
    """Packages are looked for and not imported."""
    assert not doctor.check_package("ray_that_is_not_there").ok
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from engine.edges import doctor; doctor.check(0, True); "
            "sys.exit(bool({'ray', 'iceoryx2'} & set(sys.modules)))",
        ],
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0


def test_unbuilt_kernels_are_named(tmp_path: Path) -> None:
    """A kernel with a face and no library for this Python is named."""
    (tmp_path / "book.pyi").touch()
    (tmp_path / "book.cpython-39-x86_64-linux-gnu.so").touch()
    finding = doctor.check_kernels(tmp_path)
    assert not finding.ok
    assert "book" in finding.what


def test_every_cure_is_one_line() -> None:
    """What a user reads is one line for each check."""
    findings = doctor.check_before_install() + doctor.check(0, cluster=True)
    for finding in findings:
        assert "\n" not in finding.line()
        assert finding.mend


def test_an_unsupported_python_stops_make_before_it_does_anything(tmp_path: Path) -> None:
    """`make` in a clone whose PATH has no fit Python says so and makes no environment."""
    (tmp_path / "engine" / "edges").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(  # not as a part of the `make test` that may be running this
        ["make", "build", "PYTHON="],
        cwd=tmp_path,
        env=outside,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout.startswith("python: no Python 3.11 or newer")
    assert not (tmp_path / ".venv").exists()
