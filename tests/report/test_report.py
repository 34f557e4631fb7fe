"""Reports: numbers with their origin, charts, images, and a page that needs nothing else."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from mcugrad import targets
from mcugrad.demo import Demo, Settings, run
from mcugrad.demo.page import demo_page
from mcugrad.demo.picture import demo_picture
from mcugrad.measure.cost import Activity, Cost
from mcugrad.measure.cycles import CycleEstimate
from mcugrad.measure.energy import EnergyEstimate
from mcugrad.report.chart import LABEL_GAP, Line, marks, shares, spread, ticks, values
from mcugrad.report.images import data_address, png
from mcugrad.report.page import model_page
from mcugrad.report.quantities import cost_table, percent, significant
from mcugrad.zoo import data

VOID = {"meta", "br", "img", "hr", "link", "input"}


@pytest.fixture(scope="module")
def demo() -> Demo:
    """Of few steps, and with few digits held out."""
    found = data.load("digits")
    fewer = replace(found, x_test=found.x_test[:50], y_test=found.y_test[:50])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcugrad.demo.demo.data", SimpleNamespace(load=lambda _: fewer))
        return run(Settings(steps=10, every=5))


@pytest.fixture(scope="module")
def page(demo: Demo) -> str:
    return demo_page(demo, demo.trainer.build.compiled.files)


class Checker(HTMLParser):
    """Every element is closed in order; addresses and ids are collected."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.mcu
def test_page_is_well_formed_and_needs_nothing_else(page: str) -> None:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert not {"script", "link", "iframe", "object"} & set(checker.tags)
    assert len(checker.addresses) == 20
    assert all(address.startswith("data:image/png;base64,") for address in checker.addresses)
    assert not re.search(r"https?:|url\(|@import", page)
    assert len(page) < 100_000


@pytest.mark.mcu
def test_page_tells_what_the_facts_tell(demo: Demo, page: str) -> None:
    facts = demo.facts()
    for share in (*facts["before"].values(), *facts["after"].values(), *facts["replay"].values()):
        assert percent(share) in page
    for quantity in (q for kind in facts["cost"].values() for q in kind):
        assert quantity["text"] in page
    assert "undefined" not in page.lower()
    assert "None" not in page
    assert "nan" not in re.findall(r"[a-z]+", page)
    assert page.count("<tr") > 20


def test_page_of_a_model_that_knows_little() -> None:
    cycles = CycleEstimate(1000, 10, "estimated, zero wait states", "a manual")
    activity = Activity(instructions=800, cycles=cycles, energy=None, milliseconds=None)
    cost = Cost(targets.load("cortex-m3"), 2000, 64, 300, 9000, activity, activity)
    table = cost_table(cost, name="net", built_with="zig 1, -O3", runs="1 prediction")
    choice = {"rule": None, "fits": False, "constants_bytes": None, "ram_bytes": None, "problem": "too large"}
    facts = {
        "model": "net",
        "source": "<net>.onnx",
        "sha256": "0" * 64,
        "input_shape": [4],
        "loss": "cross_entropy",
        "classes": 2,
        "outputs": 2,
        "parameters": 10,
        "macs": 8,
        "rule": "sr8",
        "rate": 0.01,
        "precision": "int8",
        "seed": 0,
        "schedule": "cosine",
        "data": "mine",
        "trained_layers": ["fc1"],
        "layers": [{"name": "fc1", "what": "linear  4 -> 2", "parameters": 10, "macs": 8}],
        "device": {"title": "a core", "core": "M3", "ram_bytes": 1024, "flash_bytes": 2048, "clock_hz": None},
        "choices": [{**choice, "train": "bias"}],
        "curve": [
            {"step": 0, "training": 0.5, "held_out": None},
            {"step": 9, "training": 0.75, "held_out": None},
        ],
        "training_notes": [],
        "compared": {"steps": 4, "state_bytes": 44},
        "cost": table.facts(),
        "functions": [{"name": "net_train_step", "instructions": 800.0, "cycles": 1000.0, "share": 1.0}],
        "sources": table.sources(),
        "notes": [],
    }
    page = model_page(facts, table.work_rows(), {"net.c": "int x;\n"}, '<svg class="chart memory"></svg>')
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "&lt;net&gt;.onnx" in page
    assert "not known" in page
    assert "too large" in page
    assert '<svg class="chart memory"></svg>' in page
    assert "The data have no held-out samples." in page
    assert "µJ" not in page.split("</style>")[1]


@pytest.mark.mcu
def test_picture_is_an_svg_that_needs_nothing_else(demo: Demo) -> None:
    text = demo_picture(demo)
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"https?://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert text == demo_picture(demo)
    assert len(text) < 50_000
    assert percent(demo.curve[-1].new) in text


def test_chart_is_well_formed_and_ends_where_the_data_end() -> None:
    lines = [Line("a < b", [(0, 0.0), (1000, 1.0)], "new"), Line("c", [(0, 0.5), (1000, 0.99)], "old")]
    root = ET.fromstring(shares(lines, "steps & more", "a title"))
    texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("text")]
    assert "100.0 % a < b" in texts
    assert "99.0 % c" in texts
    assert "steps & more" in texts
    curves = [node.attrib["points"].split() for node in root.iter() if node.tag == "polyline"]
    assert [len(points) for points in curves] == [2, 2]
    assert len({points[-1].split(",")[0] for points in curves}) == 1


