"""Steps: a C function for each segment of a program, and one for each entry, which calls those of its segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mcugrad.abi.headers import Param
from mcugrad.emit.literals import number
from mcugrad.emit.wrap import wrap_call
from mcugrad.program import Argument, Buffer, Call, Program, Space, Struct
from mcugrad.program.call import used_buffers
from mcugrad.training.losses import LabelKind

MARK = 3
"""Operand of the `bkpt` before every call of firmware that is counted call by call, and after the last of a segment;
behind it stands which call it is, from 1 on, or 0."""
TOGETHER = 16
"""Calls in one C function: of many in a row compilers keep addresses on the stack, 448 bytes in a step of MbedNet."""


@dataclass(frozen=True)
class Function:
    """A C function that returns nothing.

    Attributes:
        note: what it does.
        head: its name and parameters.
        lines: its body.
        apart: whether it must not be inlined: what one of them needs is not on the stack during another.
    """

    note: str
    head: str
    lines: tuple[str, ...]
    apart: bool = False


def _braces(values: tuple[Any, ...]) -> str:
    """An initializer; one of a struct in a struct in braces of its own."""
    return "{" + ", ".join(_braces(v) if isinstance(v, tuple) else str(v) for v in values) + "}"


class Names:
    """How C spells what calls pass."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._structs: dict[Struct, str] = {}
        for call in program.calls:
            for argument in call.arguments:
                if argument.struct is not None:
                    self._structs.setdefault(argument.struct, f"{program.name}_{call.node}_layer")

    def structs(self) -> list[str]:
        """Definitions of the layers' constants."""
        return [
            f"static const {s.ctype()} {name} = {_braces(s.values())};" for s, name in self._structs.items()
        ]

    def argument(self, argument: Argument, param: Param | None) -> str:
        """One argument of a call."""
        if argument.buffer:
            return self._buffer(self.program.buffers[argument.buffer])
        if argument.struct is not None:
            return "&" + self._structs[argument.struct]
        if argument.rule:
            return f"&mcg_rule_{argument.rule}"
        if argument.value is None:
            return "NULL"
        return number(argument.value, param.ctype if param else "int32_t")

    def _buffer(self, buffer: Buffer) -> str:
        address = "&" if buffer.count == 1 else ""
        match buffer.space:
            case Space.ARGUMENT:
                return buffer.name
            case Space.CONST:
                return f"{address}{self.program.name}_{buffer.name}"
            case Space.STATE:
                return f"{address}p->{buffer.name}"
            case Space.ARENA:
                return f"{address}a->{buffer.name}.v"


def segments(program: Program, names: Names, *, marks: bool = False) -> list[Function]:
    """A function for each segment: its calls, one after the other; with marks between them for who counts.

    Where a segment has many, it calls functions of some of them.
    """
    return [function for name in program.segments for function in _segment(program, name, names, marks)]


def entries(program: Program) -> dict[str, Function]:
    """A function for each entry, by name: its segments, one after the other."""
    return {
        name: Function(
            entry.note,
            f"{program.name}_run_{name}({', '.join(_parameters(program, _calls(program, entry.segments)))})",
            tuple(line for segment in entry.segments for line in run(program, segment, {})),
        )
        for name, entry in program.entries.items()
    }


