"""Headers and files of the kernels: what is where, what is said of it, and that no compiler warns."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest

from kernels import library
from mcugrad import targets, toolchain
from mcugrad.abi.headers import headers, prototypes
from mcugrad.emit.amalgamate import bodies
from mcugrad.training.rules import IN_PLACE
from thoroughness import LONG

KERNELS = {kernel.name: kernel for kernel in library.every_kernel()}


def test_a_kernel_is_one_file_of_its_name() -> None:
    names = bodies().keys()
    assert names - {f"mcg_rule_{name}" for name in IN_PLACE} == set(prototypes())


def test_every_header_is_included_and_comes_after_those_it_includes() -> None:
    names = list(headers())
    assert sorted(names) == sorted(path.name for path in (library.INCLUDE / "mcugrad").glob("*.h"))
    first = ["mcg_build.h", "mcg_types.h", "mcg_math.h", "mcg_simd.h", "mcg_structs.h", "mcg_core.h"]
    assert names[:6] == first
    assert names[-1] == "mcg_all.h"


def test_a_file_includes_all_headers() -> None:
    """Itself, and nothing else: what it needs is there, whoever compiles it."""
    for files in bodies().values():
        for path in files.values():
            found = re.findall(r"^#include (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert found == ['"mcugrad/mcg_all.h"'], path.name


@pytest.mark.parametrize("build", library.available((*library.BUILDS, *library.BODIES)), ids=str)
def test_no_warnings(build: library.Build) -> None:
    """Of all files together, or of all that have several bodies; gcc sees them in another order than zig."""
    assert {*toolchain.STRICT_WARNINGS} <= {*build.flags}
    library.library(build)


def test_one_order_of_files_is_the_other_one_backwards(tmp_path: Path) -> None:
    """So that what a file needs of another one is behind it in one of them."""
    orders = []
    for backwards in (False, True):
        text = library.together(tmp_path, backwards=backwards).read_text()
        blocks = re.findall(r"^#if.*?^#endif|^#include.*?$", text, re.MULTILINE | re.DOTALL)
        assert blocks[0] == '#include "mcugrad/mcg_all.h"'
        orders.append(blocks[1:])
    assert orders[0] == orders[1][::-1]
    files = re.findall(r'#include "\w+/(\w+)\.c"', "".join(orders[0]))
    assert sorted(files) == sorted(path.stem for each in bodies().values() for path in each.values())


ALONE = [(), ("dsp",), ("armv6m",), ("dsp", "mve"), ("avx2",)] if LONG else [("dsp", "mve")]


@pytest.mark.skipif("zig" not in toolchain.host_compilers(), reason="zig looks at each file alone")
@pytest.mark.parametrize("among", ALONE)
def test_no_warnings_of_a_file_alone(among: tuple[str, ...]) -> None:
    """What is above shows the same of all files in a fifth of the time."""
    flags = ["-mavx2"] if among == ("avx2",) else []
    if flags and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("no processor with AVX2")
    found = library.sources(among[-1] if among else "")
    include = [library.INCLUDE, library.RUNTIME / "src"]
    more = () if among else (*library.PROBES, library.INSTRUCTIONS)
    toolchain.check_warnings([*found, *more], include, opt="-O0", defines=in_c(among), flags=flags)


def in_c(bodies: tuple[str, ...]) -> dict[str, str | int | None]:
    """Macros by which this computer takes the bodies of other cores."""
    return {f"MCG_{body.upper()}_IN_C": None for body in bodies if body != "avx2"}


CORES = [
    (core, compiler)
    for core in ("cortex-m0plus", "cortex-m4f", "cortex-m7", "cortex-m55")
    for compiler in toolchain.firmware_compilers()
    if LONG or (core, compiler) != ("cortex-m4f", "arm-none-eabi-gcc")
]
"""A Cortex-M7 has bodies of its own beside those of a Cortex-M4, which gcc sees above."""


@pytest.mark.parametrize(("core", "compiler"), CORES)
def test_no_warnings_of_bodies_for_cores(core: str, compiler: str, tmp_path: Path) -> None:
    """In all that a core takes, together; optimised, amalgamated ones are looked at."""
    text, include = (
        library.together(tmp_path, library.with_bodies()),
        [library.INCLUDE, library.RUNTIME / "src"],
    )
    toolchain.check_warnings([text], include, compiler=compiler, opt="-O0", target=targets.load(core))


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_headers_are_cpp(compiler: str, tmp_path: Path) -> None:
    """By themselves for the last compiler, which shows that they include what they need; else all together."""
    lines = [
        f'#include "mcugrad/{path.name}"\n' for path in sorted((library.INCLUDE / "mcugrad").glob("*.h"))
    ]
    alone = LONG or compiler == toolchain.host_compilers()[-1]
    sketches = []
    for i, text in enumerate(lines if alone else ["".join(lines)]):
        sketches.append(tmp_path / f"sketch_{i}.cpp")
        sketches[-1].write_text(text)
    toolchain.check_warnings(sketches, [library.INCLUDE], compiler=compiler, language="c++")


def test_every_declared_function_is_documented() -> None:
    """A doxygen comment ends right above each prototype."""
    lines = library.declarations().splitlines()
    for i, line in enumerate(lines):
        if line.startswith(("void mcg_", "int32_t mcg_", "bool mcg_", "mcg_status_t mcg_", "extern const")):
            assert lines[i - 1].strip().endswith("*/"), f"no comment above: {line}"


def test_every_reference_is_there() -> None:
    """Comments in headers name a function of the package, or one of its files."""
    text = re.sub(r"\n \*", "", library.declarations())
    named = re.findall(r"Reference: (\S+?\.py)(?:::(\w+))?", text)
    assert len(named) == text.count("Reference:") > 100
    for file, function in named:
        path = library.RUNTIME.parent / file
        source = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert source, f"there is no {file}"
        assert not function or re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_header_names_the_reference_that_a_kernel_is_compared_with(name: str) -> None:
    text = library.declarations()
    end = re.search(rf"^(?:void|int32_t|bool|mcg_status_t) {name}\(", text, re.MULTILINE)
    assert end is not None
    said = re.sub(r"\s*\n \*\s*", " ", text[text.rindex("/**", 0, end.start()) : end.start()])
    reference = KERNELS[name].reference
    file = reference.__module__.removeprefix("mcugrad.").replace(".", "/")
    assert re.findall(r"Reference: (\S+?)\.?(?:\s|$)", said) == [f"{file}.py::{reference.__name__}"]
