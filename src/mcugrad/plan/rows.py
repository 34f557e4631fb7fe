"""Rows: which planes are held in part, so that a model takes less RAM.

Rows that do not train are in flash, but a layer is computed from all of them, put together in the arena. It pays where
the arena is no fuller at the fullest moment for it, or by less than the state got smaller. Sizes decide, nothing else:
so models have the same state whatever was preferred, and whatever they learned.
"""

from __future__ import annotations

from mcugrad.passes.program.keep_winners import keep_winners
from mcugrad.passes.program.rows_in_flash import Part, parts, rows_in_flash
from mcugrad.plan.bound import bound
from mcugrad.plan.place import aligned
from mcugrad.plan.variants import planned
from mcugrad.program import Program, Space


def frozen_rows_in_flash(program: Program) -> Program:
    """The program with frozen rows of planes in flash where it takes less RAM for it, or as it is.

    The planes of one layer are all held in part, or none. Layers are computed one after the other, so the arena is as
    full as the one that needs most: they join in the order of what they need, and those up to the best place are taken.
    """
    layers: dict[str, list[Part]] = {}
    for part in parts(program):
        layers.setdefault(part.active, []).append(part)
    alone = {name: _arena(rows_in_flash(program, layer)) for name, layer in layers.items()}
    best, least, joined = program, _state(program) + _arena(program), list[Part]()
    for name in sorted(layers, key=lambda each: (alone[each], each)):
        joined += layers[name]
        found = rows_in_flash(program, joined)
        needed = _state(found) + _arena(found)
        if needed < least:
            best, least = found, needed
    return best if best is program or _planned(best) < _planned(program) else program


def _state(program: Program) -> int:
    return aligned(sum(b.size for b in program.in_space(Space.STATE)))


def _arena(program: Program) -> int:
    """Bytes of working memory at the fullest moment."""
    return bound(keep_winners(program))


def _planned(program: Program) -> int:
    """Bytes of the model as it is planned with the smallest arena."""
    _, plan = planned(program)[0]
    return _state(program) + plan.size
