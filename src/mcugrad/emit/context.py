"""Context: what every template is told of a firmware."""

from __future__ import annotations

from typing import Any

from mcugrad.emit.firmware import Firmware
from mcugrad.emit.layout import layout
from mcugrad.emit.literals import number
from mcugrad.program import Space
from mcugrad.program.reserve import reserve
from mcugrad.training.losses import LabelKind


def context(firmware: Firmware) -> dict[str, Any]:
    """Its name, sizes, and what it learns from: names in templates with their values."""
    program, plan = firmware.emitted, firmware.plan
    place = layout(program, plan)
    return {
        "name": program.name,
        "NAME": program.name.upper(),
        "program": program,
        "origin": firmware.origin,
        "layout": place,
        "has": firmware.has,
        "training": program.trains,
        "label_kind": program.label_kind,
        "classes": program.label_kind is LabelKind.CLASS,
        "input_size": program.buffers[program.input].count,
        "output_type": program.buffers[program.output].ctype,
        "arena_size": plan.size,
        "constants_size": sum(b.size for b in (*program.in_space(Space.CONST), *place.params)),
        "slot_words": program.slot_words,
        "reserve": reserve(program),
        "number": number,
        **whose(program.name),
    }


def whose(name: str) -> dict[str, str]:
    """What SPDX calls the licence of generated code with the runtime, and of what is the user's alone."""
    own = f"LicenseRef-{name.replace('_', '-')}"  # such names have no underscores
    return {"licence": f"Apache-2.0 AND {own}", "own_licence": own}
