"""One list of families: who opens a room of a new kind writes it into the list, or finds that it has a place."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from kernels.cases import cases
from kernels.library import every_kernel
from mcugrad.abi.headers import headers
from mcugrad.ops.families import CORE, FAMILIES
from mcugrad.ops.registry import GROUPS

PACKAGE = Path(str(files("mcugrad")))
RUNTIME = PACKAGE / "runtime"
NAMES = [family.name for family in FAMILIES]
COMPUTED = [family.name for family in FAMILIES if family.kernels]
"""On the device."""
BESIDE = tuple(
    f"mcg_{name}.h"
    for name in (
        "all",
        "avx2",
        "bands",
        "beyond",
        "build",
        "forward",
        "math",
        "pairs",
        "panels",
        "pixels",
        "planes",
        "rows",
        "simd",
        "structs",
        "thin",
        "types",
    )
)
"""Headers that several families need, or bodies of theirs, and the one that includes all."""
MORE = re.compile(r"_(f32|frozen|pooled|model|calls)\.h$")
"""More headers of a family: kernels in float32, of frozen layers, with a pool; how functions see a model, and those."""


def folders(path: Path) -> set[str]:
    return {p.name for p in path.iterdir() if p.is_dir() and p.name != "__pycache__"}


def test_operators_lie_in_the_rooms_of_families() -> None:
    assert folders(PACKAGE / "ops") == {*NAMES, CORE}
    assert {p.name for p in (PACKAGE / "ops").glob("*.py")} == {"__init__.py", "families.py", "registry.py"}


def test_kernels_lie_in_the_rooms_of_families() -> None:
    assert folders(RUNTIME / "src") == {*COMPUTED, CORE}
    assert not [p for p in (RUNTIME / "src").iterdir() if p.is_file()]


def test_headers_are_those_of_families() -> None:
    """Another one lies beside the first, where one would be too long."""
    found = {p.name for p in (RUNTIME / "include/mcugrad").glob("*.h")} - set(BESIDE)
    assert {f"mcg_{name}.h" for name in (*COMPUTED, CORE)} == {n for n in found if not MORE.search(n)}
    assert {MORE.sub("", n) for n in found if MORE.search(n)} <= {n.removesuffix(".h") for n in found}


def test_a_kernel_has_its_file_header_and_reference_in_one_family() -> None:
    rooms = {p.stem: p.parent.name for p in (RUNTIME / "src").glob("*/*.c")}
    for header in headers().keys() - set(BESIDE):
        family = MORE.sub("", header).removeprefix("mcg_").removesuffix(".h")
        declared = re.findall(
            r"^(?:void|int32_t|bool|mcg_status_t|extern const mcg_rule_t) (mcg_\w+)", headers()[header], re.M
        )
        assert {name: rooms[name] for name in declared} == dict.fromkeys(declared, family)
    for kernel in every_kernel():
        assert kernel.reference.__module__.split(".")[2] == rooms[kernel.name], kernel.name


def test_cases_of_kernels_are_in_a_file_per_family() -> None:
    """Another one lies beside the first, where one would be too long."""
    beside = {"__init__", "draws", "library", "placed", "real", "cases", "sums_extremes"}
    files = {p.stem for p in (Path(__file__).parents[1] / "kernels").glob("*.py")} - beside
    assert {name.partition("_")[0] for name in files} - {"test"} == {*COMPUTED, CORE}
    rooms = {kernel.name: kernel.reference.__module__.split(".")[2] for kernel in every_kernel()}
    for room in (*COMPUTED, CORE):
        found = cases(room)
        assert {name: rooms[name] for name in found} == dict.fromkeys(found, room)


def test_operators_are_listed_under_their_family() -> None:
    for family, entries in GROUPS.items():
        assert {entry.operator.__module__.split(".")[2] for entry in entries} == {family}


def test_the_page_of_operators_has_every_family() -> None:
    page = (Path(__file__).parents[2] / "docs/operators.md").read_text(encoding="utf-8")
    table = page[page.index("| family") :].split("\n\n", 1)[0]
    assert [row.split("|")[1].strip() for row in table.splitlines()[2:]] == NAMES
