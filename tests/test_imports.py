"""Imports point one way: no cycle between modules, no arrow from a room to one above it; and no file grows too long.

What counts is what can happen when the code runs: imports of a module, and those inside functions, which only happen
later. Under `TYPE_CHECKING` nothing is imported; such an arrow cannot make a cycle, but says that a room below knows a
word of one above, so those that point back are listed by themselves.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/mcugrad"

FLOORS: dict[str, tuple[str, ...]] = {
    "know no network": ("_version", "errors", "given", "files", "npz", "numerics", "progress", "layouts"),
    "what C and Python agree on": ("abi", "arithmetic"),
    "hardware": ("targets",),
    "what is said of a training and its network": ("training", "graph"),
    "what a device executes": ("program", "builders"),
    "operators, and files that hold them": ("ops", "importers"),
    "from a network to C": ("passes", "plan", "emit"),
    "what executes C": ("toolchain", "emulator", "run"),
    "the whole way": ("model", "options", "footprint", "pipeline"),
    "what a compiled model costs, keeps and learns": (
        *("measure", "state", "advice", "concerns", "encoding", "fidelity", "health", "share", "collapse"),
        *("fitting", "rate_search", "verification", "keeping", "answering", "ways", "fit_check"),
    ),
    "what users call": ("trainer", "api", "advised", "choosing", "__init__"),
    "what users see": ("zoo", "report", "demo", "commands", "cli", "__main__"),
}
"""Rooms of the package, lowest first, also within a floor: each may import from those before it. docs/design.md shows
them in this order."""

BACK: set[tuple[str, str]] = set()
"""Arrows back that are still there, importing module first. It only gets shorter."""

NAMED_BACK: set[tuple[str, str]] = set()
"""Arrows back under TYPE_CHECKING that are still there. It only gets shorter."""

LONGEST = 450
"""Lines of a file that somebody has to read."""

LONGEST_TEMPLATE = 200
"""Lines of a template: one that is longer computes something, which belongs into the runtime or into Python."""

LONG: dict[str, int] = {}
"""Files that are longer, with what they may have. Numbers only get smaller."""


class When(Enum):
    """When an import happens."""

    AT_ONCE = "when the module is imported"
    LATER = "when a function runs"
    NEVER = "under TYPE_CHECKING"


@dataclass(frozen=True)
class Arrow:
    """One module imports another, both without the name of the package."""

    source: str
    target: str
    when: When
    line: int

    def __str__(self) -> str:
        return f"{self.source} imports {self.target} (line {self.line}, {self.when.value})"


def modules(folder: Path) -> dict[str, ast.Module]:
    """Every module of a package by its name in it; the package itself is `__init__`, others have their own."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def bound(tree: ast.Module) -> set[str]:
    """Names that a module has by itself, not as the modules in its folder."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def asked_for(tree: ast.AST, when: When = When.AT_ONCE) -> Iterator[tuple[str, str, When, int]]:
    """Module, name in it or nothing, when, and line of every import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):
            continue  # which holds no statement
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            negated = isinstance(node.test, ast.UnaryOp)
            for part, unseen in ((node.body, not negated), (node.orelse, negated)):
                yield from asked_for(ast.Module(part, []), When.NEVER if unseen else when)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "", when, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((dots + (node.module or ""), alias.name, when, node.lineno) for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and when is When.AT_ONCE:
            yield from asked_for(node, When.LATER)
        else:
            yield from asked_for(node, when)


def by_text(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What a module may import by `import_module` or `__import__`, whatever it calls them: every text in it."""
    named = {
        name
        for node in ast.walk(tree)
        for name in (
            *((node.id,) if isinstance(node, ast.Name) else ()),
            *((node.attr,) if isinstance(node, ast.Attribute) else ()),
            *((node.name,) if isinstance(node, ast.alias) else ()),
        )
    }
    if named & {"import_module", "__import__"}:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value, node.lineno


def arrows(trees: Mapping[str, ast.Module], package: str) -> list[Arrow]:
    """All imports within a package. A name that a folder's `__init__` binds is taken from there, as Python does."""
    own = {name: bound(tree) for name, tree in trees.items()}

    def inside(name: str) -> str | None:
        inner = "__init__" if name == package else name.removeprefix(f"{package}.")
        return inner if inner in trees and name.split(".")[0] == package else None

    found = []
    for source, tree in trees.items():
        wanted = []
        for module, name, when, line in asked_for(tree):
            assert not module.startswith("."), f"{source}, line {line}: say the whole name, {package}..."
            target = inside(module)
            beside = inside(f"{module}.{name}") if name else None
            wanted.append((beside if beside and target and name not in own[target] else target, when, line))
        wanted += [(inside(text), When.LATER, line) for text, line in by_text(tree) if text != package]
        found += [Arrow(source, to, when, line) for to, when, line in wanted if to and to != source]
    return found


def cycles(found: list[Arrow]) -> list[list[str]]:
    """Groups of modules that import each other, sooner or later. Alphabetical."""
    after: dict[str, set[str]] = {}
    for arrow in found:
        if arrow.when is not When.NEVER:
            after.setdefault(arrow.source, set()).add(arrow.target)
    reached = {}
    for start in after:
        seen: set[str] = set()
        pending = [start]
        while pending:
            new = after.get(pending.pop(), set()) - seen
            seen |= new
            pending += new
        reached[start] = seen
    groups = {
        tuple(sorted(other for other in reached[one] if one in reached.get(other, ())))
        for one in reached
        if one in reached[one]
    }
    return [list(group) for group in sorted(groups)]


def back(found: list[Arrow], rooms: list[str]) -> list[Arrow]:
    """Arrows from a room to a later one."""
    place = {room: number for number, room in enumerate(rooms)}

    def floor(module: str) -> int:
        return place[module.split(".")[0]]

    return [arrow for arrow in found if floor(arrow.source) < floor(arrow.target)]


@cache
def of_the_package() -> list[Arrow]:
    """All of them, read once."""
    return arrows(modules(PACKAGE), "mcugrad")


@pytest.fixture
def found() -> list[Arrow]:
    return of_the_package()


ROOMS = list(chain.from_iterable(FLOORS.values()))


def test_every_room_has_its_place() -> None:
    there = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.rglob("*.py")))
    }
    assert sorted(ROOMS) == sorted(there), "FLOORS of this file says which rooms there are, and their order"


