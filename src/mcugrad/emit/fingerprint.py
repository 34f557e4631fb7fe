"""Fingerprint: tells models apart whose learned states do not fit each other.

It covers all that gives the bytes of a state their meaning: the calls with the constants of their layers, the names,
types, shapes and places of what is learned, and all frozen numbers. It does not cover what is learned itself, so that a
model has the same one before and after training; nor its name in C, nor where the working memory lies.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from mcugrad.program import Argument, Program, Space

if TYPE_CHECKING:
    from mcugrad.emit.layout import Layout

WORD = 4
"""Bytes of a fingerprint that a device keeps beside its state."""


def fingerprint(program: Program, layout: Layout) -> bytes:
    """SHA-256 of a model, 32 bytes, the same on every computer.

    Args:
        program: what the device executes.
        layout: where its learned state lies.
    """
    found = hashlib.sha256()

    def add(*parts: object) -> None:
        found.update((" ".join(map(str, parts)) + "\n").encode())

    add("mcugrad model 2")
    for title, calls in (("forward", program.forward), ("train", program.train), ("soft", program.soft)):
        add(title)
        for call in calls:
            add(call.kernel.name, *(_text(argument) for argument in call.arguments))
    if program.taken:
        add("taken", program.taken, *program.skipped)
    add("input", program.input_zero, *program.buffers[program.input].shape)
    add("output", program.output, program.output_zero, program.output_scale, program.classes)
    if program.values is not None:
        add("target", np.float32(program.values.scale).tobytes().hex(), program.values.zero)
    for buffer in layout.params:
        add("state", layout.offsets[buffer.name], buffer.name, buffer.ctype, *buffer.shape)
    for buffer in sorted(program.in_space(Space.CONST), key=lambda b: b.name):
        assert buffer.value is not None, buffer.name
        add("constant", buffer.name, buffer.ctype, *buffer.shape)
        found.update(np.ascontiguousarray(buffer.value, buffer.dtype).tobytes())
    return found.digest()


def word(digest: bytes) -> int:
    """What a device keeps of a fingerprint: its first four bytes, little-endian; never what empty memories hold."""
    found = int.from_bytes(digest[:WORD], "little")
    return 0x6D636731 if found in (0, 0xFFFFFFFF) else found


def _text(argument: Argument) -> str:
    if argument.struct is not None:
        return f"{argument.struct.ctype()}{argument.struct.values()}".replace(" ", "")
    return argument.buffer or argument.rule or str(argument.value)
