"""The picture of ways to train: all that were tried are in it, once in each half, and the best stands out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

from mcugrad.advised import Advice, Choice, Limits
from mcugrad.report.chart import LABEL_GAP
from mcugrad.report.ways import HEIGHT, picture

SVG = "{http://www.w3.org/2000/svg}"
CHOICES = (
    Choice("all", "sr12", 60_000, 9, score=0.81, steps=10, updates=0.25),
    Choice("last:4", "sr16", 50_000, 9, score=0.86, steps=20),
    Choice("last:2", "sr16", 20_000, 9, score=0.6, steps=10),
    Choice("last:1", "sr16", 15_000, 9, score=None, steps=10),
)


def advice(choices: tuple[Choice, ...] = CHOICES, *, is_share: bool = True) -> Advice:
    before = 0.2 if is_share else -3.0
    return Advice(Limits(65_536), choices, choices[1], before, 128, is_share, 1.0)


def drawn(found: Advice) -> tuple[list[ElementTree.Element], list[str]]:
    """Dots, and all that is written."""
    root = ElementTree.fromstring(picture(found))
    return root.findall(f"{SVG}circle"), [each.text or "" for each in root.findall(f"{SVG}text")]


def test_every_way_that_has_a_score_is_a_dot_with_its_name() -> None:
    dots, words = drawn(advice())
    assert [dot.get("class") for dot in dots] == ["beaten", "best", "kept"]
    assert {"all sr12, 25 %", "last:4 sr16", "last:2 sr16", "RAM, KiB"} <= set(words)
    assert "last:1 sr16" not in words
    assert "right of 128 samples held out; 20.0% before training" in words
    heights = [float(dot.get("cy", "")) for dot in dots]
    assert heights[1] < heights[0] < heights[2]


def test_time_stands_beside_memory_where_it_is_known() -> None:
    timed = tuple(replace(each, instructions=1e6, milliseconds=5.0) for each in CHOICES)
    dots, words = drawn(advice(timed))
    assert len(dots) == 6
    assert "a step, ms" in words
    counted = tuple(replace(each, instructions=1e6) for each in CHOICES)
    assert "a step, instructions" in drawn(advice(counted))[1]


def test_errors_rise_from_zero() -> None:
    errors = tuple(replace(each, score=each.score and -each.score) for each in CHOICES)
    dots, words = drawn(advice(errors, is_share=False))
    heights = [float(dot.get("cy", "")) for dot in dots]
    assert heights[1] < heights[0] < heights[2]
    assert "mean squared error of 128 samples held out; error 3 before training" in words


def test_names_stay_apart_and_inside() -> None:
    """Nine ways of the same score, as many as are tried."""
    many = tuple(Choice(f"last:{i}", "sr16", 9_000 + i, 9, score=0.5, steps=10) for i in range(9, 0, -1))
    root = ElementTree.fromstring(picture(advice(many)))
    names = [each for each in root.findall(f"{SVG}text") if (each.text or "").startswith("last:")]
    heights = sorted(float(each.get("y", "")) for each in names)
    assert len(heights) == len(many)
    assert all(after - before >= LABEL_GAP for before, after in pairwise(heights))
    assert heights[-1] < HEIGHT
