"""Amalgamate: what a kernel calls is taken, and nothing that it only talks about."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mcugrad import targets, toolchain
from mcugrad.emit import amalgamate as module
from mcugrad.emit.amalgamate import amalgamate
from thoroughness import LONG

FUNCTIONS = sorted(module.bodies())
OTHERS = " ".join(FUNCTIONS)
TALK = {
    "block": f"/* As in {OTHERS}, but for the rest. */\n",
    "lines": "".join(f"// see {name}()\n" for name in FUNCTIONS),
    "text": f'static const char mcg_note[] = "/* {OTHERS} */";\n',
}


@pytest.fixture
def talking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a text before and behind every function of the runtime; nothing that was read of them before is kept."""
    read = (module._used, module._callees)
    text = module._text

    def talk(talk: str) -> None:
        monkeypatch.setattr(module, "_text", lambda *which: f"{talk}{text(*which)}{talk}")
        for each in read:
            each.cache_clear()

    yield talk
    for each in read:
        each.cache_clear()


def taken(function: str) -> list[str]:
    """A function and all that it calls."""
    ordered: list[str] = []
    module._visit(function, ordered)
    return ordered


@pytest.mark.parametrize("talk", TALK)
def test_what_is_only_named_is_not_taken(talk: str, talking: Callable[[str], None]) -> None:
    """Whatever the comment, before the function and behind it."""
    plain = {name: taken(name) for name in FUNCTIONS}
    talking(TALK[talk])
    for name in FUNCTIONS:
        assert taken(name) == plain[name], name
    assert max(map(len, plain.values())) > 3


def test_inline_functions_that_are_only_named_are_left_out(talking: Callable[[str], None]) -> None:
    assert "mcg_random_part(" in amalgamate(["mcg_augment_s8"], [])
    assert "mcg_random_part(" not in amalgamate(["mcg_mean_rate"], [])
    talking("/* not mcg_random_part */\n// nor mcg_random_part\n")
    assert "mcg_random_part(" not in amalgamate(["mcg_mean_rate"], [])


WITH_BODIES = sorted(name for name, files in module.bodies().items() if "" in files and len(files) > 1)
WAYS: dict[str, tuple[dict[str, str | int | None], tuple[str, ...], set[str]]] = {
    "portable": ({"MCG_PORTABLE": None}, (), {""}),
    "DSP in C": ({"MCG_DSP_IN_C": None}, (), {"dsp", "fpu"}),
    "MVE in C": ({"MCG_DSP_IN_C": None, "MCG_MVE_IN_C": None}, (), {"mve", "m7"}),
    "Armv6-M in C": ({"MCG_ARMV6M_IN_C": None}, (), {"armv6m"}),
    "AVX2": ({}, ("-mavx2",), {"avx2"}),
}
"""Macros, flags, and the bodies that are looked at: those of kernels, and of what these call."""
CORES = {
    "cortex-m0plus": {"armv6m"},
    "cortex-m4f": {"dsp", "fpu"},
    "cortex-m7": {"m7"},
    "cortex-m55": {"mve"},
}
"""Cores with bodies of their own; the others that they take are another's, too."""
SOONER = ("-O1", "-ftree-vrp")
"""What gcc warns of at -O2, in two thirds of the time: indices out of bounds are found by VRP."""


def kernels(names: Sequence[str], folder: Path) -> Path:
    """A C file that holds some kernels, what they call, and somebody who wants them."""
    wanted = "".join(
        f"void *wanted_{name}(void);\nvoid *wanted_{name}(void) {{ return (void *)(uintptr_t)&{name}; }}\n"
        for name in names
    )
    header = "#include <stdbool.h>\n#include <stdint.h>\n" + module.public_types()
    path = folder / f"{names[0] if len(names) == 1 else 'all'}.c"
    path.write_text(f"{header}\n{amalgamate(list(names), [])}{wanted}")
    return path


