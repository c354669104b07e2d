"""The tree keeps its own rules: who may import whom, what is pure, how long and how named."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests import tidy

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("actors", "benchmarks", "configs", "engine", "ext", "tests")


def files_of(*suffixes: str) -> frozenset[str]:
    """The paths of the tree's sources, relative to its root."""
    return frozenset(
        path.relative_to(ROOT).as_posix()
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.suffix in suffixes and path.is_file()
    ) | {path for path in ("setup.py",) if ".py" in suffixes}


PYTHON = files_of(".py")
KERNELS = files_of(".pyx")
IMPORTABLE = PYTHON | KERNELS
LAYERED = sorted(path for path in PYTHON if path.startswith(("engine/", "actors/", "ext/")))
PURE = [path for path in LAYERED if 1 <= tidy.place(path)[0] < tidy.EDGES]
EXPLAINED = [
    path for path in sorted(PYTHON) if path.startswith(("actors", "engine", "bench", "ext"))
]

FILES_TOO_LONG = {
    "engine/messages.py": "the one vocabulary: a reader wants every message on one page",
    "ext/book.pyx": "one class, and the log of its state that only it may write",
    "ext/risk.pyx": "one class: its checks share all of its state and inline into each other",
    "ext/matching.pyx": "one class: its steps share all of its state and inline into each other",
    "ext/decode.pyx": "one scanner: its functions inline into each other only within a file",
}
FUNCTIONS_TOO_LONG: dict[str, str] = {}
KERNELS_WITHOUT_TWIN = {
    "bell": "it waits and rings and computes nothing; a stress test stands for the twin",
    "page": "shared counters and histograms of the machine; a stress test stands for the twin",
}


def read(path: str) -> str:
    """The text of a file of the tree."""
    return (ROOT / path).read_text(encoding="utf-8")


def hold(complaints: Iterable[str]) -> None:
    """Fail with every complaint on a line of its own."""
    found = "\n".join(complaints)
    assert not found, f"\n{found}"


def test_imports_go_down() -> None:
    """Every import of ours goes to a lower level, and the engine knows nothing of the actors."""
    assert [
        line for path in LAYERED for line in tidy.wrong_arrows(path, read(path), IMPORTABLE)
    ] == []


def test_the_engine_knows_no_cluster_and_no_web_framework() -> None:
    """Ray and the web framework stay in actors/, iceoryx2 in the bus."""
    hold(line for path in LAYERED for line in tidy.foreign_imports(path, read(path)))


def test_logic_is_pure() -> None:
    """Time, chance and I/O reach levels 1 to 4 only through their arguments."""
    hold(line for path in PURE for line in tidy.impurities(path, read(path)))


def test_errors_are_not_dropped() -> None:
    """Nothing catches everything and goes on as if nothing had been."""
    paths = [path for path in sorted(PYTHON) if path != "tests/test_tidy.py"]
    hold(line for path in paths for line in tidy.silent_errors(path, read(path)))


def test_public_names_are_explained() -> None:
    """Each module, and each of its public classes and functions, has a docstring."""
    hold(line for path in EXPLAINED for line in tidy.undocumented(path, read(path)))


def test_functions_keep_the_wall() -> None:
    """No function is longer than 70 lines without a reason."""
    excepted = frozenset(FUNCTIONS_TOO_LONG)
    paths = sorted(PYTHON | KERNELS)
    hold(line for path in paths for line in tidy.too_long(path, read(path), excepted))


def test_files_keep_the_wall() -> None:
    """No file is longer than 400 lines without a reason, and no reason outlives its file's length."""
    lengths = {
        path: len(read(path).splitlines()) for path in files_of(".py", ".pyx", ".pxd", ".pyi")
    }
    long = {path for path, length in lengths.items() if length > tidy.FILE_LINES_MAX}
    assert long == set(FILES_TOO_LONG)


def test_files_are_named_for_what_they_hold() -> None:
    """No utils, common, helpers or manager."""
    parts = {part for path in PYTHON | KERNELS for part in Path(path).with_suffix("").parts}
    hold(part for part in parts if tidy.VAGUE_NAME.search(part))


def test_nothing_is_left_for_later() -> None:
    """A note to oneself in the code is work that nobody will find."""
    paths = files_of(".py", ".pyx", ".pxd", ".pyi")
    hold(path for path in sorted(paths) if tidy.LEFT_OVER.search(read(path)))


def test_kernels_are_explained_and_import_nothing_of_ours() -> None:
    """Each kernel opens with what it is, and each has a typed face."""
    faces = files_of(".pyi")
    hold(line for path in sorted(KERNELS) for line in tidy.kernel_faults(path, read(path)))
    hold(path for path in sorted(KERNELS) if path.replace(".pyx", ".pyi") not in faces)


def test_each_kernel_has_a_twin() -> None:
    """A slow, obvious twin stands beside each kernel that computes."""
    stems = {Path(path).stem for path in KERNELS}
    lacking = {stem for stem in stems if f"tests/twins/{stem}.py" not in PYTHON}
    assert lacking == stems & set(KERNELS_WITHOUT_TWIN)


