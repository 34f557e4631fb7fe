"""Store latents: where a network is cut, so that a stored sample can be trained without what is frozen before the cut.

Latent replay (Pellegrini et al., 2020; Ravaglia et al., 2021): what enters the layers that train is stored.

1. Cuts lie between frozen calls, or behind the last: what crosses one follows from the sample alone.
2. Nine tenths of the frozen multiply-accumulates are before the cut: nearly all that could be skipped is.
3. Of these the cut that the fewest bytes cross, and of several the last: it is memory that stored samples are short of.
   An expansion in front of the first layer that trains, and the branch of a skip connection, are computed again.
4. Where nothing is frozen the program stays as it is, and stores inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mcugrad.program import Program
from mcugrad.program.segment import FORWARD, FROZEN

SHARE = 0.9
"""Of the frozen layers' multiply-accumulates, before the cut."""


def store_latents(program: Program, macs: Mapping[str, int]) -> Program:
    """The program with the cut at the end of its frozen segment.

    Args:
        program: with its frozen calls split off.
        macs: multiply-accumulates by node; none of one that is not named.
    """
    if FROZEN not in program.segments:
        return program
    frozen = program.segments[FROZEN].calls
    behind, left, cuts = 0.0, sum(macs.get(name, 0) for name in {call.node for call in frozen}), []
    most = (1 - SHARE) * left
    for count in range(len(frozen), 0, -1):
        if behind > most:
            break
        cuts.append(_cut(program, count))
        node = frozen[count - 1].node
        if count == 1 or frozen[count - 2].node != node:  # all calls of a node are behind the next cut
            behind += macs.get(node, 0)
    return min(cuts, key=lambda cut: cut.stored)


def _cut(program: Program, count: int) -> Program:
    """The program with so many calls in its frozen segment; the others are at the beginning of the next one."""
    frozen, forward = program.segments[FROZEN], program.segments.get(FORWARD)
    calls = frozen.calls[count:]
    if not calls:
        return replace(program, stores_latents=True)
    assert forward is not None, "what learns is computed behind what is frozen"
    parts = {
        FROZEN: replace(frozen, calls=frozen.calls[:count]),
        FORWARD: replace(forward, calls=(*calls, *forward.calls)),
    }
    return replace(program, segments={**program.segments, **parts}, stores_latents=True)
