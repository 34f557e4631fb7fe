"""Layout: the model's one struct, to the byte. The generated C asserts that its compiler agrees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcugrad.emit.fingerprint import WORD
from mcugrad.plan import Plan, aligned
from mcugrad.program import Buffer, Program, Space

HEADER_SIZE = WORD
"""Bytes in front of what is learned: the word that tells an initialised model."""


@dataclass(frozen=True)
class Layout:
    """Where everything lies in `<name>_t`.

    Attributes:
        params: trained state in the order of the struct, widest elements first, so that nothing is padded.
        offsets: first byte of every params and arena buffer, from the start of the model.
        params_size: bytes of the params.
        arena_offset: first byte of the arena.
        size: bytes of the whole model: what training needs of RAM, stack and input aside.
    """

    params: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    params_size: int
    arena_offset: int
    size: int


def layout(program: Program, plan: Plan) -> Layout:
    """Lay the model's struct out."""
    params = tuple(sorted(program.in_space(Space.STATE), key=lambda b: -min(b.itemsize, 4)))
    offsets: dict[str, int] = {}
    end = HEADER_SIZE
    for buffer in params:
        offsets[buffer.name] = end
        end += buffer.size
    arena = aligned(end)
    offsets.update({name: arena + at for name, at in plan.offsets.items()})
    return Layout(params, offsets, arena - HEADER_SIZE, arena, arena + plan.size)
