"""The demonstration in one picture, for a README: an SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from mcugrad.demo.demo import Answer, Demo
from mcugrad.report import chart
from mcugrad.report.chart import Line, shares
from mcugrad.report.images import data_address
from mcugrad.report.quantities import percent, significant

WIDTH, HEIGHT = 920, 706
_MARGIN = 28
_CHART_Y = 112
_DIGITS_Y = 474
_COLUMN, _FIRST_COLUMN, _IMAGE = 70, 180, 44

_STYLE = """
svg { --page: #ffffff; --ink: #16191d; --soft: #59636e; --line: #e2e4e1; --grid: #ecedea; --new: #0a7d68;
  --old: #8a6d1f; --bad: #b3402a; }
@media (prefers-color-scheme: dark) { svg { --page: #15191d; --ink: #e8eaec; --soft: #9aa5b0; --line: #2c3238;
  --grid: #252a2f; --new: #46c7a8; --old: #d3b25c; --bad: #f08a70; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--ink); }
.page { fill: var(--page); stroke: var(--line); } .head { font-size: 30px; font-weight: 700; letter-spacing: -.02em; }
.lead, .row, .key { fill: var(--soft); font-size: 15px; } .from { fill: var(--soft); } .to { fill: var(--new); }
.grid { stroke: var(--grid); } .axis { fill: var(--soft); font-size: 13px; }
.curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
.name { font-size: 15px; } .value { font-weight: 700; }
.new .curve { stroke: var(--new); stroke-width: 3; } .new circle, .new text { fill: var(--new); }
.old .curve { stroke: var(--old); stroke-dasharray: 1 6; } .old circle, .old text { fill: var(--old); }
image { image-rendering: pixelated; } .frame { fill: none; stroke: var(--line); }
.say { font-size: 20px; font-weight: 700; } .right { fill: var(--new); } .wrong { fill: var(--bad); }
"""


def demo_picture(demo: Demo) -> str:
    """The picture of a demonstration: headline, accuracy curve, digits with the device's answers, costs."""
    before, after = demo.curve[0], demo.curve[-1]
    facts = demo.facts()
    curve = shares(
        [
            Line("new world", [(p.step, p.new) for p in demo.curve], "new"),
            Line("old world", [(p.step, p.old) for p in demo.curve], "old"),
        ],
        "training steps on the emulated device, one labelled digit each",
        f"Accuracy in the new world from {percent(before.new)} to {percent(after.new)}",
    )
    place = f'x="{_MARGIN - 8}" y="{_CHART_Y}" width="{chart.WIDTH}" height="{chart.HEIGHT}"'
    head = (
        f'Firmware that keeps learning: <tspan class="from">{percent(before.new)}</tspan> '
        f'→ <tspan class="to">{percent(after.new)}</tspan>'
    )
    lead = (
        f"The world changes: sensor upside down, contrast inverted. An emulated {facts['device']['title']} learns on, "
        f"in 8 bits."
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="12"/>',
        f'<text class="head" x="{_MARGIN}" y="56">{head}</text>',
        f'<text class="lead" x="{_MARGIN}" y="86">{lead}</text>',
        curve.replace("<svg ", f"<svg {place} ", 1),
        *_digits(demo),
        f'<text class="key" x="{_MARGIN}" y="{HEIGHT - 24}">{_costs(demo)}</text>',
    ]
    return "\n".join([*parts, "</svg>", ""])


def _digits(demo: Demo) -> Iterable[str]:
    names = ("old world", "new world", "before training", "after training")
    heights = (_DIGITS_Y + 24, _DIGITS_Y + 76, _DIGITS_Y + 128, _DIGITS_Y + 162)
    for name, height in zip(names, heights, strict=True):
        yield f'<text class="row" x="{_MARGIN}" y="{height + 5}">{name}</text>'
    for column, answer in enumerate(demo.answers):
        x = _FIRST_COLUMN + column * _COLUMN
        for row, pictures in enumerate(demo.worlds.pictures):
            y = heights[row] - _IMAGE / 2
            place = f'x="{x}" y="{y:g}" width="{_IMAGE}" height="{_IMAGE}"'
            yield f'<image {place} href="{data_address(pictures[answer.index], demo.top)}"/>'
            yield f'<rect class="frame" {place}/>'
        yield _say(answer, answer.new_before, x, heights[2])
        yield _say(answer, answer.new_after, x, heights[3])


def _say(answer: Answer, said: int, x: float, y: float) -> str:
    style = "right" if said == answer.label else "wrong"
    return f'<text class="say {style}" x="{x + _IMAGE / 2:g}" y="{y + 7}" text-anchor="middle">{said}</text>'


def _costs(demo: Demo) -> str:
    memory = {q.key: (q.value or 0) / 1024 for q in demo.cost.memory}
    step = {q.key: q.value or 0 for q in demo.cost.step}
    return (
        f"{memory['ram']:.1f} KiB of RAM, {memory['flash']:.1f} KiB of flash · a step: {significant(step['time'])} ms, "
        f"{significant(step['energy'])} µJ, estimated · device and PC twin: equal to the last bit"
    )
