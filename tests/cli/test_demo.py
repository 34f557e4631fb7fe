"""The demonstration, shortened: it learns, device and twin agree, the same facts come out twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from builds import built_with
from mcugrad.cli import main
from mcugrad.demo import Demo, Point, Settings, prepare, run, stream
from mcugrad.errors import MismatchError
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.zoo import data

SHORT = Settings(steps=300, every=100)


HELD_OUT = 100


@pytest.fixture(scope="module", autouse=True)
def as_users_get_it() -> Iterator[None]:
    """Half of a second of emulated instructions is more than compiling takes. Fewer digits are held out."""
    found = data.load("digits")
    fewer = replace(found, x_test=found.x_test[:HELD_OUT], y_test=found.y_test[:HELD_OUT])
    with built_with("-O3", EmulatedDevice), pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcugrad.demo.demo.data", SimpleNamespace(load=lambda _: fewer))
        yield


@pytest.fixture(scope="module")
def told() -> list[Point]:
    return []


@pytest.fixture(scope="module")
def demo(told: list[Point]) -> Demo:
    return run(SHORT, told.append)


@pytest.mark.mcu
def test_it_learns_the_new_world(demo: Demo) -> None:
    first, last = demo.curve[0], demo.curve[-1]
    assert [point.step for point in demo.curve] == [0, 100, 200, 300]
    assert first.old > 0.95
    assert first.new < 0.3
    assert last.new > 0.55
    assert last.old < first.old


@pytest.mark.mcu
def test_replay_forgets_less(demo: Demo) -> None:
    assert demo.replay.old > demo.curve[-1].old


@pytest.mark.mcu
def test_everything_was_compared(demo: Demo) -> None:
    state = sum(value.nbytes for value in demo.trainer.state.values())
    assert demo.compared == {"states": 3, "state_bytes": state, "losses": 300, "logits": 4 * HELD_OUT * 10}


@pytest.mark.mcu
def test_answers_are_for_the_first_digit_of_each_class(demo: Demo) -> None:
    assert [answer.label for answer in demo.answers] == list(range(10))
    for answer in demo.answers:
        assert demo.worlds.y_test[answer.index] == answer.label
        assert not (demo.worlds.y_test[: answer.index] == answer.label).any()
    share = np.mean([answer.old_before == answer.label for answer in demo.answers])
    assert share > 0.8


@pytest.mark.mcu
def test_cost_is_within_the_board(demo: Demo) -> None:
    memory = {q.key: q.value or 0 for q in demo.cost.memory}
    assert 0 < memory["ram"] < 256 * 1024
    assert 0 < memory["flash"] < 1024 * 1024
    predict = {q.key: q.value or 0 for q in demo.cost.predict}
    step = {q.key: q.value or 0 for q in demo.cost.step}
    assert all(step[key] > predict[key] > 0 for key in ("instructions", "cycles", "time", "energy"))


@pytest.mark.mcu
def test_every_point_is_told(demo: Demo, told: list[Point]) -> None:
    assert tuple(told) == demo.curve


@pytest.mark.mcu
def test_one_different_bit_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = EmulatedDevice.state

    def flipped(device: EmulatedDevice) -> dict[str, np.ndarray]:
        state = honest(device)
        state["conv1_w"].reshape(-1)[3] ^= 1
        return state

    monkeypatch.setattr(EmulatedDevice, "state", flipped)
    with pytest.raises(MismatchError, match="device and twin differ after 0 training steps") as caught:
        run(Settings(steps=10, every=10))
    assert "conv1_w: 1 of 72 bytes differ, first at element 3" in caught.value.where


def test_worlds_hold_the_same_digits() -> None:
    _, digits = prepare(SHORT)
    old, new = digits.pictures
    assert np.array_equal(16 - old[:, ::-1, ::-1], new)
    assert len(digits.old) == len(digits.new) == len(digits.y) == 1347
    assert len(digits.old_test) == len(digits.new_test) == len(digits.y_test) == HELD_OUT


def test_stream_is_whole_passes_in_random_order() -> None:
    order = stream(Settings(passes=2), 50)
    assert sorted(order[:50]) == sorted(order[50:]) == list(range(50))
    assert list(order[:50]) != list(order[50:])
    assert list(stream(Settings(passes=2, steps=7), 50)) == list(order[:7])


@pytest.mark.mcu
def test_verb_gives_the_same_facts_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = data.load("digits")
    fewer = replace(found, x_test=found.x_test[:30], y_test=found.y_test[:30])
    monkeypatch.setattr("mcugrad.demo.demo.data", SimpleNamespace(load=lambda _: fewer))
    assert main(["demo", "--out", str(tmp_path / "a"), "--steps", "60", "--json"]) == 0
    machine = capfd.readouterr()
    assert (
        main(["demo", "--out", str(tmp_path / "b"), "--steps", "60", "--picture", str(tmp_path / "p.svg")])
        == 0
    )
    people = capfd.readouterr()
    names = sorted(str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert names == [
        *(
            f"firmware/{name}"
            for name in ("LICENSE", "README.md", "digits_cnn.c", "digits_cnn.h", "examples/main.c")
        ),
        "firmware/mcugrad.sha256",
        "mcugrad.sha256",
        "report.html",
        "report.json",
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert len(json.loads(machine.out)["curve"]) == 2
    assert json.loads(machine.out) == json.loads((tmp_path / "a/report.json").read_text())
    assert "Device and twin agree in every bit" in people.out
    assert "step     60" in people.out
    assert machine.err == people.err == ""
    assert str(tmp_path) not in (tmp_path / "a/report.html").read_text() + machine.out
