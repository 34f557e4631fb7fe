"""What C and Python agree on is read from the headers, as a compiler reads it."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import numpy as np
import pytest

import mcugrad.ops
from mcugrad import toolchain
from mcugrad.abi import records
from mcugrad.abi.constants import constant, number, numbers
from mcugrad.abi.headers import prototypes, without_comments
from mcugrad.abi.structs import members, record
from mcugrad.program import Struct

RECORDS = ("scale", "schedule", "watch", "drift", "adc", "augment", "guard")


def test_records_lie_as_the_compiler_lays_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sizes and places of members, by static assertions."""
    lines = ["#include <stddef.h>", '#include "mcg_all.h"']
    for name in RECORDS:
        struct, kind = f"mcg_{name}_t", getattr(records, name.upper())
        lines.append(f'_Static_assert(sizeof({struct}) == {kind.itemsize}, "{struct}");')
        assert kind.fields is not None
        lines += [
            f'_Static_assert(offsetof({struct}, {member}) == {place[1]}, "{struct} {member}");'
            for member, place in kind.fields.items()
        ]
    compile_alone(tmp_path_factory, lines)


def test_numbers_are_those_of_the_compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    from mcugrad.abi.constants import _numbers

    whole = {name: value for name, value in _numbers().items() if isinstance(value, int)}
    assert len(whole) > 40
    either = {"MCG_GCC", "MCG_ARM_FLOATS", "MCG_SLOW_FLOATS"}  # by compiler and core
    lines = ['#include "mcg_all.h"']
    lines += [
        f'_Static_assert((long long){name} == {value}, "{name}");'
        for name, value in whole.items()
        if name not in either and not name.startswith(("MCG_HAS", "MCG_DSP"))
    ]
    compile_alone(tmp_path_factory, lines)


def compile_alone(factory: pytest.TempPathFactory, lines: list[str]) -> None:
    from importlib.resources import files

    path = factory.mktemp("abi") / "abi.c"
    path.write_text("\n".join(lines) + "\n")
    toolchain.check_warnings([path], [files("mcugrad") / "runtime/include/mcugrad"])


def subclasses(of: type) -> list[type]:
    return [each for direct in of.__subclasses__() for each in (direct, *subclasses(direct))]


def test_structs_of_layers_have_the_members_of_those_in_c() -> None:
    for module in pkgutil.walk_packages(mcugrad.ops.__path__, "mcugrad.ops."):
        import_module(module.name)
    found = [
        each
        for each in subclasses(Struct)
        if not each.__abstractmethods__ and each.__module__.startswith("mcugrad")
    ]
    assert len(found) >= 5
    for each in found:
        declared = [name for name, _, _ in members(each.ctype())]
        assert len(each.__dataclass_fields__) == len(declared), each.__name__


def test_what_no_header_says_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="no header of the runtime gives MCG_NOTHING a number"):
        constant("MCG_NOTHING")
    with pytest.raises(ValueError, match=r"MCG_GROWTH is 1\.25, no whole number"):
        constant("MCG_GROWTH")
    with pytest.raises(ValueError, match="declares the struct mcg_nothing_t"):
        members("mcg_nothing_t")


def test_a_text_in_c() -> None:
    text = without_comments(
        "#define MCG_A 7U /* seven */\n#define MCG_B 0x10\n#define MCG_C ((int32_t)1 << 4)\n#define MCG_D 0.5F\n"
        "#define MCG_E inline\nenum { MCG_F, MCG_G = 4, MCG_H };\n"
    )
    found = {"MCG_A": 7, "MCG_B": 16, "MCG_C": 16, "MCG_D": 0.5, "MCG_F": 0, "MCG_G": 4, "MCG_H": 5}
    assert numbers(text) == found


def test_a_record_ends_before_its_first_pointer() -> None:
    kind = record("mcg_replay_t", elements=3)
    assert kind.names is not None
    assert kind.names[-1] == "full"
    assert kind["seen"].shape == (3,)
    assert kind["full"].base == np.uint8


def test_members_that_share_a_declaration() -> None:
    assert members("mcg_linear_t")[:3] == (
        ("inputs", "int32_t", 1),
        ("out", "int32_t", 1),
        ("in_c", "int32_t", 1),
    )
    assert members("mcg_rule_t")[0] == ("step", "pointer", 1)


def test_prototypes_are_there() -> None:
    assert prototypes()["mcg_linear_s8"][0].ctype == "mcg_linear_t"
    assert number("MCG_ERROR_DECAY") == 2.0**-7