def test_design_shows_the_rooms_in_their_order() -> None:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    rows = [f"| {floor} | {', '.join(f'`{room}`' for room in rooms)} |" for floor, rooms in FLOORS.items()]
    table = "\n".join(("| floor | rooms |", "|---|---|", *rows, ""))
    assert f"\n\n{table}\n" in text, f"docs/design.md has another table of rooms than\n{table}"


def test_design_says_what_each_room_holds() -> None:
    """Every room once, and the C of the runtime, which no import leads to."""
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    _, _, table = text.partition("\n| room | holds |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    named = [room for row in rows for room in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted([*ROOMS, "runtime"])


def test_no_module_imports_itself_by_way_of_others(found: list[Arrow]) -> None:
    for group in cycles(found):
        run = [arrow for arrow in found if arrow.when is not When.NEVER]
        inner = dict.fromkeys(str(arrow) for arrow in run if {arrow.source, arrow.target} <= set(group))
        pytest.fail("\n".join(("modules in a circle; move what they share below them:", *inner)))


@pytest.mark.parametrize("named", [False, True], ids=["imported", "named"])
def test_no_arrow_points_back(found: list[Arrow], named: bool) -> None:
    known = NAMED_BACK if named else BACK
    wrong = [arrow for arrow in back(found, ROOMS) if (arrow.when is When.NEVER) is named]
    new = [str(arrow) for arrow in wrong if (arrow.source, arrow.target) not in known]
    assert not new, "a room imports from one above it; move what it needs down, or the code that needs it up"
    gone = known - {(arrow.source, arrow.target) for arrow in wrong}
    assert not gone, "these arrows back are gone: take them from the list, so that they stay away"


def written() -> Iterator[Path]:
    """Files that people write: golden files are generated, networks and licences come from elsewhere."""
    for folder, suffixes in (
        ("src", (".py", ".c", ".h", ".S", ".j2", ".toml")),
        ("tests", (".py", ".c", ".h")),
    ):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and ROOT / "tests/golden" not in path.parents:
                yield path


def longest(name: str) -> int:
    """Lines that a file may have, by its name."""
    return LONGEST_TEMPLATE if name.endswith(".j2") else LONGEST


def test_no_file_is_too_long() -> None:
    lines = {path.relative_to(ROOT).as_posix(): path.read_bytes().count(b"\n") for path in written()}
    too_long = {name: count for name, count in lines.items() if count > LONG.get(name, longest(name))}
    assert not too_long, "split them: one thing a file"
    short = {name for name in LONG if lines.get(name, 0) <= longest(name)}
    assert not short, "no exceptions any more: take them from the list"


def sketch(**files: str) -> list[Arrow]:
    """Imports of a package `p` of modules with this text; `__` in a name is a dot."""
    named = {name if name == "__init__" else name.replace("__", "."): text for name, text in files.items()}
    return arrows({name: ast.parse(text) for name, text in named.items()}, "p")


SEEN = {
    "from p.b import x": When.AT_ONCE,
    "from p import b": When.AT_ONCE,
    "import p.b": When.AT_ONCE,
    "try:\n    import p.b\nexcept ImportError:\n    pass": When.AT_ONCE,
    "class C:\n    import p.b": When.AT_ONCE,
    "def f():\n    from p import b": When.LATER,
    "class C:\n    def f(self):\n        if self:\n            import p.b": When.LATER,
    "from importlib import import_module\nnames = {'x': 'p.b'}\nimport_module(names['x'])": When.LATER,
    "from importlib import import_module as load\nload('p.b')": When.LATER,
    "def f():\n    __import__('p.b')": When.LATER,
    "if TYPE_CHECKING:\n    from p.b import x": When.NEVER,
    "if typing.TYPE_CHECKING:\n    pass\nelse:\n    import p.b": When.AT_ONCE,
    "if not TYPE_CHECKING:\n    import p.b": When.AT_ONCE,
    "def f():\n    if TYPE_CHECKING:\n        import p.b": When.NEVER,
}


@pytest.mark.parametrize("text", SEEN)
def test_sees_an_import_wherever_it_is(text: str) -> None:
    (arrow,) = (arrow for arrow in sketch(a=text, b="", __init__="") if arrow.target == "b")
    assert (arrow.source, arrow.when) == ("a", SEEN[text])


def test_takes_a_name_from_where_python_takes_it() -> None:
    """A function of a folder hides the module of the same name."""
    hidden = {"q": "from p.q.rule import rule", "q__rule": "rule = 1"}
    (arrow,) = (arrow for arrow in sketch(a="from p.q import rule", **hidden) if arrow.source == "a")
    assert arrow.target == "q"
    (arrow,) = (arrow for arrow in sketch(a="from p.q import rule", q="", q__rule="") if arrow.source == "a")
    assert arrow.target == "q.rule"


def test_finds_circles_and_arrows_back() -> None:
    later = sketch(a="import p.b", b="import p.c", c="def f():\n    import p.a", d="import p.a")
    assert cycles(later) == [["a", "b", "c"]]
    assert [(arrow.source, arrow.target) for arrow in back(later, ["a", "b", "c", "d"])] == [
        ("a", "b"),
        ("b", "c"),
    ]
    assert cycles(sketch(a="import p.b", b="if TYPE_CHECKING:\n    import p.a")) == []
