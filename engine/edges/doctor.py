"""What this machine lacks before the engine can run, each lack in one line with its cure.

It uses nothing but the standard library, so that `make` can ask before anything is installed:
`python3 -m engine.edges.doctor --before-install`. It changes nothing and imports neither Ray nor
iceoryx2.
"""

from __future__ import annotations  # an older Python must get as far as telling that it is too old

import argparse
import difflib
import errno
import importlib.machinery
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20
PYTHON_MIN = (3, 11)
GLIBC_MIN = (2, 34)  # the oldest for which iceoryx2 has a wheel
SHARED_BYTES_MIN = 256 * MIB  # a small object store for Ray, the bus and the statistics pages
DISK_BYTES_MIN = 2048 * MIB  # the environment takes 0.9 GB, and pip unpacks wheels beside it
MEMORY_BYTES_MIN = 2048 * MIB  # Ray's own processes and ten actors of about 100 MB
OPEN_FILES_MIN = 4096  # sockets, segments and doorbells of all actors, with Ray's own
SHARED_PATH = Path("/dev/shm")
ROOT = Path(__file__).resolve().parents[2]


class Finding(NamedTuple):
    """The outcome of one check: what was found, and the cure when it is not enough."""

    name: str
    ok: bool
    what: str
    mend: str

    def line(self) -> str:
        """The finding as the one line a user reads."""
        return f"{self.name}: {self.what}" + ("" if self.ok else f" -- {self.mend}")


