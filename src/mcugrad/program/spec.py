"""What a legal program is, as a table. A pass that breaks a rule has a bug; tests check every program they compile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from mcugrad.abi.headers import Param, prototypes
from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.program.buffer import Space
from mcugrad.program.call import Argument, Call, used_buffers
from mcugrad.program.program import Program
from mcugrad.program.segment import FROZEN, PREDICT
from mcugrad.training.rules import IN_PLACE

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RULE = "mcg_rule_t"
"""C type of a parameter that takes an update rule."""


class IllegalProgramError(AssertionError):
    """A program breaks the rules: a bug in mcugrad, not in the user's model."""


def check(program: Program) -> Program:
    """The program itself, so that calls chain. Raises IllegalProgramError listing every broken rule."""
    found = violations(program)
    if found:
        raise IllegalProgramError(
            f"{program.name} breaks {len(found)} rules:\n" + "\n".join(f"  {line}" for line in found)
        )
    return program


def violations(program: Program) -> list[str]:
    """Broken rules, each with the buffer, call, segment or entry that breaks it. Later rules rely on the first ones."""
    for table in (STRUCTURE, MEANING):
        found = [f"{rule}: {where}" for rule, test in table for where in test(program)]
        if found:
            return found
    return []


def _calls(program: Program) -> Iterator[tuple[str, Call]]:
    """All calls, each with what messages call it."""
    for name, segment in program.segments.items():
        for number, call in enumerate(segment.calls):
            yield f"call {number} of {name}, {call.kernel.name} of {call.node}", call


# -- structure -----------------------------------------------------------------------------------------------------


def _bad_names(program: Program) -> Iterator[str]:
    names = [program.name, *program.buffers, *program.segments, *program.entries]
    yield from (repr(n) for n in names if not _IDENTIFIER.fullmatch(n))


def _misfiled_buffers(program: Program) -> Iterator[str]:
    yield from (f"{key} holds {b.name}" for key, b in program.buffers.items() if key != b.name)


def _unknown_kernels(program: Program) -> Iterator[str]:
    for where, call in _calls(program):
        wanted = prototypes().get(call.kernel.name)
        if wanted is None:
            yield f"{where}: no header declares it"
        elif len(wanted) != len(call.arguments):
            yield f"{where}: {len(call.arguments)} for {len(wanted)}"


def _unknown_buffers(program: Program) -> Iterator[str]:
    touched = [(where, name) for where, call in _calls(program) for name in call.buffers]
    touched += [(f"the condition of {name}", s.when) for name, s in program.segments.items() if s.when]
    touched += [(f"what is read after {name}", b) for name, e in program.entries.items() for b in e.reads]
    ends = (program.input, program.output, program.output_scale)
    touched += [("the program's ends", name) for name in ends if name]
    yield from (f"{name} in {where}" for where, name in touched if name not in program.buffers)


def _unknown_segments(program: Program) -> Iterator[str]:
    for name, entry in program.entries.items():
        yield from (f"{s} in {name}" for s in entry.segments if s not in program.segments)
    run = {s for entry in program.entries.values() for s in entry.segments}
    yield from (f"{name}, which no entry runs" for name in program.segments if name not in run)


def _wrong_order(program: Program) -> Iterator[str]:
    place = {name: number for number, name in enumerate(program.segments)}
    for name, entry in program.entries.items():
        known = [s for s in entry.segments if s in place]
        yield from (
            f"{after} after {before} in {name}"
            for before, after in pairwise(known)
            if place[after] <= place[before]
        )
        if not entry.segments:
            yield f"{name} has none"


def _no_prediction(program: Program) -> Iterator[str]:
    if PREDICT not in program.entries:
        yield f"there are {', '.join(program.entries) or 'none'}"


def _names_of_both(program: Program) -> Iterator[str]:
    functions = {*program.segments, *(f"run_{name}" for name in program.entries)}
    yield from (b.name for b in program.in_space(Space.CONST) if b.name in functions)


def _wrong_types(program: Program) -> Iterator[str]:
    for b in program.buffers.values():
        if b.ctype not in ELEMENT_TYPES:
            yield f"{b.name} has elements of {b.ctype}"
        elif not b.shape or min(b.shape) < 1:
            yield f"{b.name} has shape {b.shape}"


# -- meaning -------------------------------------------------------------------------------------------------------


def _wrong_contents(program: Program) -> Iterator[str]:
    for b in program.buffers.values():
        if (b.value is not None) != (b.space in (Space.CONST, Space.STATE)):
            yield f"{b.name} of {b.space.value} has {'no contents' if b.value is None else 'contents'}"
        elif b.value is not None and (b.value.dtype != b.dtype or b.value.shape != b.shape):
            yield f"{b.name} holds {b.value.dtype} {b.value.shape}, not {b.dtype} {b.shape}"
        elif b.value is not None and b.within is not None:
            least, most = b.within
            if not ((b.value >= least) & (b.value <= most)).all():
                yield f"{b.name} begins beyond {least:g} to {most:g}"


