"""Rows: which planes are held in part, so that a model takes less RAM.

Rows that do not train are in flash, but a layer is computed from all of them, put together in the arena. It pays where
the arena is no fuller at the fullest moment for it, or by less than the state got smaller. Sizes decide, nothing else:
so models have the same state whatever was preferred, and whatever they learned.
"""

from __future__ import annotations

from mcugrad.passes.program.keep_winners import keep_winners
from mcugrad.passes.program.rows_in_flash import Part, parts, rows_in_flash, saved
from mcugrad.plan.bound import bound
from mcugrad.plan.place import aligned
from mcugrad.plan.variants import planned
from mcugrad.program import Program, Space


def frozen_rows_in_flash(program: Program) -> Program:
    """The program with frozen rows of planes in flash where it takes less RAM for it, or as it is.

    The planes of one layer are all held in part, or none. Those that save most come first; a layer joins them where the
    state and what is needed at the fullest moment get smaller together, until none is left that does.
    """
    layers: dict[str, list[Part]] = {}
    for part in parts(program):
        layers.setdefault(part.active, []).append(part)
    if not layers:
        return program
    left = sorted(layers.values(), key=lambda each: -sum(saved(program, part) for part in each))
    taken: list[Part] = []
    least, before = _needed(program), len(left) + 1
    while len(left) < before:
        before = len(left)
        for layer in [*left]:
            needed = _needed(rows_in_flash(program, [*taken, *layer]))
            if needed < least:
                left.remove(layer)
                taken, least = [*taken, *layer], needed
    found = rows_in_flash(program, taken)
    return found if taken and _planned(found) < _planned(program) else program


def _state(program: Program) -> int:
    return aligned(sum(b.size for b in program.in_space(Space.STATE)))


def _needed(program: Program) -> int:
    """Bytes of the model with no more working memory than its fullest moment needs."""
    return _state(program) + bound(keep_winners(program))


def _planned(program: Program) -> int:
    """Bytes of the model as it is planned with the smallest arena."""
    _, plan = planned(program)[0]
    return _state(program) + plan.size