def without(program: Program, segment: str, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Lines that run each entry but for one of its segments, where arguments have other names than their own."""
    return {
        name: [line for s in entry.segments if s != segment for line in run(program, s, names)]
        for name, entry in program.entries.items()
    }


def passed_label(program: Program) -> str:
    """What steps are passed as a label by who knows no more of it than that `label` points there."""
    by_value = program.label_kind is LabelKind.CLASS
    return f"{'*' if by_value else ''}(const {program.label_kind.value} *)label"


def run(program: Program, segment: str, names: Mapping[str, str]) -> list[str]:
    """Lines that run a segment of a model `m`, where arguments have their own names or others."""
    passed = ["m", *(names.get(a, a) for a in _arguments(program, program.segments[segment].calls))]
    call = f"{program.name}_{segment}({', '.join(passed)});"
    if when := program.segments[segment].when:
        return [f"    if (m->arena.{when}.v != 0) {{", f"        {call}", "    }"]
    return [f"    {call}"]


def _segment(program: Program, name: str, names: Names, marks: bool) -> Iterator[Function]:
    segment, begin = program.segments[name], program.begins[name]
    parts = list(_parts(segment.calls))
    if len(parts) < 2:
        head = f"{program.name}_{name}({', '.join(_parameters(program, segment.calls))})"
        yield Function(segment.note, head, _body(program, segment.calls, names, begin, marks), apart=True)
        return
    inner = []
    for place, calls in enumerate(parts, 1):
        own = f"{program.name}_{name}_{place}"
        head = f"{own}({', '.join(_parameters(program, calls))})"
        note = f"{segment.note}: part {place} of {len(parts)}"
        yield Function(note, head, _body(program, calls, names, begin, marks), apart=True)
        begin += len(calls)
        inner.append(f"    {own}({', '.join(['m', *_arguments(program, calls)])});")
    head = f"{program.name}_{name}({', '.join(_parameters(program, segment.calls))})"
    yield Function(segment.note, head, tuple(inner), apart=True)


def _parts(calls: Sequence[Call]) -> Iterator[tuple[Call, ...]]:
    """Calls of whole nodes, as many as one function has."""
    part: tuple[Call, ...] = ()
    for _, group in groupby(calls, lambda call: call.node):
        of_node = tuple(group)
        if part and len(part) + len(of_node) > TOGETHER:
            yield part
            part = ()
        part += of_node
    yield part


def _body(program: Program, calls: Sequence[Call], names: Names, begin: int, marks: bool) -> tuple[str, ...]:
    """Calls, and what they are reached by."""
    lines = call_lines(calls, program, names, begin, marks=marks)
    text, known, model = "\n".join(lines), [], program.name
    if "p->" in text:
        known.append(f"    {'' if program.trains else 'const '}{model}_params_t *const p = &m->params;")
    if "a->" in text:
        known.append(f"    {model}_arena_t *const a = &m->arena;")
    return (*(known or ["    (void)m;"]), *lines)


def _calls(program: Program, segments: Iterable[str]) -> list[Call]:
    return [call for name in segments for call in program.segments[name].calls]


def _parameters(program: Program, calls: Iterable[Call]) -> list[str]:
    """Of a function that makes some calls."""
    passed = (program.buffers[name] for name in _arguments(program, calls))
    return [
        f"{program.name}_t *m",
        *(
            f"{b.ctype} {b.name}" if b.name in program.by_value else f"const {b.ctype} *{b.name}"
            for b in passed
        ),
    ]


def _arguments(program: Program, calls: Iterable[Call]) -> list[str]:
    """Names of the caller's buffers that some calls touch."""
    used = used_buffers(calls)
    return [b.name for b in program.in_space(Space.ARGUMENT) if b.name in used]


def call_lines(
    calls: Iterable[Call], program: Program, names: Names, begin: int, *, marks: bool = False
) -> list[str]:
    """Calls with their titles; the first one is number `begin`, counted from 0."""
    lines: list[str] = []
    for index, call in enumerate(calls, begin + 1):
        lines += [_mark(index)] * marks
        title = f"{index}/{program.length} {call.node}"
        lines.append(f"    /* {title}{'  ' + call.note if call.note else ''} */")
        arguments = [names.argument(a, p) for a, p in zip(call.arguments, call.kernel.params, strict=True)]
        lines.extend(wrap_call(f"    {call.kernel.name}(", arguments))
    return lines + [_mark(0)] * marks


def _mark(number: int) -> str:
    """Stops an emulator, which reads the number and skips it: but for the stop nothing is executed."""
    return f'    __asm__ volatile("bkpt #{MARK}\\n\\t.short {number}" ::: "memory");'