def _wrong_arguments(program: Program) -> Iterator[str]:
    for where, call in _calls(program):
        for argument, param in zip(call.arguments, call.kernel.params, strict=True):
            if not _fits(program, argument, param):
                wanted = f"{'const ' if param.const else ''}{param.ctype}{' *' if param.pointer else ''}"
                yield f"{param.name} of {where} is {_spelled(program, argument)} for {wanted}"


def _fits(program: Program, argument: Argument, param: Param) -> bool:
    """Whether C could pass this, and would pass what is meant."""
    buffer, struct, value, rule = argument.buffer, argument.struct, argument.value, argument.rule
    if bool(buffer) + (struct is not None) + (value is not None) + bool(rule) > 1:
        return False
    if not param.pointer:
        return _fits_by_value(program, argument, param)
    if buffer:
        return program.buffers[buffer].ctype == param.ctype and buffer not in program.by_value
    if struct is not None:
        return param.const and struct.ctype() == param.ctype
    if rule:
        return param.const and param.ctype == RULE and rule in IN_PLACE
    return value is None  # a null pointer


def _fits_by_value(program: Program, argument: Argument, param: Param) -> bool:
    if argument.buffer:
        b = program.buffers[argument.buffer]
        return b.ctype == param.ctype and b.count == 1 and b.space is Space.ARGUMENT
    kind = ELEMENT_TYPES.get(param.ctype)
    if argument.value is None or kind is None:
        return False
    if kind.kind == "f":
        return bool(np.isfinite(kind.type(argument.value)))
    least, most = _bounds(kind)
    return argument.value == int(argument.value) and least <= argument.value <= most


@cache
def _bounds(kind: np.dtype[Any]) -> tuple[int, int]:
    """Least and greatest integer of a type."""
    limits = np.iinfo(kind)
    return int(limits.min), int(limits.max)


def _spelled(program: Program, argument: Argument) -> str:
    """What is passed, for messages."""
    if argument.buffer:
        b = program.buffers[argument.buffer]
        return f"{b.name}, {b.ctype} {b.shape} of {b.space.value},"
    if argument.struct is not None:
        return f"a {argument.struct.ctype()}"
    return argument.rule or ("NULL" if argument.value is None else str(argument.value))


def _wrong_shares(program: Program) -> Iterator[str]:
    for where, call in _calls(program):
        params = {param.name: param for param in call.kernel.params if param.pointer}
        for each in call.kernel.may_share:
            old, new = params.get(each.read), params.get(each.written)
            if old is None or new is None or not old.const or new.const or old.ctype != new.ctype:
                yield f"{each.read} and {each.written} of {where}"


def _written_for_good(program: Program) -> Iterator[str]:
    for where, call in _calls(program):
        for name in call.written:
            if (space := program.buffers[name].space) in (Space.CONST, Space.ARGUMENT):
                yield f"{name} of {space.value} by {where}"


def _read_too_early(program: Program) -> Iterator[str]:
    """In every way in which an entry can run: what one of them left in the arena is gone when the next begins."""
    there = [b.name for b in program.buffers.values() if b.space is not Space.ARENA]
    for entry in program.entries:
        told: set[str] = set()
        for run in program.runs_of(entry):
            left = ", ".join(name for name in program.entries[entry].segments if name not in run)
            for buffer, reader in _unwritten(program, entry, run, there):
                if buffer not in told:
                    yield f"{buffer} by {reader} in {entry}{' without ' if left else ''}{left}"
                told.add(buffer)


