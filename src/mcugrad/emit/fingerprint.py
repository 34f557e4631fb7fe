"""Fingerprint: tells models apart whose learned states do not fit each other.

It covers all that gives the bytes of a state their meaning: the calls with the constants of their layers, the names,
types, shapes and places of what is learned, and all frozen numbers. It does not cover what is learned itself, so that a
model has the same one before and after training; nor its name in C, nor where the working memory lies, nor how much
scratch there is, nor in how many parts a map is computed.
"""

from __future__ import annotations

import hashlib
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from mcugrad.program import PREDICT, TRAIN_SOFT, TRAIN_STEP, Argument, Program, Space

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
    program = program.same_as or program

    def add(*parts: object) -> None:
        found.update((" ".join(map(str, parts)) + "\n").encode())

    add("mcugrad model 2")
    for title, names in _parts(program).items():
        add(title)
        for call in (call for name in names for call in program.segments[name].calls):
            pairs = zip(call.arguments, call.kernel.params, strict=True)
            add(call.kernel.name, *(_text(argument) for argument, p in pairs if p in call.kernel.seen))
    begin = program.end(PREDICT)
    for name, segment in program.segments.items():
        if segment.when:
            first = program.begins[name] - begin
            add("taken", segment.when, first, first + len(segment.calls))
    add("input", program.input_zero, *program.buffers[program.input].shape)
    add("output", program.output, program.output_zero, program.output_scale, program.classes)
    if program.values is not None:
        add("label", np.float32(program.values.scale).tobytes().hex(), program.values.zero)
    for buffer in layout.params:
        add("state", layout.offsets[buffer.name], buffer.name, buffer.ctype, *buffer.shape)
    for buffer in sorted(program.in_space(Space.CONST), key=lambda b: b.name):
        assert buffer.value is not None, buffer.name
        add("constant", buffer.name, buffer.ctype, *buffer.shape)
        found.update(np.ascontiguousarray(buffer.value, buffer.dtype).tobytes())
    return found.digest()


def _parts(program: Program) -> dict[str, list[str]]:
    """Segments by what they are for. Calls count, not how they are divided: a state outlives another division.

    Those of a prediction; those that a step towards a label adds; those of one towards a distribution, up to where both
    go on in the same way.
    """
    forward, train, soft = (
        list(program.entries[name].segments if name in program.entries else ())
        for name in (PREDICT, TRAIN_STEP, TRAIN_SOFT)
    )
    same = sum(takewhile(bool, (a == b for a, b in zip(reversed(train), reversed(soft), strict=False))))
    return {
        "forward": forward,
        "train": [name for name in train if name not in forward],
        "soft": [name for name in soft[: len(soft) - same] if name not in forward],
    }


def word(digest: bytes) -> int:
    """What a device keeps of a fingerprint: its first four bytes, little-endian; never what empty memories hold."""
    found = int.from_bytes(digest[:WORD], "little")
    return 0x6D636731 if found in (0, 0xFFFFFFFF) else found


def _text(argument: Argument) -> str:
    if argument.struct is not None:
        return f"{argument.struct.ctype()}{argument.struct.values()}".replace(" ", "")
    return argument.buffer or argument.rule or str(argument.value)
