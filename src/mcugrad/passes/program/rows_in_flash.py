"""Rows in flash: of a layer of which a fixed part trains, RAM holds the rows of that part; the others stay in flash.

Sparse update (Lin et al., "On-Device Training Under 256KB Memory", 2022), which fixes the channels that learn.

1. A plane of weights, or of changes to be made, and the residual bits beside it: each call that writes it takes the
   same constant list of channels, or leaves rows as they are in which no change was kept.
2. The plane is put together in the arena before the first call of a segment that touches it, from rows of a constant
   and rows of the state, under a name of that segment's own: so it is there only while its layer is computed.
3. Behind the last call of a segment that writes it, the rows that train go back to the state.
4. All else stays: every call sees the bytes that it saw. Scales, biases and means, a number a row, are learned whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from mcugrad.ops.update.apply_s8 import APPLY_STANDARDIZED, APPLY_UPDATE
from mcugrad.ops.update.rows import GATHER_ROWS_F32, GATHER_ROWS_S8, SCATTER_ROWS_F32, SCATTER_ROWS_S8
from mcugrad.program import Argument, Buffer, Call, Kernel, Program, Segment, Space, unused
from mcugrad.program.program import RowsInFlash
from mcugrad.program.rows import ALL, REST, TRAIN

PLANES = (("w", "residual"), ("change", "change_residual"))
"""Parameters of kernels that write a plane: itself, and its residual bits."""


@dataclass(frozen=True)
class Part:
    """A plane of which a fixed part of the rows trains.

    Attributes:
        data: name of its buffer.
        residual: that of its residual bits; empty where it has none.
        active: that of the list of rows that train.
    """

    data: str
    residual: str
    active: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of its buffers."""
        return (self.data, self.residual) if self.residual else (self.data,)


def parts(program: Program) -> list[Part]:
    """Planes that are held in part by `rows_in_flash`."""
    residuals: dict[str, str] = {}
    lists: dict[str, set[str]] = {}
    follow: dict[str, str] = {}
    for call in program.calls:
        known = set()
        for data, residual in PLANES:
            name = _buffer(call, data)
            if name in call.written and program.buffers[name].space is Space.STATE:
                residuals[name] = _buffer(call, residual) or residuals.get(name, "")
                known |= {name, residuals[name]}
                active = _buffer(call, "active")
                if call.kernel is APPLY_UPDATE and data == "w":
                    follow[name] = _buffer(call, "change")  # no row moves in which no change was kept
                elif call.kernel not in (APPLY_UPDATE, APPLY_STANDARDIZED) or data == "w":
                    fixed = active and program.buffers[active].space is Space.CONST
                    lists.setdefault(name, set()).add(active if fixed else "")
        for name in set(call.written) - known:
            lists.setdefault(name, set()).add("")  # who else writes it knows of no list
    for name, change in follow.items():
        lists.setdefault(name, set()).update(lists.get(change, {""}))
    found = []
    for name, residual in residuals.items():
        active, *others = sorted(lists.get(name, {""}))
        is_fixed = active and not others and "" not in lists.get(residual, ())
        if is_fixed and _count(program, active) < program.buffers[name].shape[0]:
            found.append(Part(name, residual, active))
    return found


def saved(program: Program, part: Part) -> int:
    """Bytes of the state that a plane then does without."""
    rows = program.buffers[part.data].shape[0]
    size = sum(program.buffers[name].size for name in part.names)
    return size // rows * (rows - _count(program, part.active))


def rows_in_flash(program: Program, wanted: Collection[Part]) -> Program:
    """The program with rows of some planes in flash, or as it is where there are none.

    Args:
        program: settled: what is constant in it is so already.
        wanted: of `parts`.
    """
    if not wanted:
        return program
    buffers, in_flash = dict(program.buffers), dict(program.in_flash)
    for part in wanted:
        for name in part.names:
            trained, others = _split(program, buffers[name], part.active)
            buffers[name], buffers[others.name] = trained, others
            in_flash[name] = RowsInFlash(part.active, others.name)
    program = replace(program, buffers=buffers, in_flash=in_flash)
    for part in wanted:
        for name in program.segments:
            program = _within(program, name, part)
    return program