def test_chart_of_values_begins_at_0_and_ends_above_the_largest() -> None:
    lines = [Line("held out", [(0, 0.00031), (1000, 0.00012)], "new")]
    root = ET.fromstring(values(lines, "steps", "error, in V\N{SUPERSCRIPT TWO}", "a title"))
    texts = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("text")]
    assert texts[:6] == ["error, in V\N{SUPERSCRIPT TWO}", "0", "0.0001", "0.0002", "0.0003", "0.0004"]
    assert texts[-1] == "0.00012 held out"
    assert not any("%" in text for text in texts)
    (points,) = (node.attrib["points"].split() for node in root.iter() if node.tag == "polyline")
    heights = [float(point.split(",")[1]) for point in points]
    assert heights[0] < heights[1]
    assert heights[0] >= min(float(node.attrib["y1"]) for node in root.iter() if node.tag == "line")


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        (0.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1.1, [0, 0.25, 0.5, 0.75, 1, 1.25]),
        (3.33, [0, 1, 2, 3, 4]),
        (9.9, [0, 2, 4, 6, 8, 10]),
        (4.1e-7, [0, 1e-7, 2e-7, 3e-7, 4e-7, 5e-7]),
        (7e12, [0, 2e12, 4e12, 6e12, 8e12]),
    ],
)
def test_marks_are_few_and_round(largest: float, expected: list[float]) -> None:
    assert marks(largest) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (6735, list(range(0, 7000, 1000))),
        (60, list(range(0, 61, 10))),
        (1, [0, 1]),
        (900, list(range(0, 901, 100))),
    ],
)
def test_ticks_are_few_and_round(last: int, expected: list[int]) -> None:
    assert ticks(last) == expected


def test_labels_are_kept_apart() -> None:
    assert spread([10, 200]) == [10, 200]
    assert spread([50, 45, 48]) == [45 + 2 * LABEL_GAP, 45, 45 + LABEL_GAP]


def test_png_can_be_read_back() -> None:
    image = np.array([[0, 16], [8, 4], [16, 0]], np.uint8)
    address = data_address(image, 16)
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    assert content == png(np.array([[255, 0], [128, 191], [0, 255]], np.uint8))
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert content[16:24] == bytes([0, 0, 0, 2, 0, 0, 0, 3])
    start = content.index(b"IDAT") + 4
    size = int.from_bytes(content[start - 8 : start - 4])
    assert zlib.decompress(content[start : start + size]) == bytes([0, 255, 0, 0, 128, 191, 0, 0, 255])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0581, "0.058"),
        (0.581, "0.581"),
        (9.6, "9.60"),
        (58.57, "58.6"),
        (133.2, "133"),
        (12345.6, "12,300"),
    ],
)
def test_three_digits_are_enough(value: float, text: str) -> None:
    assert significant(value) == text


def test_a_cost_prints_as_lines() -> None:
    cycles = CycleEstimate(221_763, 10, "estimated, zero wait states", "a manual")
    known = Activity(172_806.0, cycles, EnergyEstimate(34.4, 18.6, 52.9, "estimated", "a manual"), 3.465)
    unknown = Activity(instructions=800.5, cycles=cycles, energy=None, milliseconds=None)
    assert str(replace(unknown, milliseconds=2436.1)).endswith("± 10 %, 2,440 ms")
    board = targets.load("nrf52840")
    assert str(Cost(board, 6912, 64, 1536, 39_322, known, unknown)).splitlines() == [
        "nrf52840: RAM 8.3 KiB (model 6.8, sample 0.1, stack 1.5), flash 38.4 KiB",
        "prediction: 172,806 instructions, 221,763 cycles ± 10 %, 3.46 ms, 34.4 µJ (18.6 to 52.9)",
        "training step: 800 instructions, 221,763 cycles ± 10 %",
    ]
    assert str(Cost(board, 6912, 64, 1536, 39_322, known, None)).count("\n") == 1


def test_what_is_not_known_is_said() -> None:
    cycles = CycleEstimate(1000, 10, "estimated, zero wait states", "a manual")
    activity = Activity(instructions=800, cycles=cycles, energy=None, milliseconds=None)
    cost = Cost(targets.load("cortex-m3"), 2000, 64, 300, 9000, activity, None)
    table = cost_table(cost, name="net", built_with="zig 1, -O3", runs="1 prediction")
    assert table.step == ()
    assert {q.key: q.text for q in table.predict} == {
        "instructions": "800",
        "cycles": "1,000 ± 10 %",
        "time": "not known",
        "energy": "not known",
    }
    assert [len(row) for row in table.work_rows()] == [3] * 4
    assert table.sources() == ["cycles: a manual"]
    assert {q.key: q.value for q in table.memory}["ram"] == 2364
    assert all(q.how for kind in (table.memory, table.predict) for q in kind)
