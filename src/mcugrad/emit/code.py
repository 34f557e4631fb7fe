"""Code: a firmware's header and source. Same input, same bytes: no times, no paths, no set order."""

from __future__ import annotations

from typing import Any

from mcugrad.emit import steps
from mcugrad.emit.amalgamate import amalgamate, public_types
from mcugrad.emit.context import context
from mcugrad.emit.descriptor import descriptor
from mcugrad.emit.fingerprint import word
from mcugrad.emit.firmware import Firmware
from mcugrad.emit.interface import declaration, definition, functions, replay_known_by
from mcugrad.emit.layout import Layout
from mcugrad.emit.literals import initializer
from mcugrad.emit.render import render
from mcugrad.emit.steps import Names
from mcugrad.emit.wrap import wrap_call
from mcugrad.ops.life.check import WRONG, checks
from mcugrad.plan import Plan
from mcugrad.program import Argument, Buffer, Call, Program, Space
from mcugrad.program.segment import FROZEN
from mcugrad.training.features import LATENTS
from mcugrad.training.losses import LabelKind

DRAW = "mcg_replay_draw"
"""A function of the runtime that takes more than a line to call."""


def code(firmware: Firmware) -> dict[str, str]:
    """Text by file name: `<name>.h` and `<name>.c`."""
    program, plan, has, known = firmware.emitted, firmware.plan, firmware.has, context(firmware)
    name, place, names = program.name, known["layout"], Names(program)
    check = checks(place.params)
    known |= {
        "types": public_types(),
        "arena": _arena(program, plan),
        "constants": [_constant(name, b) for b in program.in_space(Space.CONST)],
        "structs": names.structs(),
        "initial": [(b.name, initializer(_value(b), b.ctype, "    ")) for b in place.params],
        "steps": [*steps.segments(program, names, marks=firmware.marks), *steps.entries(program).values()],
        # that of the whole program, so that states fit firmware with fewer features
        "fingerprint": f"0x{word(firmware.fingerprint):08x}U",
        "descriptor": descriptor(program, place, firmware.origin.input_scale, has),
        "passed_label": steps.passed_label(program),
        "declarations": [declaration(function, program) for function in functions(program, has)],
        "definitions": [definition(function, program) for function in functions(program, has)],
        "check": [line for call in check for line in _check_call(call, names)],
        "runtime": amalgamate(
            sorted({*_kernels(program, has), *(call.kernel.name for call in check)}),
            _rules(program),
            inline=_inline(program, has),
            apart={call.kernel.name for call in program.calls},
        ),
        "output_scale": names.argument(Argument(buffer=program.output_scale), None)
        if program.output_scale
        else "",
        "replay_classes": program.replay_classes,
        "replay_known_by": replay_known_by(program),
        "replay_draw": _draw(program),
        "stored_size": f"{name.upper()}_{'LATENTS' if LATENTS in has else 'INPUT'}_SIZE",
        **(_rest(firmware, place) if LATENTS in has else {}),
    }
    return {f"{name}.h": render("model.h.j2", known), f"{name}.c": render("model.c.j2", known)}


def _rest(firmware: Firmware, place: Layout) -> dict[str, Any]:
    """What is said of a model whose replay buffers hold latents: its rest, and what goes into one and back."""
    program = firmware.emitted
    places = program.latent_places
    given = {"label": steps.passed_label(program)}
    if program.input in places:
        given[program.input] = f"latents + {places[program.input]}"
    return {
        "latents": [
            {"buffer": buffer, "at": places[buffer.name], "text": describe(buffer)}
            for buffer in program.latents
        ],
        "rest": descriptor(program, place, firmware.origin.input_scale, firmware.has, rest=True),
        "after_frozen": steps.without(program, FROZEN, given),
    }


def _draw(program: Program) -> str:
    """Prototype of the one function around the steps that is not the runtime's with the model's own types."""
    kind = program.label_kind
    label = "uint32_t *label" if kind is LabelKind.CLASS else f"const {kind.value} **label"
    head = f"mcg_status_t {program.name}_replay_draw"
    return f"{head}({program.name}_replay_t *replay, const int8_t **x, {label})"


def _inline(program: Program, has: frozenset[str]) -> tuple[str, ...]:
    """Inline functions of the runtime that a model's own functions call."""
    return ("mcg_trouble",) * program.trains + ("mcg_slot",) * ("replay" in has)


def _kernels(program: Program, has: frozenset[str]) -> list[str]:
    """What the steps call, and what the interface calls beside them."""
    around = {function.kernel for function in functions(program, has)} | (
        {DRAW} if "replay" in has else set()
    )
    return sorted({call.kernel.name for call in program.calls} | around)


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