def check(
    api_port: int | None, cluster: bool, exchanges: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """All that a run needs; the cluster runtime needs more than solo and backtest do.

    `exchanges` are the ccxt ids of those that are reached through ccxt.
    """
    findings = [check_python(), check_kernels(), *(check_exchange(name) for name in exchanges)]
    if api_port is not None:
        findings.append(check_port(api_port))
    if cluster:
        findings += [
            check_linux(),
            check_glibc(),
            check_shared_memory(),
            check_memory(),
            check_open_files(),
            *(check_package(name) for name in ("ray", "iceoryx2")),
        ]
    return tuple(findings)


def check_before_install() -> tuple[Finding, ...]:
    """All that the set-up needs: it is asked for before anything is made or downloaded."""
    findings = [check_python(), check_venv(), check_compiler(), check_headers(), check_disk()]
    if sys.platform == "linux":
        findings.append(check_shared_memory())
    return tuple(findings)


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """The interpreter is new enough for the syntax and the typing in use."""
    return Finding(
        "python",
        version[:2] >= PYTHON_MIN,
        f"Python {'.'.join(map(str, version))}, needed is {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer",
        "install python3.11 and python3.11-venv, then: make PYTHON=python3.11",
    )


def check_venv() -> Finding:
    """Debian and Ubuntu ship Python without the part that makes virtual environments."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = importlib.util.find_spec("ensurepip") is not None
    return Finding(
        "venv",
        found,
        f"virtual environments {'can' if found else 'cannot'} be made by {sys.executable}",
        f"apt install python{version}-venv (or your system's package of that name)",
    )


def check_compiler() -> Finding:
    """A C compiler that can compile a file with the C library's headers; the kernels are C."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    mend = "apt install build-essential (Debian, Ubuntu) or dnf install gcc glibc-devel (Fedora)"
    found = shutil.which(command[0]) or shutil.which("cc")
    if found is None:
        return Finding("compiler", False, f"no C compiler: {command[0]} is not on PATH", mend)
    try:
        trial = subprocess.run(
            [found, "-x", "c", "-fsyntax-only", "-"],
            input=b"#include <stdlib.h>\nint main(void) { return 0; }\n",
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("compiler", False, f"{found} does not run: {error}", mend)
    if trial.returncode != 0:
        return Finding("compiler", False, f"{found} lacks the C library's headers", mend)
    return Finding("compiler", True, found, mend)


def check_headers(folder: str | None = None) -> Finding:
    """Python.h is there; a distribution's bare Python comes without it."""
    header = Path(folder or sysconfig.get_paths()["include"]) / "Python.h"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Finding(
        "headers",
        header.is_file(),
        f"{header} is {'there' if header.is_file() else 'missing'}",
        f"apt install python{version}-dev (Debian, Ubuntu) or dnf install python3-devel (Fedora)",
    )


def check_disk(folder: Path = ROOT, bytes_min: int = DISK_BYTES_MIN) -> Finding:
    """The environment and the wheels fit on the disk that holds the clone."""
    free = shutil.disk_usage(folder).free
    return Finding(
        "disk",
        free >= bytes_min,
        f"{free // MIB} MB free at {folder}, needed are {bytes_min // MIB} MB",
        "free some space, or clone onto a larger disk",
    )


def check_shared_memory(folder: Path = SHARED_PATH, bytes_min: int = SHARED_BYTES_MIN) -> Finding:
    """Shared memory is there, can be written and has room; Docker gives 64 MB unless told."""
    mend = (
        f"give the container more (docker run --shm-size=1g), remove old files from {folder}, "
        f"or: mount -o remount,size=1g {folder}"
    )
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="orchestrator-doctor-"):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        what = f"{folder} cannot be written ({error.strerror})"
        return Finding("shared memory", False, what, f"as root: mount -t tmpfs tmpfs {folder}")
    what = f"{free // MIB} MB free at {folder}, needed are {bytes_min // MIB} MB"
    return Finding("shared memory", free >= bytes_min, what, mend)


def check_linux(system: str = sys.platform) -> Finding:
    """The cluster runtime's doorbell is a futex, and its clean-up reads /proc: Linux only."""
    return Finding(
        "system",
        system == "linux",
        f"the cluster runtime is for Linux, this is {system}",
        "use --runtime solo here",
    )


def check_glibc(version: tuple[int, ...] | None = None) -> Finding:
    """The C library is new enough for the wheel of iceoryx2."""
    name, text = platform.libc_ver()
    found = version or tuple(int(part) for part in text.split(".") if part.isdigit())
    return Finding(
        "glibc",
        (name == "glibc" or version is not None) and found >= GLIBC_MIN,
        f"C library {'.'.join(map(str, found)) or 'unknown (not glibc)'}, needed is glibc 2.34",
        "use Ubuntu 22.04, Debian 12, RHEL 9 or newer, or --runtime solo",
    )


def check_port(port: int, host: str = "127.0.0.1") -> Finding:
    """Nobody listens on the control API's port; 0 takes any free one."""
    mend = f"see who has it (ss -ltnp 'sport = :{port}') or set another [api] port in the config"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            what = "taken" if taken else f"refused ({error.strerror})"
            return Finding("port", False, f"{host}:{port} is {what}", mend)
    return Finding("port", True, f"{host}:{port} is free", mend)


def check_memory(bytes_min: int = MEMORY_BYTES_MIN) -> Finding:
    """Enough memory is free, by the machine's count and by the container's."""
    free = memory_available()
    return Finding(
        "memory",
        free >= bytes_min,
        f"{free // MIB} MB available, needed are {bytes_min // MIB} MB",
        "stop something, raise the container's limit, or use --runtime solo",
    )


def memory_available(
    meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")
) -> int:
    """Bytes that a new process can have: the machine's, or what the container has left if less."""
    lines = (line.split() for line in meminfo.read_text().splitlines())
    free = next(int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return free  # no container, or one that sets no limit here
    return free if limit == "max" else min(free, max(0, int(limit) - used))


def check_open_files(files_min: int = OPEN_FILES_MIN) -> Finding:
    """The hard limit counts: Ray raises the soft one up to it."""
    import resource  # not on every system that solo runs on

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    unlimited = hard == resource.RLIM_INFINITY
    return Finding(
        "open files",
        unlimited or hard >= files_min,
        f"at most {'unlimited' if unlimited else hard} open files, needed are {files_min}",
        f"ulimit -Hn {files_min * 16} as root, or docker run --ulimit nofile={files_min * 16}",
    )


def check_package(name: str) -> Finding:
    """A package of the cluster extra is installed; it is looked for and not imported."""
    found = importlib.util.find_spec(name) is not None
    return Finding(
        name,
        found,
        f"{name} is {'installed' if found else 'not installed'}",
        "pip install 'crypto-orchestrator[cluster]' (in a clone: make build)",
    )


def check_exchange(name: str) -> Finding:
    """ccxt is installed and has a websocket client of the exchange; ccxt is not imported."""
    spec = importlib.util.find_spec("ccxt")
    if spec is None or spec.origin is None:
        mend = "pip install 'crypto-orchestrator[venues]'"
        return Finding(f"exchange {name}", False, "ccxt is not installed", mend)
    folder = Path(spec.origin).parent
    streaming = {path.stem for path in (folder / "pro").glob("[a-z]*.py")}
    known = streaming | {path.stem for path in folder.glob("[a-z]*.py")}
    near = difflib.get_close_matches(name, streaming, n=5, cutoff=0.5)
    what = "ccxt streams it" if name in streaming else "ccxt knows no exchange of this id"
    if name in known - streaming:
        what = "ccxt has no websocket client of it"
    mend = f"near: {', '.join(near)}" if near else "docs.ccxt.com lists the ids"
    return Finding(f"exchange {name}", name in streaming, what, mend)


def check_kernels(folder: Path = ROOT / "ext") -> Finding:
    """Each kernel that has a typed face has been built for this Python."""
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    lacking = [
        face.stem
        for face in sorted(folder.glob("*.pyi"))
        if not any((folder / f"{face.stem}{suffix}").is_file() for suffix in suffixes)
    ]
    what = f"not built for this Python: {', '.join(lacking)}" if lacking else "all built"
    return Finding("kernels", not lacking, what, "make build (or reinstall the package)")


def main(arguments: list[str] | None = None) -> int:
    """Print what fails, a line each; the exit code says whether anything does."""
    parser = argparse.ArgumentParser(prog="doctor", description=main.__doc__)
    parser.add_argument("--before-install", action="store_true", help="only what set-up needs")
    parser.add_argument("--api-port", type=int, help="a port that must be free")
    options = parser.parse_args(arguments)
    findings = check_before_install() if options.before_install else check(options.api_port, True)
    failing = [finding for finding in findings if not finding.ok]
    for finding in failing:
        print(finding.line(), file=sys.stderr)
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
