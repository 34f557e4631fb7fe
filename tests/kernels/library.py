"""The C kernels as Python functions: built by several compilers, called as the headers declare them."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import tempfile
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

import mcugrad.ops
from kernels.placed import MEANINGLESS, POINTERS, Placed
from mcugrad import toolchain
from mcugrad.abi.headers import headers, prototypes
from mcugrad.emit.amalgamate import RULE, RUNTIME, bodies, included
from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.program import Kernel
from mcugrad.program.kernel import ROOM, SCRATCH
from mcugrad.training.rules import IN_PLACE
from thoroughness import LONG

INCLUDE = RUNTIME / "include"
INSTRUCTIONS = Path(__file__).with_name("probe_simd.c")
PROBES = tuple(sorted({*Path(__file__).parent.glob("probe*.c")} - {INSTRUCTIONS}))
"""C for tests: what is inline or static, on arrays; functions that descriptors have."""
UNDEFINED = Path(__file__).with_name("undefined.c")
"""What a sanitizer calls."""


@dataclass(frozen=True)
class Build:
    """How a library is built."""

    compiler: str
    opt: str
    native: bool = False
    defines: tuple[str, ...] = ()
    of_bodies: bool = False
    """Only of functions with several bodies, which takes less time."""
    watched: bool = False
    """Says where something was done that C leaves undefined."""

    def __str__(self) -> str:
        more = (*("native",) * self.native, *("watched",) * self.watched)
        return " ".join((self.compiler, self.opt, *more, *self.defines))

    @property
    def flags(self) -> tuple[str, ...]:
        """No build has warnings. Watched ones call what is in undefined.c: zig would take seconds for its own."""
        bare = ("-nostdlib",) if self.compiler == "zig" and sys.platform == "linux" else ()
        return (*toolchain.STRICT_WARNINGS, *bare, *("-fsanitize=undefined",) * self.watched)


BUILDS = (
    Build("zig", "-O0", defines=("MCG_NO_VECTORS",), watched=True),  # loops as small cores run them
    Build("zig", "-O0", watched=True),
    Build("zig", "-O3", native=True),
    Build("gcc", "-O3", native=True),
    Build("gcc", "-O0"),
)
_DSP, _MVE, _ARMV6M = (
    ("MCG_DSP_IN_C",),
    ("MCG_DSP_IN_C", "MCG_MVE_IN_C"),
    ("MCG_ARMV6M_IN_C", "MCG_PAIRS_ALWAYS"),
)
BODIES = (
    Build("zig", "-O3", native=True, defines=("MCG_PORTABLE",), of_bodies=True),
    Build("gcc", "-O0", defines=_DSP, of_bodies=True),
    Build("zig", "-O0", defines=_DSP, of_bodies=True, watched=True),
    Build("zig", "-O0", defines=_MVE, of_bodies=True, watched=True),
    Build("gcc", "-O1" if LONG else "-O0", defines=_MVE, of_bodies=True),
    Build("zig", "-O0", defines=_ARMV6M, of_bodies=True, watched=True),
    Build("gcc", "-O1", defines=_ARMV6M, of_bodies=True),
    Build("zig", "-O0", native=True, of_bodies=True, watched=True),
)
"""More builds of kernels that have several bodies: those above take the one for this processor, or the portable one.
Every second build of both lists together, and the others together, have every body."""
if LONG:
    BODIES += tuple(Build("zig", "-O3", defines=defines, of_bodies=True) for defines in (_DSP, _MVE))


@cache
def every_kernel() -> frozenset[Kernel]:
    """Every kernel that an operator names."""
    modules = pkgutil.walk_packages(mcugrad.ops.__path__, "mcugrad.ops.")
    values = [value for module in modules for value in vars(importlib.import_module(module.name)).values()]
    return frozenset(value for value in values if isinstance(value, Kernel))


@cache
def with_bodies() -> list[str]:
    """Kernels that have more bodies than the portable one, and what is priced by what it calls, which has."""
    several = {name for name, files in bodies().items() if "" in files and len(files) > 1}
    return sorted(kernel.name for kernel in every_kernel() if kernel.is_priced or kernel.name in several)


def sources(body: str) -> list[Path]:
    """Every C file of the runtime that holds such a body; the portable ones under ""."""
    return [files[body] for files in bodies().values() if body in files]


def together(folder: Path, functions: Iterable[str] = (), backwards: bool = False) -> Path:
    """One file that includes all of the runtime, or some functions with what they call, as generated code does.

    Starting a compiler and reading the headers takes longer than compiling a kernel. Where one build has the files in
    this order and another one has them `backwards`, none of them needs another one.
    """
    path = folder / "kernels.c"
    first, *files = re.findall(
        r"\n#if .*?#endif[^\n]*\n|#include[^\n]*\n", included(functions or bodies()), re.DOTALL
    )
    path.write_text("".join([first, *(files[::-1] if backwards else files)]), encoding="utf-8")
    return path


def _declarations(source: str) -> str:
    """What cffi understands of a C file: structs, prototypes and variables, but no macros and vectors."""
    text = re.sub(
        r"^#if MCG_HAS_AVX2$.*?^#endif /\* MCG_HAS_AVX2", "", source, flags=re.DOTALL | re.MULTILINE
    )
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    structs = re.findall(r"^typedef struct \{.*?^\} \w+;", text, flags=re.DOTALL | re.MULTILINE)
    functions = re.findall(
        r"^(?:void|int32_t|bool|mcg_status_t) (?:mcg|probe)_\w+\([^)]*\);", text, flags=re.MULTILINE
    )
    # cffi reads variables, but no constants, from a library that it did not compile itself.
    variables = re.findall(r"^extern const (\w+ \w+;)", text, flags=re.MULTILINE)
    return "\n".join(structs + functions + [f"extern {variable}" for variable in variables])


@cache
def ffi() -> FFI:
    """Declarations of every kernel and of the probes."""
    result = FFI()
    result.cdef("typedef int mcg_status_t;")
    for text in (*headers().values(), *(probe.read_text(encoding="utf-8") for probe in PROBES)):
        result.cdef(_declarations(text))
    result.cdef("int32_t probe_body(void); const char *probe_undefined(int32_t *line);")
    return result


class Library:
    """The kernels as one build made them: all, those with several bodies, or some."""

    def __init__(self, build: Build, functions: Iterable[str] = ()) -> None:
        self.build = build
        rules = (RULE.format(name) for name in IN_PLACE)
        functions = functions or ((*with_bodies(), *rules) if build.of_bodies else ())
        more = (*(() if functions else PROBES), INSTRUCTIONS, *(UNDEFINED,) * build.watched)
        with tempfile.TemporaryDirectory() as folder:
            path = toolchain.build_shared(
                [together(Path(folder), functions, backwards=build.compiler == "gcc"), *more],
                [INCLUDE, RUNTIME / "src"],
                compiler=build.compiler,
                opt=build.opt,
                defines=dict.fromkeys(build.defines),
                native=build.native,
                flags=build.flags,
            )
        self.lib = ffi().dlopen(str(path))

    def undefined(self) -> str:
        """Where the first thing was done since last time that C leaves undefined; "" where nothing was."""
        if not self.build.watched:
            return ""
        line = ffi().new("int32_t *")
        file = self.lib.probe_undefined(line)
        return "" if file == ffi().NULL else f"{Path(ffi().string(file).decode()).name}:{line[0]}"

    def run(self, kernel: Kernel, arguments: dict[str, Any]) -> Any:
        """Call a kernel; arrays are written in place, None is a null pointer. Returns what it returns.

        Raises:
            AssertionError: a byte beside a buffer changed.
        """
        placed = Placed(kernel, arguments, ffi())
        returned = placed.call(self.lib)
        placed.take_back(arguments)
        assert not (at := self.undefined()), f"{self.build}: {kernel.name} has undefined behaviour at {at}"
        return returned

    def probe(self, name: str, *arguments: Any) -> None:
        """Call a function of the probes; arrays are passed by reference."""
        function = getattr(self.lib, f"probe_{name}")
        kinds = ffi().typeof(function).args
        function(
            *(
                ffi().cast(kind, ffi().from_buffer(value)) if isinstance(value, np.ndarray) else value
                for kind, value in zip(kinds, arguments, strict=True)
            )
        )
        assert not (at := self.undefined()), f"{self.build}: probe_{name} has undefined behaviour at {at}"


@cache
def library(build: Build, functions: tuple[str, ...] = ()) -> Library:
    """The library of a build, of all functions or of some, built once."""
    return Library(build, functions)


def available(builds: tuple[Build, ...] = BUILDS) -> list[Build]:
    """Those builds whose compiler is installed here."""
    here = toolchain.host_compilers()
    return [build for build in builds if build.compiler in here]


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same arguments with arrays of their own."""
    return {
        k: v.copy() if isinstance(v, np.ndarray) else deepcopy(v) if isinstance(v, ReplayBuffer) else v
        for k, v in arguments.items()
    }