def _unwritten(
    program: Program, entry: str, run: tuple[str, ...], there: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Buffers that are read though nothing has been written and they were not there, and what reads them."""
    known = set(there)
    for name in program.entries[entry].segments:
        segment = program.segments[name]
        if segment.when and segment.when not in known:
            yield segment.when, f"the condition of {name}"
        for call in segment.calls if name in run else ():
            read = (b for b in call.buffers if b not in call.written and b not in known)
            yield from ((b, f"{call.kernel.name} of {call.node}") for b in read)
            known.update(call.written)
    yield from ((b, "the caller") for b in program.entries[entry].reads if b not in known)


def _wrong_conditions(program: Program) -> Iterator[str]:
    for name, segment in program.segments.items():
        if segment.when:
            b = program.buffers[segment.when]
            if (b.ctype, b.count, b.space) != ("int32_t", 1, Space.ARENA):
                yield f"{b.name}, {b.ctype} {b.shape} of {b.space.value}, of {name}"


def _wrong_frozen(program: Program) -> Iterator[str]:
    if FROZEN not in program.segments:
        return
    if when := program.segments[FROZEN].when:
        yield f"{FROZEN} waits for {when}"
    yield from (f"{name} begins otherwise" for name, e in program.entries.items() if e.segments[0] != FROZEN)
    for number, call in enumerate(program.segments[FROZEN].calls):
        if not program.follows_from_sample(call):
            yield f"call {number} of {FROZEN}, {call.kernel.name} of {call.node}"


def _wrong_latents(program: Program) -> Iterator[str]:
    """What is read behind the frozen calls where these do not run, and a stored sample whose bytes are others."""
    if not program.stores_latents:
        return
    if FROZEN not in program.segments:
        yield "nothing is frozen"
        return
    stored = {b.name for b in program.latents}
    there = {b.name for b in program.buffers.values() if b.space is not Space.ARENA} - {program.input}
    for entry in program.entries:
        behind = (tuple(s for s in run if s != FROZEN) for run in program.runs_of(entry))
        missing = (found for run in behind for found in _unwritten(program, entry, run, there | stored))
        for buffer, reader in dict.fromkeys(missing):
            yield f"{buffer}, which {reader} reads in {entry}, is not stored"
    end = 0
    for b in program.latents:
        if program.latent_places[b.name] != end:
            yield f"{b.name} lies at {program.latent_places[b.name]}, not behind the {end} bytes before it"
        end += b.size
    if not 0 < end == program.stored <= 4 * (program.slot_words - 1) - program.classes:
        yield f"they are {end} of {program.stored} bytes in {program.slot_words} words"


def _wrong_rows(program: Program) -> Iterator[str]:
    for name, where in program.in_flash.items():
        own, active, others = (program.buffers.get(each) for each in (name, where.active, where.frozen))
        if own is None or active is None or others is None:
            yield f"{name} is none, or there is no {where.active} or no {where.frozen}"
            continue
        spaces = own.space, active.space, others.space
        if spaces != (Space.STATE, Space.CONST, Space.CONST) or active.ctype != "uint16_t":
            yield f"{name} of {own.space.value}, listed by {active.name} of {active.ctype}, {others.name} beside it"
        elif own.ctype != others.ctype or own.shape[1:] != others.shape[1:]:
            yield f"{name} has rows of {own.shape[1:]} {own.ctype}, {others.name} of {others.shape[1:]} {others.ctype}"
        elif active.value is not None:
            count, *rows = active.value.tolist()
            inside = rows == sorted(set(rows)) and (not rows or rows[-1] < own.shape[0] + others.shape[0])
            if not (count == len(rows) == own.shape[0] and inside):
                yield f"{active.name} lists {rows} of {count} for the {own.shape[0]} rows of {name}"


def _wrong_ends(program: Program) -> Iterator[str]:
    buffers = program.buffers
    if buffers[program.input].space is not Space.ARGUMENT:
        yield f"{program.input} of {buffers[program.input].space.value} is the input"
    if program.output_scale:
        b = buffers[program.output_scale]
        if (b.ctype, b.count) != ("float", 1) or b.space not in (Space.CONST, Space.STATE):
            yield f"{b.name}, {b.ctype} {b.shape} of {b.space.value}, is the scale of the output"
    if program.output not in program.entries[PREDICT].reads:
        yield f"{program.output} is the output, and is not read after {PREDICT}"


def _other_arguments(program: Program) -> Iterator[str]:
    used = used_buffers(program.calls_of(PREDICT))
    yield from (b.name for b in program.in_space(Space.ARGUMENT) if b.name in used - {program.input})


Table = tuple[tuple[str, Callable[[Program], Iterator[str]]], ...]

STRUCTURE: Table = (
    ("names are C identifiers", _bad_names),
    ("no constant has the name of a segment's or an entry's function", _names_of_both),
    ("buffers are filed under their names", _misfiled_buffers),
    ("kernels are declared, and get as many arguments as they take", _unknown_kernels),
    ("buffers that are touched exist", _unknown_buffers),
    ("entries name segments that exist, and each segment is named", _unknown_segments),
    ("entries run segments in the order of the program, each once, at least one", _wrong_order),
    ("there is a prediction", _no_prediction),
    ("elements have a known type, shapes no empty dimension", _wrong_types),
)
MEANING: Table = (
    (
        "constants and learned buffers have contents of their type, shape and range, others none",
        _wrong_contents,
    ),
    ("arguments are what parameters take", _wrong_arguments),
    (
        "what may be the same bytes is an array that is read and one of its type that is written",
        _wrong_shares,
    ),
    ("constants and what is the caller's are never written", _written_for_good),
    ("the arena is written before it is read, however an entry runs", _read_too_early),
    ("a condition is one int32_t of the arena", _wrong_conditions),
    ("what is frozen follows from the sample alone, and begins every entry", _wrong_frozen),
    ("a stored sample has in it what is read behind what is frozen, and no more", _wrong_latents),
    ("of an array some rows are learned, and all others are a constant", _wrong_rows),
    ("input, output and its scale are where they belong", _wrong_ends),
    ("a prediction takes the sample alone", _other_arguments),
)
