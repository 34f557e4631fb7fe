"""The demonstration as a page: what the report of any network has, with digits and both worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcugrad.demo.demo import Demo
from mcugrad.report.chart import Line, shares
from mcugrad.report.images import data_address
from mcugrad.report.page import render
from mcugrad.report.quantities import percent


def demo_page(demo: Demo, files: Mapping[str, str]) -> str:
    """The report of a demonstration.

    Args:
        demo: what came out.
        files: text of the exported files by name.
    """
    facts = demo.facts()
    old, new = demo.worlds.pictures
    digits = [
        {
            **answer,
            "old_picture": data_address(old[answer["index"]], demo.top),
            "new_picture": data_address(new[answer["index"]], demo.top),
        }
        for answer in facts["answers"]
    ]
    return render("demo.html.j2", facts, demo.cost.work_rows(), files, digits=digits, chart=_curve(facts))


def _curve(facts: Mapping[str, Any]) -> str:
    lines = [
        Line("new world", [(p["step"], p["new"]) for p in facts["curve"]], "new"),
        Line("old world", [(p["step"], p["old"]) for p in facts["curve"]], "old"),
    ]
    before, after = facts["before"], facts["after"]
    title = (
        f"Accuracy on held-out digits: new world from {percent(before['new'])} to {percent(after['new'])}, "
        f"old world from {percent(before['old'])} to {percent(after['old'])}"
    )
    return shares(lines, "training steps, one labelled digit of the new world each", title)
