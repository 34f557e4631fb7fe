"""Pool at once: a convolution and the pool behind it become one call, so that the map between them never exists.

1. Nothing but the pool reads the convolution's output: the call that makes it pools a few rows at a time.
2. A pool that keeps what won hands errors back to nothing but calls that can do with its own errors, and what won: so
   the errors of the convolution's output never exist either.
3. All else stays: the same bytes, the same random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mcugrad.ops.convolution.conv2d_maxpool_s8 import (
    CONV2D_MAXPOOL_GRAD_INPUT_S8,
    CONV2D_MAXPOOL_S8,
    CONV2D_MAXPOOL_UPDATE,
    PooledConv2dStruct,
    may_be_one,
)
from mcugrad.ops.convolution.conv2d_s8 import CONV2D_GRAD_INPUT_S8, CONV2D_S8, CONV2D_UPDATE
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.pooling.maxpool2d_kept_s8 import MAXPOOL2D_GRAD_KEPT_S8, MAXPOOL2D_KEEP_S8
from mcugrad.ops.pooling.maxpool2d_s8 import MAXPOOL2D_S8
from mcugrad.ops.pooling.struct import Pool2dStruct
from mcugrad.ops.update.update_s8 import BIAS_UPDATE
from mcugrad.passes.program.drop_unused import drop_unused
from mcugrad.passes.program.size_scratch import Place
from mcugrad.program import Argument, Buffer, Call, Kernel, Program, Space, unused

Changes = dict[Place, tuple[Call, ...]]
"""What takes the place of a call: one or none."""
NOTHING = Argument()


def pool_at_once(program: Program, lines: int = 1) -> Program:
    """The program with such calls, or as it is where there are none.

    Args:
        program: whose pools keep what won.
        lines: rows of windows at a time.
    """
    readers = _touching(program)
    changes: Changes = {}
    bands: list[Buffer] = []
    for place, call in _calls(program):
        if call.kernel is CONV2D_S8:
            _forward(program, readers, place, lines, changes, bands)
        elif call.kernel is MAXPOOL2D_GRAD_KEPT_S8:
            _backward(program, readers, place, lines, changes, bands)
    if not changes:
        return program
    segments = {
        name: replace(
            segment,
            calls=tuple(new for i, old in enumerate(segment.calls) for new in changes.get((name, i), (old,))),
        )
        for name, segment in program.segments.items()
    }
    buffers = {**program.buffers, **{band.name: band for band in bands}}
    return drop_unused(replace(program, buffers=buffers, segments=segments))


def _forward(
    program: Program,
    readers: Mapping[str, list[Place]],
    place: Place,
    lines: int,
    changes: Changes,
    bands: list[Buffer],
) -> None:
    """Joins a convolution with the pool that alone reads its output, if there is one."""
    conv = _at(program, place)
    given = conv.given
    others = _others(program, readers, given["y"].buffer, place)
    if others is None or len(others) != 1:
        return
    pool = _at(program, others[0])
    if pool.kernel not in (MAXPOOL2D_S8, MAXPOOL2D_KEEP_S8) or pool.given["x"] != given["y"]:
        return
    g = _joined(conv, pool, lines)
    if g is None:
        return
    after = pool.given
    bands.append(_band(program, conv, g.band))
    changes[place] = (
        _call(
            conv,
            CONV2D_MAXPOOL_S8,
            f"{conv.note}; {pool.note}",
            {
                **given,
                "g": Argument(struct=g),
                "y": after["y"],
                "kept": after.get("kept", NOTHING),
                "band": Argument(buffer=bands[-1].name),
            },
        ),
    )
    changes[others[0]] = ()


def _backward(
    program: Program,
    readers: Mapping[str, list[Place]],
    place: Place,
    lines: int,
    changes: Changes,
    bands: list[Buffer],
) -> None:
    """Gives the errors of a pool's output to all that reads those of its input, if each can do with them."""
    pool = _at(program, place)
    given = pool.given
    others = _others(program, readers, given["e_x"].buffer, place)
    made: Changes = {}
    new: list[Buffer] = []
    for other in others or ():
        call = _at(program, other)
        named = call.given
        if named.get("e") != given["e_x"] or named.get("active", NOTHING) != NOTHING:
            return
        common = {**named, "e": given["e"]}
        if call.kernel is BIAS_UPDATE:
            assert isinstance(pool.struct, Pool2dStruct)
            common["pixels"] = Argument(value=pool.struct.out_h * pool.struct.out_w)
            made[other] = (_call(call, BIAS_UPDATE, call.note, common),)
            continue
        g = _joined(call, pool, lines) if call.kernel in (CONV2D_GRAD_INPUT_S8, CONV2D_UPDATE) else None
        if g is None:
            return
        common |= {"g": Argument(struct=g), "kept": given["kept"]}
        if call.kernel is CONV2D_UPDATE:
            made[other] = (_call(call, CONV2D_MAXPOOL_UPDATE, call.note, common),)
        else:
            new.append(_band(program, call, g.error_band))
            common["band"] = Argument(buffer=new[-1].name)
            made[other] = (_call(call, CONV2D_MAXPOOL_GRAD_INPUT_S8, call.note, common),)
    if made:
        changes |= {place: (), **made}
        bands += new


def _joined(conv: Call, pool: Call, lines: int) -> PooledConv2dStruct | None:
    """Constants of both in one; None where they cannot be one."""
    g, windows = conv.struct, pool.struct
    assert isinstance(g, Conv2dStruct)
    assert isinstance(windows, Pool2dStruct)
    return PooledConv2dStruct(g, windows, lines) if may_be_one(g, windows) else None


def _others(
    program: Program, readers: Mapping[str, list[Place]], name: str, place: Place
) -> list[Place] | None:
    """Calls of the same segment behind one, which are all that touch a buffer of the arena beside it; None if not."""
    others = [each for each in readers[name] if each != place]
    inside = program.buffers[name].space is Space.ARENA and name not in program.looked_at
    behind = all(segment == place[0] and number > place[1] for segment, number in others)
    return others if inside and behind else None


def _call(old: Call, kernel: Kernel, note: str, given: Mapping[str, Argument]) -> Call:
    """A call in the place of another one."""
    return replace(
        old, kernel=kernel, note=note, arguments=tuple(given[param.name] for param in kernel.params)
    )


def _band(program: Program, call: Call, size: int) -> Buffer:
    name = unused(f"{call.node}_band", program.buffers)
    return Buffer(name, "int8_t", (size,), Space.ARENA, None, "a few rows of a map")


def _at(program: Program, place: Place) -> Call:
    return program.segments[place[0]].calls[place[1]]


def _calls(program: Program) -> Iterator[tuple[Place, Call]]:
    for name, segment in program.segments.items():
        for number, call in enumerate(segment.calls):
            yield (name, number), call


def _touching(program: Program) -> dict[str, list[Place]]:
    """By buffer the calls that touch it."""
    found: dict[str, list[Place]] = {}
    for place, call in _calls(program):
        for name in call.buffers:
            found.setdefault(name, []).append(place)
    return found
