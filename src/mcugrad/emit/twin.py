"""Twin: C that is around a model's own on this computer."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from mcugrad.emit import steps
from mcugrad.emit.firmware import Firmware
from mcugrad.emit.render import render
from mcugrad.program.segment import FROZEN, TRAIN_SOFT


@cache
def host_loops() -> str:
    """C of the host twin that is the same for every model."""
    return (files("mcugrad") / "runtime/host/mcg_host.c").read_text(encoding="utf-8")


def host_source(firmware: Firmware) -> str:
    """C that runs whole epochs on the host; it takes in the model's C, of which it calls static functions."""
    program, place = firmware.program, firmware.layout
    results = program.left_by(FROZEN) if FROZEN in program.segments else ()
    spans = ", ".join(f"{{{place.offsets[b.name]}, {b.size}}}" for b in results)
    given = {program.input: "x", "label": steps.passed_label(program)}
    known = {
        "name": program.name,
        "NAME": program.name.upper(),
        "output_type": program.buffers[program.output].ctype,
        "training": program.trains,
        "soft": TRAIN_SOFT in program.entries,
        "latents": program.stores_latents,
        "results": f"{{{spans}}}" if results else "",
        "after_frozen": steps.without(program, FROZEN, given),
        "loops": host_loops(),
    }
    return render("host.c.j2", known)
