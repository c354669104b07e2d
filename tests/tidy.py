"""The rules that tests/test_tidy.py holds, as functions from one file's text to its complaints.

They read source by its syntax tree and import nothing of what they read. A rule knows no file of
the tree by itself, except in the tables below, where each exception has its reason.
"""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import PurePosixPath

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# Level by path, lowest first. Within a level a file may import only files of earlier patterns and
# files of its own folder; level 3 is different: components share messages and nothing else.
LEVELS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, ("ext/*", "engine/__init__.py")),
    (
        1,
        (
            "engine/units.py",
            "engine/messages.py",
            "engine/instruments.py",
            "engine/*_config.py",
            "engine/config.py",
        ),
    ),
    (
        2,
        (
            "engine/component.py",
            "engine/books.py",
            "engine/bars.py",
            "engine/venues/trading.py",
            "engine/orders/identity.py",
            "engine/venues/*",
            "engine/orders/*",
            "engine/parents/*",
            "engine/money/*",
            "engine/views.py",
            "engine/viewer.py",
            "engine/risk_limits.py",
            "engine/risk_levels.py",
            "engine/risk_groups.py",
            "engine/risk_exits.py",
            "engine/risk_account.py",
        ),
    ),
    (
        3,
        (
            "engine/venue.py",
            "engine/scanner.py",
            "engine/execution.py",
            "engine/risk.py",
            "engine/ledger.py",
            "engine/monitor.py",
            "engine/bots/*",
            "engine/exchange/*",
        ),
    ),
    (
        4,
        (
            "engine/routes.py",
            "engine/runtime.py",
            "engine/assembly.py",
            "engine/backtest/*",
            "engine/analytics/*",
        ),
    ),
    (5, ("engine/edges/*",)),
    (6, ("engine/__main__.py",)),
    (7, ("actors/*",)),
)
COMPONENTS = 3
EDGES = 5
COMMAND_LINE = 6
ACTORS = 7

IMPURE_MODULES = frozenset(
    "asyncio concurrent http io logging multiprocessing os ray requests secrets select selectors "
    "shutil signal socket sqlite3 ssl subprocess tempfile threading time urllib uuid uvloop picows "
    "aiohttp iceoryx2 litestar uvicorn websockets".split()
)
CHANCE_OWNERS = (
    "engine/exchange/*",
    "engine/bots/*",
)  # they keep a seeded generator in their state
WEB_AND_CLUSTER = frozenset({"ray", "litestar", "uvicorn", "starlette"})
VAGUE_NAME = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc)$")
LEFT_OVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def place(path: str) -> tuple[int, int]:
    """Level and position within it of a file of ext, engine or actors."""
    for level, patterns in LEVELS:
        for position, pattern in enumerate(patterns):
            if fnmatch(path, pattern):
                return level, position
    raise LookupError(f"{path} has no level: add it to LEVELS in tests/tidy.py")


def folder(path: str) -> str:
    """The folder of a file, with a slash at its end; the exchange's wires are part of it."""
    return str(PurePosixPath(path).parent).replace("exchange/wires", "exchange") + "/"


def imports(tree: ast.Module, late: bool) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import; late ones (inside functions) only if asked for."""

    def walk(node: ast.AST) -> Iterator[tuple[int, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((child.lineno, alias.name) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                dots = "." * child.level
                yield from (
                    (child.lineno, f"{dots}{child.module or ''}.{alias.name}")
                    for alias in child.names
                )
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not late:
                continue
            else:
                yield from walk(child)

    return walk(tree)


def file_of(dotted: str, files: frozenset[str]) -> str | None:
    """The file of ours that an imported name comes from; None for others' modules."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        stem = "/".join(parts[:length])
        for candidate in (f"{stem}.py", f"{stem}.pyx", f"{stem}/__init__.py"):
            if candidate in files:
                return candidate
    return None


def wrong_arrows(path: str, source: str, files: frozenset[str]) -> list[str]:
    """Imports that do not go down, relative ones, and `actors` imported early or by the engine."""
    level, position = place(path)
    tree = ast.parse(source)
    early = set(imports(tree, late=False))
    complaints = []
    for line, name in imports(tree, late=True):
        if name.startswith("."):
            complaints.append(f"{path}:{line}: relative import of {name}")
            continue
        target = file_of(name, files)
        if target is None or target == path:
            continue
        if target.startswith("actors/") and level == COMMAND_LINE:
            if (line, name) in early:
                complaints.append(f"{path}:{line}: {name} must be imported late")
            continue
        if not may_import(path, (level, position), target):
            complaints.append(f"{path}:{line}: level {level} imports {target}")
    return complaints


def may_import(path: str, at: tuple[int, int], target: str) -> bool:
    """Whether the arrow from a file at `at` to `target` goes down, or stays inside one part."""
    target_level, target_position = place(target)
    level, position = at
    if target_level != level:
        return target_level < level and target_level != COMMAND_LINE
    if target_level in {0, EDGES, ACTORS}:
        return True
    if folder(target) == folder(path) != "engine/":
        return not path.startswith("engine/bots/") or target.endswith(("/base.py", "/__init__.py"))
    return level != COMPONENTS and target_position < position


