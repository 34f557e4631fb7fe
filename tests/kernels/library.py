"""The C kernels as Python functions: built by several compilers, called as the headers declare them."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

import mcugrad.ops
from mcugrad import toolchain
from mcugrad.abi.headers import headers, prototypes
from mcugrad.emit.amalgamate import RULE, RUNTIME, bodies, included
from mcugrad.ops.life.replay_buffer import ReplayBuffer
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import ROOM, SCRATCH
from mcugrad.training.losses import LabelKind
from mcugrad.training.rules import IN_PLACE, InPlace

INCLUDE = RUNTIME / "include"
INSTRUCTIONS = Path(__file__).with_name("probe_simd.c")
PROBES = tuple(sorted({*Path(__file__).parent.glob("probe*.c")} - {INSTRUCTIONS}))
"""C for tests: what is inline or static, on arrays; functions that descriptors have."""

MEANINGLESS = ("gradient", "packed", "patch", SCRATCH)
"""Parameters that a kernel may leave in any state."""

POINTERS = ("memory", "augment", "scratch")
"""Of a replay buffer."""

GUARD = 64
"""Bytes before and behind every buffer that a kernel must leave alone."""


@dataclass(frozen=True)
class Build:
    """How a library is built."""

    compiler: str
    opt: str
    native: bool = False
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    of_bodies: bool = False
    """Only of functions with several bodies, which takes less time."""

    def __str__(self) -> str:
        return " ".join((self.compiler, self.opt, *("native",) * self.native, *self.defines))


BUILDS = (
    Build("zig", "-O0", defines=("MCG_NO_VECTORS",)),  # loops as small cores run them
    Build("zig", "-O3", native=True),
    Build("gcc", "-O0"),
    Build("gcc", "-O3", native=True),
)
BODIES = (
    Build("zig", "-O3", native=True, defines=("MCG_PORTABLE",), of_bodies=True),
    Build("zig", "-O3", defines=("MCG_DSP_IN_C",), of_bodies=True),
    Build("gcc", "-O0", defines=("MCG_DSP_IN_C",), of_bodies=True),
    Build("zig", "-O3", defines=("MCG_DSP_IN_C", "MCG_MVE_IN_C"), of_bodies=True),
    Build("gcc", "-O3", defines=("MCG_ARMV6M_IN_C",), of_bodies=True),
)
"""More builds of kernels that have several bodies: those above take the one for this processor, or the portable one."""
# Undefined behaviour ends the process: a trap needs no run-time library, and zig would build its own first.
_TRAPS = ("-fsanitize=undefined", "-fsanitize-trap=undefined", "-nostdlib")
UNDEFINED_BEHAVIOUR = Build("zig", "-O1", flags=_TRAPS)
UNDEFINED_BEHAVIOUR_IN_BODIES = (
    Build("zig", "-O1", native=True, flags=_TRAPS, of_bodies=True),
    Build("zig", "-O1", defines=("MCG_DSP_IN_C",), flags=_TRAPS, of_bodies=True),
    Build("zig", "-O1", defines=("MCG_DSP_IN_C", "MCG_MVE_IN_C"), flags=_TRAPS, of_bodies=True),
    Build("zig", "-O1", defines=("MCG_ARMV6M_IN_C",), flags=_TRAPS, of_bodies=True),
)


@cache
def every_kernel() -> frozenset[Kernel]:
    """Every kernel that an operator names."""
    modules = pkgutil.walk_packages(mcugrad.ops.__path__, "mcugrad.ops.")
    values = [value for module in modules for value in vars(importlib.import_module(module.name)).values()]
    return frozenset(value for value in values if isinstance(value, Kernel))


def with_bodies() -> list[str]:
    """Functions that have more bodies than the portable one."""
    return [name for name, files in bodies().items() if "" in files and len(files) > 1]


def sources(body: str) -> list[Path]:
    """Every C file of the runtime that holds such a body; the portable ones under ""."""
    return [files[body] for files in bodies().values() if body in files]


def together(folder: Path, functions: Iterable[str] = ()) -> Path:
    """One file that includes all of the runtime, or some functions with what they call, as generated code does.

    Starting a compiler takes longer than compiling a kernel. That each file is complete is what test_no_warnings shows.
    """
    path = folder / "kernels.c"
    path.write_text(included(functions or bodies()), encoding="utf-8")
    return path


def _declarations(source: str) -> str:
    """What cffi understands of a C file: structs, prototypes and variables, but no inline functions and macros."""
    text = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
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
    result.cdef("int32_t probe_body(void);")
    return result


class Library:
    """The kernels as one build made them: all, those with several bodies, or some."""

    def __init__(self, build: Build, functions: Iterable[str] = ()) -> None:
        self.build = build
        rules = (RULE.format(name) for name in IN_PLACE)
        functions = functions or ((*with_bodies(), *rules) if build.of_bodies else ())
        probes = () if functions else PROBES
        self._kept: list[Any] = []  # C holds no references
        with tempfile.TemporaryDirectory() as folder:
            path = toolchain.build_shared(
                [together(Path(folder), functions), *probes, INSTRUCTIONS],
                [INCLUDE, RUNTIME / "src"],
                compiler=build.compiler,
                opt=build.opt,
                defines=dict.fromkeys(build.defines),
                native=build.native,
                flags=build.flags,
            )
        self.lib = ffi().dlopen(str(path))

    def run(
        self, kernel: Kernel, arguments: dict[str, Any], shift: int = 0, over: tuple[str, str] | None = None
    ) -> Any:
        """Call a kernel; arrays are written in place, None is a null pointer. Returns what it returns.

        Args:
            kernel: the kernel.
            arguments: by name.
            shift: bytes by which arrays of bytes lie behind a multiple of 16.
            over: an array, and one that begins in its place, and is no larger.

        Raises:
            AssertionError: a byte beside a buffer changed.
        """
        guarded: list[tuple[str, NDArray[Any], NDArray[np.uint8]]] = []
        inside: list[tuple[NDArray[Any], NDArray[np.uint8]]] = []

        def place(name: str, value: NDArray[Any]) -> Any:
            if over is not None and name == over[1]:
                whole = next(whole for known, _, whole in guarded if known == over[0])
                inside.append((value, whole[GUARD : GUARD + value.nbytes]))
                return ffi().from_buffer("uint8_t[]", whole) + GUARD
            behind = shift if value.itemsize == 1 else 0
            whole = np.full(value.nbytes + 2 * GUARD + behind, 0xA5, np.uint8)[behind:]
            whole[GUARD : GUARD + value.nbytes] = np.frombuffer(value.tobytes(), np.uint8)
            guarded.append((name, value, whole))
            return ffi().from_buffer("uint8_t[]", whole) + GUARD

        self._kept.clear()
        values, buffers = [], []
        for param in kernel.params:
            value = arguments[param.name]
            if isinstance(value, Struct):
                values.append(ffi().new(f"{value.ctype()} *", value.values()))
            elif isinstance(value, ReplayBuffer):
                values.append(self._replay(value, place))
                buffers.append((value, values[-1]))
            elif isinstance(value, InPlace):
                values.append(ffi().addressof(getattr(self.lib, f"mcg_rule_{value.name}")))
            elif is_dataclass(value):
                values.append(self._descriptor(value, param.ctype))
            elif isinstance(value, np.ndarray):
                values.append(ffi().cast(f"{param.ctype} *", place(param.name, value)))
            else:
                values.append(ffi().NULL if value is None else value)
        returned = getattr(self.lib, kernel.name)(*values)
        for name, value, whole in guarded:
            inside.append((value, whole[GUARD : GUARD + value.nbytes]))
            outside = np.concatenate([whole[:GUARD], whole[GUARD + value.nbytes :]])
            assert (outside == 0xA5).all(), f"{self.build}: {kernel.name} wrote beside {name}"
        for value, content in inside:
            value[...] = content.view(value.dtype).reshape(value.shape)
        at = {int(ffi().cast("uintptr_t", ffi().from_buffer(w) + GUARD)): v for _, v, w in guarded}
        for buffer, struct in buffers:
            buffer.header.view(np.uint8)[:] = np.frombuffer(ffi().buffer(struct), np.uint8)[
                : buffer.header.nbytes
            ]
            for name in POINTERS:
                setattr(buffer, name, at.get(int(ffi().cast("uintptr_t", getattr(struct, name)))))
        return returned

    def _replay(self, buffer: ReplayBuffer, place: Callable[[str, NDArray[Any]], Any]) -> Any:
        """An `mcg_replay_t`, with what it points to in guarded places."""
        found = ffi().new("mcg_replay_t *")
        ffi().memmove(found, buffer.header.tobytes(), buffer.header.nbytes)
        for name in POINTERS:
            if (value := getattr(buffer, name)) is not None:
                setattr(
                    found,
                    name,
                    ffi().cast(ffi().typeof(getattr(found, name)), place(f"replay.{name}", value)),
                )
        return found

    def _descriptor(self, value: Any, ctype: str) -> Any:
        """A struct with functions, such as `mcg_model_t`: they are those of the probes with the same name."""
        found, members = ffi().new(f"{ctype} *"), dict(ffi().typeof(ctype).fields)
        for name, given in vars(value).items():
            if callable(given):
                setattr(found, name, getattr(self.lib, f"probe_{given.__name__}"))
            elif isinstance(given, LabelKind):
                setattr(found, name, list(LabelKind).index(given))
            elif given is not None and members[name].type.kind == "pointer":
                self._kept.append(ffi().new(f"{members[name].type.item.cname} *", given))
                setattr(found, name, self._kept[-1])
            elif given is not None:
                setattr(found, name, given)
        return found

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
    own = (np.ndarray, ReplayBuffer)
    return {k: deepcopy(v) if isinstance(v, own) else v for k, v in arguments.items()}


def expected(kernel: Kernel, arguments: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What is to be found after a call, where a kernel may not write what was there before; and what it returns."""
    after = copied(arguments)
    returned = kernel.reference(*(after[p.name] for p in kernel.seen))
    return {k: after[k] if k in written(kernel) else value for k, value in arguments.items()}, returned


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
