"""Emit: write a program as C. Same input, same bytes: no times, no paths, no set order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mcugrad.emit import steps
from mcugrad.emit.amalgamate import amalgamate, public_types
from mcugrad.emit.descriptor import descriptor
from mcugrad.emit.fingerprint import fingerprint, word
from mcugrad.emit.interface import definition, functions, there
from mcugrad.emit.layout import Layout, layout
from mcugrad.emit.literals import initializer, number
from mcugrad.emit.steps import Names
from mcugrad.emit.wrap import wrap_call
from mcugrad.ops.life.check import WRONG, checks
from mcugrad.passes.program.drop_unused import drop_unused
from mcugrad.plan import Plan
from mcugrad.program import Argument, Buffer, Call, Program, Space
from mcugrad.program.reserve import reserve
from mcugrad.program.segment import FROZEN, TRAIN_SOFT
from mcugrad.training.augment import map_of
from mcugrad.training.features import EVERY
from mcugrad.training.losses import LabelKind

_ENVIRONMENT = Environment(
    loader=PackageLoader("mcugrad.emit"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


EXAMPLE = "examples/main.c"
"""The program to start from: not beside the model, where Arduino and PlatformIO compile every file."""

INLINED_CALLS = 8
"""A kernel with more calls than these is not inlined: inlined, a hundred layers take compilers a minute."""

DRAW = "mcg_replay_draw"
"""A function of the runtime that takes more than a line to call."""


_GUARD_ERRORS = {
    LabelKind.CLASS: "the share of samples whose class is wrong",
    LabelKind.BITS: "the share of labels that are wrong",
    LabelKind.VALUES: "the mean squared error in real units",
}


@dataclass(frozen=True)
class Origin:
    """What a generated file says about where it comes from.

    Attributes:
        source: file name of the network, without folders.
        digest: SHA-256 of that file, hexadecimal.
        version: of mcugrad.
        trains: sentence on what trains and how.
        notes: what importing and the passes did that the reader should know.
        input_shape: of the network's input, innermost last.
        input_scale: real units per step of the input.
        input_zero: zero point of the input.
        output_scale: real units per step of the logits when the model is delivered.
        output_zero: zero point of the logits; scale and zero point of float logits are 1 and 0.
        target_scale: real units per step of a quantized target.
        target_zero: its zero point.
        class_names: of the outputs, in order; empty if they are not known.
        state: what the model begins with: `as delivered`, or how it was trained.
        rate: learning rate of the next step, where a schedule has all but ended; else None.
        restart: learning rate to begin anew with.
    """

    source: str
    digest: str
    version: str
    trains: str
    notes: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_scale: float
    input_zero: int
    output_scale: float
    output_zero: int
    target_scale: float = 1.0
    target_zero: int = 0
    class_names: tuple[str, ...] = ()
    state: str = ""
    rate: float | None = None
    restart: float = 0.0


def emit(program: Program, plan: Plan, origin: Origin, features: frozenset[str] = EVERY) -> dict[str, str]:
    """The firmware folder.

    Args:
        program: what it executes.
        plan: offsets of its arena.
        origin: where it comes from.
        features: what of a model's life it has, as far as there is such a thing for it.

    Returns:
        Text by file name: `<name>.h`, `<name>.c`, an example `examples/main.c`, a README for the firmware engineer,
        and a LICENSE.
    """
    identity = word(fingerprint(program, layout(program, plan)))  # the same with fewer features: states fit
    has = there(program, features)
    program = program if "soft" in has else _without_soft(program)
    place = layout(program, plan)
    names = Names(program)
    check = checks(place.params)
    context: dict[str, Any] = {
        "name": program.name,
        "NAME": program.name.upper(),
        "program": program,
        "output_type": program.buffers[program.output].ctype,
        "origin": origin,
        "layout": place,
        "training": program.trains,
        "target": program.label_kind,
        "label": "label" if program.label_kind is LabelKind.CLASS else "target",
        "classes": program.label_kind is LabelKind.CLASS,
        "types": public_types(),
        "arena": _arena(program, plan),
        "arena_size": plan.size,
        "constants_size": sum(b.size for b in (*program.in_space(Space.CONST), *place.params)),
        "constants": [_constant(program.name, b) for b in program.in_space(Space.CONST)],
        "structs": names.structs(),
        "initial": [(b.name, initializer(_value(b), b.ctype, "    ")) for b in place.params],
        "steps": [*steps.segments(program, names), *steps.entries(program).values()],
        "fingerprint": f"0x{identity:08x}U",
        "has": has,
        "descriptor": descriptor(program, place, origin.input_scale, has),
        "functions": [definition(function, program) for function in functions(program, has)],
        "check": [line for call in check for line in _check_call(call, names)],
        "runtime": amalgamate(
            sorted({*_kernels(program, has), *(call.kernel.name for call in check)}),
            _rules(program),
            inline=_inline(program, has),
            apart=_often_called(program),
        ),
        "number": number,
        **whose(program.name),
        "apache": _apache(),
        "input_size": program.buffers[program.input].count,
        "map": map_of(origin.input_shape),
        "output_scale": names.argument(Argument(buffer=program.output_scale), None)
        if program.output_scale
        else "",
        "replay_classes": program.replay_classes,
        "slot_words": program.slot_words,
        "reserve": reserve(program),
        "guard_error": _GUARD_ERRORS[program.label_kind],
    }
    return {
        f"{program.name}.h": render("model.h.j2", context),
        f"{program.name}.c": render("model.c.j2", context),
        EXAMPLE: render("main.c.j2", context),
        "README.md": render("README.md.j2", context),
        "LICENSE": render("LICENSE.j2", context),
    }


def whose(name: str) -> dict[str, str]:
    """What SPDX calls the licence of generated code with the runtime, and of what is the user's alone."""
    own = f"LicenseRef-{name.replace('_', '-')}"  # such names have no underscores
    return {"licence": f"Apache-2.0 AND {own}", "own_licence": own}