def impurities(path: str, source: str) -> list[str]:
    """Clocks, sockets, chance, files and print in levels 1 to 4."""
    tree = ast.parse(source)
    chance_allowed = any(fnmatch(path, pattern) for pattern in CHANCE_OWNERS)
    complaints = []
    for line, name in imports(tree, late=True):
        root = name.split(".")[0]
        if root in IMPURE_MODULES or (root == "random" and not chance_allowed):
            complaints.append(f"{path}:{line}: imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (reason := impure_call(node)):
            complaints.append(f"{path}:{node.lineno}: {reason}")
    return complaints


def impure_call(call: ast.Call) -> str | None:
    """Why a call reaches outside its arguments, or None."""
    name = ast.unparse(call.func)
    unseeded = not call.args and not call.keywords
    last = name.rpartition(".")[2]
    if name in {"print", "open", "input", "breakpoint"}:
        return f"calls {name}()"
    if last in {"read_text", "read_bytes", "write_text", "write_bytes", "now", "utcnow", "today"}:
        return f"calls {name}(), a file or a clock"
    if last in {"Random", "default_rng", "PCG64"}:
        return f"{name}() has no seed" if unseeded else None
    if re.match(r"(np\.|numpy\.)?random\.", name) and last != "Generator":
        return f"calls {name}(), chance that no state holds"
    return None


def foreign_imports(path: str, source: str) -> list[str]:
    """Ray and web frameworks in the engine, iceoryx2 outside the bus, Ray hidden in a function."""
    tree = ast.parse(source)
    complaints = []
    for line, name in imports(tree, late=True):
        root = name.split(".")[0]
        if not path.startswith("engine/"):
            continue
        if root in WEB_AND_CLUSTER:
            complaints.append(f"{path}:{line}: the engine imports {root}")
        if root == "iceoryx2" and not fnmatch(path, "engine/edges/bus*.py"):
            complaints.append(f"{path}:{line}: iceoryx2 outside engine/edges/bus*.py")
    return complaints


def silent_errors(path: str, source: str) -> list[str]:
    """Errors that are caught whole and dropped."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else ""
            dropped = all(isinstance(part, ast.Pass | ast.Continue) for part in node.body)
            if not caught:
                complaints.append(f"{path}:{node.lineno}: bare except")
            elif dropped and caught in {"Exception", "BaseException"}:
                complaints.append(f"{path}:{node.lineno}: {caught} is dropped")
        elif isinstance(node, ast.Call) and ast.unparse(node).endswith(
            ("suppress(Exception)", "suppress(BaseException)")
        ):
            complaints.append(f"{path}:{node.lineno}: everything is suppressed")
    return complaints


def undocumented(path: str, source: str) -> list[str]:
    """The module, and its public classes and functions, that say nothing about themselves."""
    tree = ast.parse(source)
    complaints = [] if ast.get_docstring(tree) else [f"{path}:1: no docstring"]
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not node.name.startswith("_") and not ast.get_docstring(node):
            complaints.append(f"{path}:{node.lineno}: {node.name} has no docstring")
    return complaints


def function_lengths(source: str) -> Iterator[tuple[int, str, int]]:
    """Line, name and length of each function of a Python file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1


KERNEL_FUNCTION = re.compile(
    r"^(\s*)(?:cp?def|def)\s+(?!class\b|extern\b|enum\b|struct\b).*?(\w+)\("
)


def kernel_function_lengths(source: str) -> Iterator[tuple[int, str, int]]:
    """The same for Cython, by indentation: a function ends where a line stands as far left."""
    lines = source.splitlines()
    for number, line in enumerate(lines):
        if not (match := KERNEL_FUNCTION.match(line)):
            continue
        indent, end = len(match[1]), number
        for later in range(number + 1, len(lines)):
            text = lines[later]
            if text.strip() and len(text) - len(text.lstrip()) <= indent:
                if not text.lstrip().startswith(")"):
                    break
            elif text.strip():
                end = later
        yield number + 1, match[2], end - number + 1


def too_long(path: str, source: str, functions_excepted: frozenset[str]) -> list[str]:
    """Functions over the wall; an exception is named `path::function`."""
    lengths = kernel_function_lengths if path.endswith(".pyx") else function_lengths
    return [
        f"{path}:{line}: {name} has {length} lines"
        for line, name, length in lengths(source)
        if length > FUNCTION_LINES_MAX and f"{path}::{name}" not in functions_excepted
    ]


def kernel_faults(path: str, source: str) -> list[str]:
    """A kernel opens with an essay and imports nothing of the levels above."""
    opening = re.sub(r"^(\s*(#.*)?\n)*", "", source)
    complaints = []
    if path.endswith(".pyx") and not opening.startswith(('"""', "'''")):
        complaints.append(f"{path}:1: no docstring")
    for number, line in enumerate(source.splitlines(), start=1):
        if re.match(r"\s*(from|import|cimport)\s+(engine|actors|tests|benchmarks)\b", line):
            complaints.append(f"{path}:{number}: a kernel imports {line.strip()}")
    return complaints