def test_solo_and_backtest_load_neither_ray_nor_iceoryx2() -> None:
    """The pure levels and the command line come up where the cluster extra is not installed."""
    names = [path[:-3].replace("/", ".").removesuffix(".__init__") for path in [*PURE, *LAYERED]]
    pure = [name for name in names if name.startswith("engine") and ".edges" not in name]
    program = "import importlib, sys\n" + (
        f"for name in {sorted(set(pure))!r}: importlib.import_module(name)\n"
        "sys.exit(','.join({'ray', 'iceoryx2', 'litestar'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


TREE = frozenset(
    "engine/__init__.py engine/units.py engine/risk.py engine/scanner.py engine/runtime.py "
    "engine/routes.py engine/bots/a.py engine/bots/b.py engine/bots/base.py engine/edges/bus.py "
    "engine/__main__.py engine/component.py engine/books.py actors/shell.py ext/book.pyx".split()
)


@pytest.mark.parametrize(
    ("path", "source", "complaints"),
    [
        ("engine/units.py", "import engine.runtime", 1),
        ("engine/risk.py", "from engine.scanner import Scanner", 1),
        ("engine/risk.py", "from engine import scanner, units", 1),
        ("engine/risk.py", "from engine.units import Round\nfrom ext.book import Book", 0),
        ("engine/bots/a.py", "from engine.bots.b import B", 1),
        ("engine/bots/a.py", "from engine.bots.base import Base", 0),
        ("engine/component.py", "from engine.books import Book", 1),
        ("engine/books.py", "from engine.component import Component", 0),
        ("engine/routes.py", "def late():\n    import engine.runtime", 1),
        ("engine/edges/bus.py", "def late():\n    import actors.shell", 1),
        ("engine/__main__.py", "import actors.shell", 1),
        ("engine/__main__.py", "def late():\n    import actors.shell", 0),
        ("actors/shell.py", "import engine.__main__", 1),
        ("actors/shell.py", "from .launch import up", 1),
        ("ext/a.py", "import engine.units", 1),
    ],
)
def test_arrow_rule_can_fail(path: str, source: str, complaints: int) -> None:
    """The arrow rule tells a right import from a wrong one."""
    assert len(tidy.wrong_arrows(path, source, TREE)) == complaints


def test_a_file_without_a_level_is_named() -> None:
    """A new file of the engine must be given its level."""
    with pytest.raises(LookupError, match=r"engine/novel\.py has no level"):
        tidy.place("engine/novel.py")


Rule = Callable[[str, str], list[str]]


@pytest.mark.parametrize(
    ("rule", "path", "wrong", "right"),
    [
        (tidy.impurities, "engine/risk.py", "import time", "import heapq"),
        (tidy.impurities, "engine/risk.py", "from random import Random", "from enum import Enum"),
        (tidy.impurities, "engine/bots/a.py", "random.random()", "random.Random(seed)"),
        (tidy.impurities, "engine/bots/a.py", "random.Random()", "self.chance.random()"),
        (tidy.impurities, "engine/risk.py", "np.random.normal()", "np.random.default_rng(3)"),
        (tidy.impurities, "engine/risk.py", "print(1)", "printer(1)"),
        (tidy.impurities, "engine/config.py", "Path('a').read_text()", "tomllib.loads(text)"),
        (tidy.impurities, "engine/risk.py", "datetime.now()", "now_ns + 1"),
        (tidy.impurities, "engine/risk.py", "def f():\n    import asyncio", "def f(): ..."),
        (tidy.foreign_imports, "engine/edges/a.py", "def f():\n    import ray", "import mmap"),
        (tidy.foreign_imports, "engine/edges/a.py", "import iceoryx2", "import iceoryx"),
        (tidy.silent_errors, "a.py", "try: f()\nexcept: g()", "try: f()\nexcept OSError: pass"),
        (
            tidy.silent_errors,
            "a.py",
            "try: f()\nexcept Exception: pass",
            "try: f()\nexcept Exception: g()",
        ),
        (tidy.silent_errors, "a.py", "contextlib.suppress(Exception)", "suppress(OSError)"),
        (tidy.undocumented, "a.py", '"""A."""\ndef f(): ...', '"""A."""\ndef _f(): ...'),
        (tidy.undocumented, "a.py", "x = 1", '"""A."""'),
        (tidy.kernel_faults, "a.pyx", "cimport cython", '# cython: x\n"""A."""'),
        (tidy.kernel_faults, "a.pyx", '"""A."""\nfrom engine import units', '"""A."""'),
    ],
)
def test_each_rule_can_fail(rule: Rule, path: str, wrong: str, right: str) -> None:
    """Each rule complains once about a wrong source, and not about a right one."""
    assert [len(rule(path, wrong)), len(rule(path, right))] == [1, 0]


@pytest.mark.parametrize(("path", "head"), [("a.py", "def f(x):"), ("a.pyx", "cdef int f(int x):")])
def test_the_wall_counts_lines(path: str, head: str) -> None:
    """70 lines pass, 71 do not, and a named exception passes."""
    passing = "\n".join([head, *["    x += 1"] * 69, "", "y = 1"])
    assert tidy.too_long(path, passing, frozenset()) == []
    failing = passing.replace(head, f"{head}\n    x += 1")
    assert tidy.too_long(path, failing, frozenset()) == [f"{path}:1: f has 71 lines"]
    assert tidy.too_long(path, failing, frozenset({f"{path}::f"})) == []


@pytest.mark.parametrize("name", ["utils", "order_helpers", "session_manager", "common"])
def test_vague_names_are_found(name: str) -> None:
    """The ban catches the name alone and at the end of a longer one."""
    assert tidy.VAGUE_NAME.search(name)
    assert not tidy.VAGUE_NAME.search(f"{name}x")