def _apache() -> str:
    return (files("mcugrad") / "emit/apache-2.0.txt").read_text(encoding="utf-8")


def _c_string(text: str) -> str:
    """A text inside of a C string literal: printable ASCII, the rest in UTF-8 as octal escapes."""
    plain = {ord("\\"): "\\\\", ord('"'): '\\"', ord("?"): "\\?"}
    return "".join(
        plain.get(byte, chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
        for byte in text.encode("utf-8", "replace")
    )


_ENVIRONMENT.filters["c_string"] = _c_string


@cache
def host_loops() -> str:
    """C of the host twin that is the same for every model."""
    return (files("mcugrad") / "runtime/host/mcg_host.c").read_text(encoding="utf-8")


def host_source(program: Program, place: Layout) -> str:
    """C that runs whole epochs on the host; it takes in the model's C, of which it calls static functions."""
    results = program.left_by(FROZEN) if FROZEN in program.segments else ()
    spans = ", ".join(f"{{{place.offsets[b.name]}, {b.size}}}" for b in results)
    kind = program.label_kind.value
    given = {program.input: "x", "label": f"*(const {kind} *)label", "target": f"(const {kind} *)label"}
    context = {
        "name": program.name,
        "NAME": program.name.upper(),
        "output_type": program.buffers[program.output].ctype,
        "training": program.trains,
        "soft": TRAIN_SOFT in program.entries,
        "results": f"{{{spans}}}" if results else "",
        "after_frozen": steps.without(program, FROZEN, given),
        "loops": host_loops(),
    }
    return render("host.c.j2", context)


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template of this package, filled in."""
    return _ENVIRONMENT.get_template(template).render(context)


def _without_soft(program: Program) -> Program:
    """The program without steps towards distributions."""
    entries = {name: entry for name, entry in program.entries.items() if name != TRAIN_SOFT}
    run = {name for entry in entries.values() for name in entry.segments}
    segments = {name: segment for name, segment in program.segments.items() if name in run}
    return drop_unused(replace(program, entries=entries, segments=segments))


def _inline(program: Program, has: frozenset[str]) -> tuple[str, ...]:
    """Inline functions of the runtime that a model's own functions call."""
    return ("mcg_trouble",) * program.trains + ("mcg_slot",) * ("replay" in has)


def _kernels(program: Program, has: frozenset[str]) -> list[str]:
    """What the steps call, and what the interface calls beside them."""
    around = {function.kernel for function in functions(program, has)} | (
        {DRAW} if "replay" in has else set()
    )
    return sorted({call.kernel.name for call in program.calls} | around)


def _often_called(program: Program) -> set[str]:
    """Kernels whose code would be there many times if compilers inlined them."""
    counts = Counter(call.kernel.name for call in program.calls)
    return {name for name, count in counts.items() if count > INLINED_CALLS}


def _rules(program: Program) -> list[str]:
    return sorted({a.rule for call in program.calls for a in call.arguments if a.rule})


def _value(buffer: Buffer) -> Any:
    assert buffer.value is not None, buffer.name
    return buffer.value


def _constant(model: str, buffer: Buffer) -> str:
    size = "" if buffer.count == 1 else f"[{buffer.count}]"
    value = initializer(_value(buffer), buffer.ctype)
    return f"/* {describe(buffer)} */\nstatic const {buffer.ctype} {model}_{buffer.name}{size} = {value};"


def describe(buffer: Buffer) -> str:
    """`weights [64][1568]`."""
    shape = "" if buffer.count == 1 else " " + "".join(f"[{n}]" for n in buffer.shape)
    return f"{buffer.note}{shape}"


def _arena(program: Program, plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "name": b.name,
            "ctype": b.ctype,
            "size": "" if b.count == 1 else f"[{b.count}]",
            "offset": plan.offsets[b.name],
            "note": describe(b),
        }
        for b in sorted(program.in_space(Space.ARENA), key=lambda b: (plan.offsets[b.name], b.name))
    ]


def _check_call(call: Call, names: Names) -> list[str]:
    """A call that looks at a part of the learned state."""
    arguments = [
        "&wrong" if a.buffer == WRONG else names.argument(a, p)
        for a, p in zip(call.arguments, call.kernel.params, strict=True)
    ]
    return wrap_call(f"        {call.kernel.name}(", arguments)


__all__ = ["Layout", "Origin", "describe", "emit", "host_loops", "host_source"]