def expected(kernel: Kernel, arguments: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What is to be found after a call, where a kernel may not write what was there before; and what it returns.

    Raises:
        AssertionError: the reference wrote what is only read.
    """
    after = copied(arguments)
    returned = kernel.reference(*(after[p.name] for p in kernel.seen))
    own = written(kernel)
    before = arrays(arguments)
    for name, (param, value) in arrays(after).items():
        assert param in own or same(value, before[name][1]), f"the reference of {kernel.name} changes {name}"
    return {k: after[k] if k in own else value for k, value in arguments.items()}, returned


def shape(g: Any) -> Any:
    """The constants of a layer without its zero points; of what has none, as they are."""
    if not is_dataclass(g) or isinstance(g, type):
        return g
    return replace(g, **dict.fromkeys({field.name for field in fields(g)} & {"x_zero", "y_zero"}, 0))


def with_scratch(kernel: Kernel, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The arguments with each size of scratch that a kernel can use, something old in it, and with more than all."""
    if kernel.scratch is None:
        return [arguments]
    sizes = kernel.scratch.sizes(arguments["g"])
    assert sizes[0] == 0, kernel.name
    assert list(sizes) == sorted({*sizes}), kernel.name
    return [
        {**arguments, ROOM: room, SCRATCH: np.full(room // 4, 0xC5C5C5C5, np.uint32) if room else None}
        for room in (*sizes, sizes[-1] + 64)
    ]


def different(arguments: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Names of the arrays that are not as they should be; scratch may be anything."""
    given = arrays(wanted)
    return [
        name
        for name, (param, value) in arrays(arguments).items()
        if param not in MEANINGLESS and not same(value, given[name][1])
    ]


def wrong(placed: Placed, arguments: dict[str, Any], wanted: dict[str, Any], gone: str = "") -> list[str]:
    """The same after a call; nothing is said of an array that another one was written over."""
    if placed.holds_what_is_wanted():
        return []
    got = copied(arguments)
    placed.take_back(got)
    got.pop(gone, None)
    return different(got, wanted)


def arrays(arguments: dict[str, Any]) -> dict[str, tuple[str, NDArray[Any] | None]]:
    """Every array, those that a replay buffer holds, too, with the parameter that it belongs to."""
    found: dict[str, tuple[str, NDArray[Any] | None]] = {}
    for name, value in arguments.items():
        if isinstance(value, np.ndarray):
            found[name] = name, value
        elif isinstance(value, ReplayBuffer):
            found |= {f"{name}.{part}": (name, getattr(value, part)) for part in ("header", *POINTERS)}
    return found


def same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    """Equal to the last bit; any NaN equals any other, for its sign and payload differ between processors."""
    if a is None or b is None:
        return a is b
    if a.dtype == np.float32:
        nan = np.isnan(a)
        return bool(np.array_equal(nan, np.isnan(b)) and a[~nan].tobytes() == b[~nan].tobytes())
    return a.tobytes() == b.tobytes()


def written(kernel: Kernel) -> set[str]:
    """Names of the parameters that a kernel writes through."""
    return {p.name for p in kernel.params if p.pointer and not p.const}


def undeclared() -> set[str]:
    """Functions that kernel.py's reader of the headers does not see."""
    declared = re.findall(r"^\w[\w *]*\b(mcg_\w+)\([^)]*\);", declarations(), re.MULTILINE)
    return set(declared) - set(prototypes())


def declarations() -> str:
    """The headers' text."""
    return "\n".join(headers().values())


def defined(text: str) -> list[str]:
    """Names of the inline functions in a header."""
    return re.findall(r"^static inline [\w *]*\b(mcg_\w+)\(", text, re.MULTILINE)
