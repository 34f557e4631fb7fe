"""The ways to train that were tried: what each takes of RAM and of time, and what it brings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mcugrad.report.chart import marks, spread
from mcugrad.report.scores import number

if TYPE_CHECKING:
    from mcugrad.advised import Advice, Choice

WIDTH, HEIGHT = 880, 380
LEFT, RIGHT, TOP, BOTTOM, BETWEEN = 66, 150, 40, 52, 200
"""Margins and the gap between two halves, in the units of the picture; names stand right of each half."""
KB = 1024
STYLE = """
svg { --page: #ffffff; --ink: #16191d; --soft: #59636e; --grid: #ecedea; --new: #0a7d68; }
@media (prefers-color-scheme: dark) { svg { --page: #15191d; --ink: #e8eaec; --soft: #9aa5b0; --grid: #252a2f;
  --new: #46c7a8; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; font-size: 13px; }
text { fill: var(--ink); } .page { fill: var(--page); } .grid { stroke: var(--grid); } .axis { fill: var(--soft); }
circle { fill: var(--soft); } circle.kept { fill: var(--ink); }
.best { fill: var(--new); } text.best { font-weight: 700; }
.lead { stroke: var(--soft); stroke-width: .6; fill: none; }
"""


def picture(advice: Advice) -> str:
    """The text of an SVG file that needs nothing else: scores over RAM, and over time where that is known.

    The best is coloured, what another way beats in everything is pale; what diverged is left out.
    """
    halves = [("RAM, KiB", [each.ram / KB for each in advice.choices])]
    if all(each.milliseconds is not None for each in advice.choices):
        halves.append(("a step, ms", [each.milliseconds or 0.0 for each in advice.choices]))
    elif all(each.instructions is not None for each in advice.choices):
        halves.append(("a step, instructions", [each.instructions or 0.0 for each in advice.choices]))
    title = f"ways to train within {advice.limits.text}: what they take, and samples held out"
    wide = (WIDTH - LEFT - RIGHT - BETWEEN * (len(halves) - 1)) / len(halves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>',
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>\n<title>{escape(title)}</title>',
        f'<text x="{LEFT}" y="20">{escape(_heading(advice))}</text>',
    ]
    for place, (label, spent) in enumerate(halves):
        parts += _half(advice, label, spent, LEFT + place * (wide + BETWEEN), wide)
    return "\n".join([*parts, "</svg>\n"])


def _heading(advice: Advice) -> str:
    what = "right" if advice.is_share else "mean squared error"
    return f"{what} of {advice.held_out} samples held out; {advice.score(advice.before)} before training"


def _height(score: float, advice: Advice) -> float:
    """Where a score is: shares from 0 to 1, errors from 0 at the bottom to the largest."""
    if advice.is_share:
        share = score
    else:
        known = [each.score for each in advice.choices if each.score is not None]
        share = -score / marks(max(-advice.before, *(-each for each in known)))[-1]
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)


def _half(advice: Advice, label: str, spent: Sequence[float], left: float, wide: float) -> list[str]:
    across = marks(max(spent))
    parts = [
        f'<line class="grid" x1="{left:g}" x2="{left + wide:g}" y1="{y:g}" y2="{y:g}"/>\n'
        f'<text class="axis" x="{left - 8:g}" y="{y + 4:g}" text-anchor="end">{text}</text>'
        for y, text in _levels(advice)
    ]
    for mark in across:
        x = left + wide * mark / across[-1]
        parts.append(
            f'<text class="axis" x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{number(mark)}</text>'
        )
    parts.append(
        f'<text class="axis" x="{left + wide / 2:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(label)}</text>'
    )
    shown = [
        (each, left + wide * x / across[-1], _height(each.score, advice))
        for each, x in zip(advice.choices, spent, strict=True)
        if each.score is not None
    ]
    for (each, x, y), beside in zip(shown, spread([y for *_, y in shown]), strict=True):
        style = _style(each, advice)
        parts.append(
            f'<path class="lead" d="M{x:.1f} {y:g} L{left + wide + 8:.1f} {beside:g}"/>\n'
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:g}" r="5"/>\n'
            f'<text class="{style}" x="{left + wide + 12:.1f}" y="{beside + 4:g}">{escape(_name(each))}</text>'
        )
    return parts


def _levels(advice: Advice) -> list[tuple[float, str]]:
    if advice.is_share:
        return [(_height(share, advice), f"{share:.0%}") for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    known = [-each.score for each in advice.choices if each.score is not None]
    return [(_height(-mark, advice), number(mark)) for mark in marks(max(-advice.before, *known))]


def _style(each: Choice, advice: Advice) -> str:
    return "best" if each is advice.best else "beaten" if each.is_dominated(advice.choices) else "kept"


def _name(each: Choice) -> str:
    part = "" if each.updates == 1 else f", {100 * each.updates:g} %"
    return f"{each.train} {each.rule}{part}"
