"""The picture of the working memory: every buffer is where the plan says, and it needs nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import pytest

import mcugrad as mg
from mcugrad.program import Space
from mcugrad.report import arena as module
from mcugrad.report.arena import arena, picture
from mcugrad.run.runner import Compiled
from networks import FASHION, model, samples

SVG = "{http://www.w3.org/2000/svg}"


@cache
def compiled(train: str) -> Compiled:
    net = model((1, 28, 28), FASHION, name="fashion")
    return mg.compile(net, calibration=samples(net, 8)[0], rule="sr8", train=train).build.compiled


@pytest.mark.parametrize("train", ["all", "none"])
def test_it_is_a_file_that_needs_nothing_else(train: str) -> None:
    made = compiled(train)
    text = picture(made.program, made.plan)
    assert ET.fromstring(text).tag == f"{SVG}svg"
    assert re.findall(r"https?://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert ("a training step" in text) == (train == "all")
    assert text == picture(made.program, made.plan)
    part = arena(made.program, made.plan)
    assert part.startswith('<svg class="chart memory"')
    assert "<style>" not in part
    ET.fromstring(part)


def test_every_buffer_is_where_it_was_planned() -> None:
    made = compiled("all")
    root = ET.fromstring(picture(made.program, made.plan))
    boxes = {}
    for box in root.iter(f"{SVG}rect"):
        title = box.find(f"{SVG}title")
        if title is not None:
            boxes.setdefault(title.text.split(":")[0], []).append(box)  # type: ignore[union-attr]
    arrays = {b.name: b for b in made.program.in_space(Space.ARENA)}
    assert set(boxes) == set(arrays)
    unit = (module.HEIGHT - module.TOP - module.BOTTOM) / made.plan.size
    for name, found in boxes.items():
        for box in found:
            bottom = float(box.attrib["y"]) + float(box.attrib["height"])
            at = (module.HEIGHT - module.BOTTOM - bottom) / unit
            assert at == pytest.approx(made.plan.offsets[name], abs=0.3 / unit)
            assert float(box.attrib["height"]) / unit == pytest.approx(arrays[name].size, abs=0.3 / unit)
            assert float(box.attrib["x"]) >= module.LEFT
            assert float(box.attrib["x"]) + float(box.attrib["width"]) <= module.WIDTH - module.RIGHT + 0.2


def test_the_fullest_moment_is_named() -> None:
    made = compiled("all")
    text = picture(made.program, made.plan)
    call = made.program.at(made.plan.peak)
    assert f"{max(made.plan.live):,} B" in text
    assert f"at most, in call {made.plan.peak + 1}, {call.node}" in text
    assert "conv1_y: 3,136 B from" in text


def test_what_is_kept_for_the_backward_pass_is_marked() -> None:
    made = compiled("all")
    root = ET.fromstring(picture(made.program, made.plan))
    kept = {
        box.findtext(f"{SVG}title", "").split(":")[0]
        for box in root.iter(f"{SVG}rect")
        if box.attrib["class"] == "kept"
    }
    assert {"conv1_y", "conv2_y"} <= kept
    assert not {name for name in kept if name.endswith("_e")}
