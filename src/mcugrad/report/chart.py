"""Charts as inline SVG. Colours come from the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, log10

from mcugrad.report.quantities import percent
from mcugrad.report.scores import number

WIDTH, HEIGHT = 880, 340
LEFT, RIGHT, TOP, BOTTOM = 50, 164, 14, 46
"""Margins, in the units of the chart."""
MORE_LEFT, MORE_TOP = 24, 22
"""Added where the vertical axis has a title and longer numbers."""
LABEL_GAP = 19
"""Least distance between two labels at the right edge."""


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        name: written at its right end.
        points: (x, share in [0, 1], or value from 0 on), x rising.
        style: CSS class.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str


@dataclass(frozen=True)
class _Axis:
    """The vertical axis, from 0 on.

    Attributes:
        marks: with a line across the chart, rising; the last one is the top.
        mark: what is written beside a mark.
        end: what is written at the end of a curve.
        title: above the axis; empty for none.
    """

    marks: Sequence[float]
    mark: Callable[[float], str]
    end: Callable[[float], str]
    title: str = ""

    def y(self, value: float) -> float:
        """Where a value is, from above."""
        return _y(value / self.marks[-1])


_SHARES = _Axis((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), lambda share: f"{share:.0%}", percent)


def shares(lines: Sequence[Line], x_label: str, title: str) -> str:
    """A chart of shares over a number of steps.

    Args:
        lines: drawn in this order.
        x_label: below the axis.
        title: read out by screen readers.

    Returns:
        An `<svg>` element with the classes `grid`, `axis`, `name`, and those of the lines.
    """
    return _chart(lines, x_label, title, _SHARES, f"0 0 {WIDTH} {HEIGHT}")


def values(lines: Sequence[Line], x_label: str, y_label: str, title: str) -> str:
    """A chart of values from 0 on over a number of steps; likewise.

    Args:
        lines: drawn in this order.
        x_label: below the axis.
        y_label: above the vertical axis.
        title: read out by screen readers.
    """
    axis = _Axis(marks(max(y for line in lines for _, y in line.points)), number, number, y_label)
    return _chart(
        lines, x_label, title, axis, f"{-MORE_LEFT} {-MORE_TOP} {WIDTH + MORE_LEFT} {HEIGHT + MORE_TOP}"
    )


def _chart(lines: Sequence[Line], x_label: str, title: str, axis: _Axis, view: str) -> str:
    last = max(x for line in lines for x, _ in line.points)
    parts = [
        f'<svg class="chart" viewBox="{view}" role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
    ]
    if axis.title:
        parts.append(f'<text class="axis" x="{-MORE_LEFT}" y="-8">{escape(axis.title)}</text>')
    for mark in axis.marks:
        y = axis.y(mark)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="axis" x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{axis.mark(mark)}</text>'
        )
    for tick in ticks(last):
        x = _x(tick, last)
        parts.append(
            f'<text class="axis" x="{x}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick:,}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    heights = spread([axis.y(line.points[-1][1]) for line in lines])
    for line, height in zip(lines, heights, strict=True):
        parts += _curve(line, last, axis, height)
    return "\n".join([*parts, "</svg>"])


def _curve(line: Line, last: float, axis: _Axis, label_y: float) -> list[str]:
    path = " ".join(f"{_x(x, last):g},{axis.y(value):g}" for x, value in line.points)
    (x0, first), (x1, end) = line.points[0], line.points[-1]
    right = WIDTH - RIGHT + 12
    return [
        f'<g class="{line.style}">',
        f'<polyline class="curve" points="{path}"/>',
        f'<circle cx="{_x(x0, last):g}" cy="{axis.y(first):g}" r="4"/>',
        f'<circle cx="{_x(x1, last):g}" cy="{axis.y(end):g}" r="4"/>',
        f'<text class="name" x="{right}" y="{label_y + 5:g}"><tspan class="value">{axis.end(end)}</tspan> '
        f"{escape(line.name)}</text>",
        "</g>",
    ]


def ticks(last: float) -> list[int]:
    """Round numbers from 0 to `last`, five to ten of them."""
    step = next(s for e in range(8) for m in (1, 2, 5) if (s := m * 10**e) * 9 >= last)
    return list(range(0, int(last) + 1, step))


def marks(largest: float) -> list[float]:
    """Round numbers from 0 to one that is not below `largest`, up to five steps; 0 to 1 for 0."""
    if largest <= 0:
        return marks(1.0)
    tens = 10.0 ** floor(log10(largest))
    step = next(s for s in (0.2, 0.25, 0.5, 1.0, 2.0) if s * 5 * tens >= largest) * tens
    return [float(f"{i * step:.6g}") for i in range(ceil(round(largest / step, 9)) + 1)]


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
