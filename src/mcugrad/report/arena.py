"""The working memory over time: where every buffer lies, from the first call that touches it to the last.

A prediction and a training step side by side, in the same memory; calls go to the right, bytes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mcugrad.plan import Plan
from mcugrad.program import PREDICT, TRAIN_STEP, Program, Space
from mcugrad.report.chart import marks, ticks

WIDTH, HEIGHT = 880, 380
LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 62, 8, 52, 60, 26
"""Margins and the gap between the two, in the units of the picture."""
NARROW = 260
"""Width of a prediction's half beside a training step's."""
LETTER, LINE = 6.6, 13
"""Room that a name takes: a letter, and a line."""
KEY = (
    ("kept", "kept for the backward pass"),
    ("passed", "from call to call"),
    ("alone", "of one call alone: scratch, rows of gradients"),
)
"""Classes of buffers, and what is said of them."""
STYLE = """
svg { --page: #ffffff; --ink: #16191d; --soft: #59636e; --grid: #ecedea; --new: #0a7d68; --old: #8a6d1f;
  --bad: #b3402a; }
@media (prefers-color-scheme: dark) { svg { --page: #15191d; --ink: #e8eaec; --soft: #9aa5b0; --grid: #252a2f;
  --new: #46c7a8; --old: #d3b25c; --bad: #f08a70; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
.page { fill: var(--page); } .grid { stroke: var(--grid); } .axis { fill: var(--soft); font-size: 13px; }
.head { font-size: 15px; } .head .value { font-weight: 700; } .inside { font-size: 11px; }
rect.kept, rect.passed, rect.alone { stroke: var(--page); stroke-width: .6; fill-opacity: .55; }
rect.kept { fill: var(--new); } rect.passed { fill: var(--old); } rect.alone { fill: var(--soft); }
.peak { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 3 3; }
"""
"""What a page's style sheet says where the picture is part of one."""


def picture(program: Program, plan: Plan) -> str:
    """The text of an SVG file that needs nothing else."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_title(program))}">\n<style>{STYLE}</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>\n{_content(program, plan)}\n</svg>\n'
    )


def arena(program: Program, plan: Plan) -> str:
    """The same as part of a page: an `<svg>` element with the class `memory`."""
    return (
        f'<svg class="chart memory" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(_title(program))}">\n{_content(program, plan)}\n</svg>'
    )


def _title(program: Program) -> str:
    return f"working memory of {program.name} over time"


def _content(program: Program, plan: Plan) -> str:
    right = WIDTH - RIGHT
    parts = [f"<title>{escape(_title(program))}</title>"]
    for mark in marks(plan.size):
        if mark <= plan.size:
            y = _y(mark, plan)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
            parts.append(
                f'<text class="axis" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{mark:,.0f}</text>'
            )
    parts.append(f'<text class="axis" x="4" y="{TOP - 30}">bytes</text>')
    if program.trains:
        middle = LEFT + NARROW
        parts += _half(program, plan, PREDICT, "a prediction", LEFT, middle)
        parts += _half(program, plan, TRAIN_STEP, "a training step", middle + BETWEEN, right)
    else:
        parts += _half(program, plan, PREDICT, "a prediction", LEFT, right)
    x = LEFT
    for style, text in KEY if program.trains else KEY[1:]:
        parts.append(f'<rect class="{style}" x="{x}" y="{HEIGHT - 21}" width="12" height="12"/>')
        parts.append(f'<text class="axis" x="{x + 18}" y="{HEIGHT - 10}">{text}</text>')
        x += 44 + round(LETTER * len(text))
    return "\n".join(parts)


def _half(program: Program, plan: Plan, entry: str, what: str, left: int, right: int) -> Iterator[str]:
    """An entry: its buffers, its calls along the axis, and where it is fullest."""
    end = program.end(entry)
    unit = (right - left) / max(end, 1)
    for name, (first, last, style) in _spans(program, entry).items():
        size, at = program.buffers[name].size, plan.offsets[name]
        x, width = left + first * unit, (min(last, end - 1) - first + 1) * unit
        y, height = _y(at + size, plan), _y(at, plan) - _y(at + size, plan)
        said = f"{name}: {size:,} B from {at:,} on, calls {first + 1} to {min(last, end - 1) + 1}"
        yield (
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
            f"<title>{escape(said)}</title></rect>"
        )
        if height >= LINE and width >= LETTER * len(name) + 6:
            yield f'<text class="inside" x="{x + 4:.1f}" y="{y + 11:.1f}">{escape(name)}</text>'
    peak = max(range(end), key=plan.live.__getitem__, default=0)
    call, x = program.at(peak), left + (peak + 0.5) * unit
    yield f'<line class="peak" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{HEIGHT - BOTTOM}"/>'
    yield (
        f'<text class="head" x="{left}" y="{TOP - 28}">{what}: <tspan class="value">'
        f"{plan.live[peak]:,} B</tspan></text>"
    )
    yield f'<text class="axis" x="{left}" y="{TOP - 11}">at most, in call {peak + 1}, {escape(call.node)}</text>'
    for tick in ticks(end)[:: 1 if right - left > 2 * NARROW else 2]:
        yield (
            f'<text class="axis" x="{left + tick * unit:.1f}" y="{HEIGHT - BOTTOM + 18}" '
            f'text-anchor="middle">{tick}</text>'
        )
    yield f'<text class="axis" x="{right}" y="{HEIGHT - BOTTOM + 34}" text-anchor="end">calls</text>'


def _spans(program: Program, entry: str) -> dict[str, tuple[int, int, str]]:
    """Of each buffer of the arena that an entry touches the first and the last of its calls, and its class."""
    found: dict[str, tuple[int, int]] = {}
    calls = [
        (time, call.buffers)
        for name in program.entries[entry].segments
        for time, call in enumerate(program.segments[name].calls, program.begins[name])
    ]
    for time, buffers in (*calls, (program.end(entry), program.entries[entry].reads)):
        for name in buffers:
            if program.buffers[name].space is Space.ARENA:
                first, _ = found.get(name, (time, time))
                found[name] = first, time
    later = _touched_later(program)
    return {
        name: (first, last, "kept" if name in later else "alone" if first == last else "passed")
        for name, (first, last) in found.items()
    }


def _touched_later(program: Program) -> set[str]:
    """Buffers that a prediction writes, and calls of a training step behind it read."""
    if not program.trains:
        return set()
    shared = program.entries[PREDICT].segments
    behind = (name for name in program.entries[TRAIN_STEP].segments if name not in shared)
    later = {buffer for name in behind for call in program.segments[name].calls for buffer in call.buffers}
    return later & {
        buffer for name in shared for call in program.segments[name].calls for buffer in call.buffers
    }


def _y(offset: float, plan: Plan) -> float:
    """Where a byte is, from above."""
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - offset / max(plan.size, 1)), 1)
