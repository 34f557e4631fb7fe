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


@pytest.mark.skipif("zig" not in toolchain.host_compilers(), reason="zig looks at each file alone")
@pytest.mark.parametrize("among", [(), ("dsp",), ("armv6m",), ("dsp", "mve"), ("avx2",)])
def test_no_warnings_of_a_file_alone(among: tuple[str, ...]) -> None:
    """It includes what it needs, whoever compiles it, and has no function that nothing calls; gcc sees all together."""
    flags = ["-mavx2"] if among == ("avx2",) else []
    if flags and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("no processor with AVX2")
    found = library.sources(among[-1] if among else "")
    include = [library.INCLUDE, library.RUNTIME / "src"]
    more = () if among else (*library.PROBES, library.INSTRUCTIONS)
    toolchain.check_warnings([*found, *more], include, opt="-O0", defines=in_c(among), flags=flags)


@pytest.mark.skipif("gcc" not in toolchain.host_compilers(), reason="gcc is not installed")
@pytest.mark.parametrize(
    ("among", "opt"),
    [((), "-O0"), ((), "-O2"), (("dsp",), "-O0"), (("armv6m",), "-O0"), (("dsp", "mve"), "-O0")],
)
def test_no_warnings_of_gcc(among: tuple[str, ...], opt: str, tmp_path: Path) -> None:
    """In all functions together; what optimisers find in other bodies is looked for in amalgamated ones."""
    text, include = library.together(tmp_path), [library.INCLUDE, library.RUNTIME / "src"]
    toolchain.check_warnings([text], include, compiler="gcc", opt=opt, defines=in_c(among))


def in_c(bodies: tuple[str, ...]) -> dict[str, str | int | None]:
    """Macros by which this computer takes the bodies of other cores."""
    return {f"MCG_{body.upper()}_IN_C": None for body in bodies if body != "avx2"}


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f", "cortex-m7", "cortex-m55"])
def test_no_warnings_of_bodies_for_cores(core: str, compiler: str, tmp_path: Path) -> None:
    """In all that a core takes, together; optimised, amalgamated ones are looked at."""
    text, include = (
        library.together(tmp_path, library.with_bodies()),
        [library.INCLUDE, library.RUNTIME / "src"],
    )
    toolchain.check_warnings([text], include, compiler=compiler, opt="-O0", target=targets.load(core))


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_headers_are_cpp(compiler: str, tmp_path: Path) -> None:
    for header in sorted((library.INCLUDE / "mcugrad").glob("*.h")):
        sketch = tmp_path / f"{header.stem}.cpp"
        sketch.write_text(f'#include "mcugrad/{header.name}"\n')
        toolchain.check_warnings([sketch], [library.INCLUDE], compiler=compiler, language="c++")


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
