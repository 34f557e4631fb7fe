"""Charts as inline SVG. Colours come from the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 880, 340
LEFT, RIGHT, TOP, BOTTOM = 50, 164, 14, 46
"""Margins, in the units of the chart."""
LABEL_GAP = 19
"""Least distance between two labels at the right edge."""


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: written at its right end.
        points: (x, share in [0, 1]), x rising.
        style: CSS class.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str


def shares(lines: Sequence[Line], x_label: str, title: str) -> str:
    """A chart of shares over a number of steps.

    Args:
        lines: drawn in this order.
        x_label: below the axis.
        title: read out by screen readers.

    Returns:
        An `<svg>` element with the classes `grid`, `axis`, `name`, and those of the lines.
    """
    last = max(x for line in lines for x, _ in line.points)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        y = _y(share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    for tick in ticks(last):
        x = _x(tick, last)
        parts.append(
            f'<text class="axis" x="{x}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick:,}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    heights = spread([_y(line.points[-1][1]) for line in lines])
    for line, height in zip(lines, heights, strict=True):
        parts += _curve(line, last, height)
    return "\n".join([*parts, "</svg>"])


def _curve(line: Line, last: float, label_y: float) -> list[str]:
    path = " ".join(f"{_x(x, last):g},{_y(share):g}" for x, share in line.points)
    (x0, first), (x1, end) = line.points[0], line.points[-1]
    right = WIDTH - RIGHT + 12
    return [
        f'<g class="{line.style}">',
        f'<polyline class="curve" points="{path}"/>',
        f'<circle cx="{_x(x0, last):g}" cy="{_y(first):g}" r="4"/>',
        f'<circle cx="{_x(x1, last):g}" cy="{_y(end):g}" r="4"/>',
        f'<text class="name" x="{right}" y="{label_y + 5:g}"><tspan class="value">{100 * end:.1f} %</tspan> '
        f"{escape(line.name)}</text>",
        "</g>",
    ]


def ticks(last: float) -> list[int]:
    """Round numbers from 0 to `last`, five to ten of them."""
    step = next(s for e in range(8) for m in (1, 2, 5) if (s := m * 10**e) * 9 >= last)
    return list(range(0, int(last) + 1, step))


def spread(heights: Sequence[float]) -> list[float]:
    """The heights, moved apart as little as keeps `LABEL_GAP` between any two."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    result = list(heights)
    for before, after in pairwise(order):
        result[after] = max(result[after], result[before] + LABEL_GAP)
    return result


def _x(value: float, last: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * value / last, 1)


def _y(share: float) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)