def with_bodies(bodies: set[str]) -> list[str]:
    """Kernels that have one of these bodies, or call what has."""
    all_bodies = module.bodies()
    return [n for n in WITH_BODIES if any(bodies & all_bodies[each].keys() for each in taken(n))]


def texts(names: Sequence[str], compiler: str, folder: Path) -> list[Path]:
    """Kernels in one text; for clang, which is quick, also each alone."""
    alone = names if compiler == "zig" and len(names) > 1 else ()
    return [kernels(each, folder) for each in (names, *((name,) for name in alone))]


@pytest.mark.parametrize("name", WITH_BODIES)
def test_one_text_holds_all_bodies(name: str) -> None:
    """Each once, and the portable one where the preprocessor knows of nothing better."""
    text = amalgamate([name], [])
    tests = [f"MCG_HAS_{body.upper()}" for body in module.bodies()[name] if body]
    chosen = re.findall(rf"^#if {tests[0]}\n(?:.*\n)*?#endif /\* {tests[0]} \*/", text, re.MULTILINE)
    own = next(part for part in chosen if f" {name}(" in part)
    assert re.findall(r"^#(?:el)?if (MCG_HAS_\w+)$", own, re.MULTILINE) == tests
    assert len(re.findall(rf"^static \w+ {name}\(", own, re.MULTILINE)) == len(tests) + 1
    assert own.rindex("#else\n") > own.index(tests[-1])


def test_nothing_is_seen_by_other_models() -> None:
    """Every body of every function is static, once, whatever is before its type: models of a firmware share names."""
    text = amalgamate(FUNCTIONS, [])
    defined = re.findall(
        r"^((?:(?:MCG_|static)[\w *]*\n)?\w[\w *]*)\b(mcg_\w+)\([^;{}]*\)\s*\{", text, re.MULTILINE
    )
    assert {name for _, name in defined} >= {*WITH_BODIES, "mcg_pixels_pairs"}
    assert [name for before, name in defined if before.split().count("static") != 1] == []


@pytest.mark.parametrize(
    ("way", "compiler"),
    [(way, c) for way in WAYS for c in toolchain.host_compilers() if LONG or (way, c) != ("DSP in C", "gcc")],
)
def test_no_warning_whatever_body_is_taken(way: str, compiler: str, tmp_path: Path) -> None:
    """What only other bodies call is no news to a compiler. What is for cores is optimised for these, below, where
    clang sees each kernel with instructions for DSP alone, too.
    """
    if way == "AVX2" and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip("another processor")
    defines, flags, bodies = WAYS[way]
    if LONG or way == "portable":
        files = texts(WITH_BODIES, compiler, tmp_path)
    elif way == "DSP in C":
        files = [kernels(with_bodies(bodies), tmp_path)]
    else:
        files = texts(with_bodies(bodies), compiler, tmp_path)
    sooner = SOONER if compiler == "gcc" else ("-O2",)
    opt, *more = ("-O2",) if LONG else sooner if way in ("portable", "AVX2") else ("-O0",)
    toolchain.check_warnings(files, compiler=compiler, defines=defines, flags=[*flags, *more], opt=opt)


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
@pytest.mark.parametrize(
    ("core", "language"),
    [
        (core, language)
        for core in (targets.cores() if LONG else CORES)
        for language in (("c", "c++") if core in CORES else ("c",))
    ],
)
def test_no_warning_on_any_core(core: str, language: str, compiler: str, tmp_path: Path) -> None:
    """As C, and as C++, which sketches are: what is wrong with it there is said before anything is optimised."""
    names = WITH_BODIES if LONG else with_bodies(CORES[core])
    files = texts(names, compiler, tmp_path) if language == "c" else [kernels(names, tmp_path)]
    if language == "c++":
        opt, *flags = ("-O0",) if LONG or compiler == "zig" else ("-O0", "-fsyntax-only")
    else:
        opt, *flags = ("-O3" if core in CORES else "-O1",) if LONG or compiler == "zig" else SOONER
    toolchain.check_warnings(
        files, compiler=compiler, target=targets.load(core), language=language, opt=opt, flags=flags
    )
