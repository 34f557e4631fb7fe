"""Fold constants: a call whose arguments are all constant runs now, and what it wrote becomes a constant.

That is why a frozen layer needs no code of its own: factors that training derives anew at every step are a table there.

1. All that the call reads is constant, and it writes into the arena alone.
2. Nobody else writes there, in any segment.
3. It runs by its reference; the call goes, and its results are in flash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mcugrad.program import Buffer, Call, Program, Segment, Space
from mcugrad.program.execute import execute


def fold_constants(program: Program, *, sizes_only: bool = False) -> Program:
    """The program without such calls.

    Args:
        program: as it was lowered.
        sizes_only: leave out what takes long and changes no size: results are not computed.
    """
    buffers = dict(program.buffers)
    writers = writers_of(program)
    segments: dict[str, Segment] = {}
    for name, segment in program.segments.items():
        left = []
        for call in segment.calls:
            if is_constant(call, buffers, writers):
                buffers.update({b.name: b for b in _results(call, buffers, sizes_only)})
            else:
                left.append(call)
        segments[name] = replace(segment, calls=tuple(left))
    return replace(program, buffers=buffers, segments=segments)


def writers_of(program: Program) -> Mapping[str, int]:
    """How many calls write each buffer."""
    return Counter(name for call in program.calls for name in call.written)


def is_constant(call: Call, buffers: Mapping[str, Buffer], writers: Mapping[str, int]) -> bool:
    """Whether a call depends on constants alone, and nobody else writes what it does."""
    written = call.written
    return all(buffers[b].space is Space.CONST for b in call.buffers if b not in written) and all(
        buffers[b].space is Space.ARENA and writers[b] == 1 for b in written
    )


def _results(call: Call, buffers: dict[str, Buffer], sizes_only: bool) -> list[Buffer]:
    """What a call writes, as constants."""
    results = {b: np.zeros(buffers[b].count, buffers[b].dtype) for b in call.written}
    if not sizes_only:
        execute(call, {**{b: buffers[b].value for b in call.buffers}, **results})
    return [
        replace(buffers[name], space=Space.CONST, value=value.reshape(buffers[name].shape))
        for name, value in results.items()
    ]