def _split(program: Program, buffer: Buffer, active: str) -> tuple[Buffer, Buffer]:
    """Rows of a plane that train, as it is called, and the others, as a constant."""
    numbers = program.buffers[active].value
    assert numbers is not None
    assert buffer.value is not None
    trains = [False] * buffer.shape[0]
    for number in numbers[1:].tolist():
        trains[number] = True
    own, rest = ([o for o, each in enumerate(trains) if each is kind] for kind in (True, False))
    name = unused(f"{buffer.name}_frozen", program.buffers)
    value, note = buffer.value.reshape(buffer.shape), buffer.note
    kept = replace(
        buffer,
        shape=(len(own), *buffer.shape[1:]),
        value=value[own],
        note=f"{note}{TRAIN}",
    )
    others = Buffer(
        name,
        buffer.ctype,
        (len(rest), *buffer.shape[1:]),
        Space.CONST,
        value[rest],
        f"{note}{REST}",
    )
    return kept, others


def _within(program: Program, name: str, part: Part) -> Program:
    """The program with a plane put together in a segment, if that touches it."""
    segment = program.segments[name]
    touching = [i for i, call in enumerate(segment.calls) if set(call.buffers) & set(part.names)]
    if not touching:
        return program
    buffers, new = dict(program.buffers), dict[str, str]()
    touched = {each for call in segment.calls for each in call.buffers}
    for each in part.names:
        if each == part.data or each in touched:
            new[each] = unused(f"{each}_{name}", buffers)
            buffers[new[each]] = _whole(program, each, new[each])
    writing = [i for i in touching if set(segment.calls[i].written) & set(part.names)]
    first, last = touching[0], writing[-1] if writing else -1
    calls = list[Call]()
    for i, call in enumerate(segment.calls):
        if i == first:
            calls.append(_moved(program, part, new, call.node, back=False))
        calls.append(call.renamed(new))
        if i == last:
            calls.append(_moved(program, part, new, call.node, back=True))
    segments = {**program.segments, name: replace(segment, calls=tuple(calls))}
    return replace(program, buffers=buffers, segments=dict[str, Segment](segments))


def _whole(program: Program, name: str, new: str) -> Buffer:
    """Where all rows of a plane are put together."""
    own = program.buffers[name]
    others = program.buffers[program.in_flash[name].frozen]
    note = own.note.removesuffix(TRAIN)
    shape = (own.shape[0] + others.shape[0], *own.shape[1:])
    return Buffer(new, own.ctype, shape, Space.ARENA, None, f"{note}{ALL}")


def _moved(program: Program, part: Part, new: dict[str, str], node: str, *, back: bool) -> Call:
    """The call that puts a plane together, or its rows back."""
    own, others = program.buffers[part.data], program.buffers[program.in_flash[part.data].frozen]
    is_real = own.ctype == "float"
    given: dict[str, Any] = {
        "rows": own.shape[0] + others.shape[0],
        "count": own.count // own.shape[0],
        "active": part.active,
        "frozen": others.name,
        "trained": own.name,
        "w": new[part.data],
        "residual_count": 0,
    }
    if part.residual in new:
        bits = program.buffers[part.residual]
        given |= {
            "residual_count": bits.count // bits.shape[0],
            "frozen_residual": program.in_flash[part.residual].frozen,
            "trained_residual": part.residual,
            "residual": new[part.residual],
        }
    if back:
        kernel, note = SCATTER_ROWS_F32 if is_real else SCATTER_ROWS_S8, "rows that train, back to RAM"
    else:
        kernel, note = GATHER_ROWS_F32 if is_real else GATHER_ROWS_S8, "all rows: from flash and RAM"
    return Call(kernel, tuple(_arguments(kernel, given)), node, note)


def _arguments(kernel: Kernel, given: dict[str, Any]) -> Iterator[Argument]:
    for param in kernel.params:
        value = given.get(param.name)
        if isinstance(value, str):
            yield Argument(buffer=value)
        else:
            yield Argument(value=value)  # a null pointer where there is none


def _buffer(call: Call, param: str) -> str:
    """Name of the buffer that is passed for a parameter; empty if there is none."""
    return call.given[param].buffer if param in call.given else ""


def _count(program: Program, active: str) -> int:
    """How many rows a list names."""
    numbers = program.buffers[active].value
    assert numbers is not None
    return int(numbers[0])
