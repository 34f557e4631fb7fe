"""Options of update rules that make no sense, and layers by name."""

from __future__ import annotations

from typing import Any

import pytest

import mcugrad as mg
from mcugrad.errors import UsageError
from mcugrad.training.rules import updates
from networks import Conv, Dense, model, samples

Update = mg.Update

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "rule": ({"rule": "sr9"}, "unknown update rule 'sr9'", "one of sr8, sr10"),
    "momentum 1": ({"momentum": 1.0}, r"momentum of 1 is not in \[0, 1\)", "0.9"),
    "momentum nan": ({"momentum": float("nan")}, "momentum of nan is not", "0.9"),
    "bits": ({"velocity_bits": 32}, "velocities of 32 bits are not available", "16, or 8"),
    "no velocities": (
        {"velocity_bits": 8},
        "there are no velocities to keep in 8 bits with batch 1 and no momentum",
        "momentum=0.9 or batch=8",
    ),
    "batch 0": ({"batch": 0}, "a batch of 0 samples makes no sense", "1 to 65535"),
    "batch nan": ({"batch": float("nan")}, "a batch of nan samples makes no sense", "1 to 65535"),
    "batch 1.5": ({"batch": 1.5}, "a batch of 1.5 samples makes no sense", "1 to 65535"),
    "decay": ({"weight_decay": -0.1}, "weight decay of -0.1 is not a finite number from 0 on", "0.0001"),
    "clip 0": ({"clip": 0.0, "batch": 2}, "a clip of 0 is not above 0", "0.02"),
    "clip without a plane": (
        {"clip": 0.1},
        "clipping needs the change of a whole row",
        "momentum=0.9 or batch=8",
    ),
    "standardized": (
        {"rule": "standardized", "momentum": 0.5, "clip": 1.0},
        "momentum, clip cannot be combined with the rule standardized",
        "a batch only",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_sense_is_refused(case: str) -> None:
    options, what, hint = WRONG[case]
    with pytest.raises(UsageError, match=what) as caught:
        Update(**options)
    assert hint in str(caught.value)


def test_layers_by_name() -> None:
    found = updates({"fc2": "sr8", "*": Update("sr12", batch=4)})
    assert (found.of("fc2"), found.of("conv1")) == (Update("sr8"), Update("sr12", batch=4))
    assert updates({"fc2": "sr8"}).of("conv1") == Update("sr16"), "sr16 where nothing is said"
    assert (
        found.describe(["conv1", "fc1", "fc2"])
        == "conv1, fc1 (sr12, batch 4, int16 plane), fc2 (sr8, in place)"
    )
    assert found.text == "fc2: sr8; others: sr12, batch 4, int16 plane"


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        ({"fc9": "sr8"}, "rule= names no layer of this model: 'fc9'"),
        (8, "rule=8 is neither a rule's name nor an Update"),
    ],
)
def test_wrong_choices_are_refused(choice: Any, what: str) -> None:
    net = model((1, 6, 6), (Conv(2), Conv(2, (1, 1)), Dense(4)))
    with pytest.raises(UsageError, match=what):
        mg.compile(net, calibration=samples(net, 4)[0], rule=choice)


def test_float32_has_no_options() -> None:
    net = model((1, 6, 6), (Conv(2), Conv(2, (1, 1)), Dense(4)))
    with pytest.raises(UsageError, match="options of update rules do not apply to precision='mixed'"):
        mg.compile(net, calibration=samples(net, 4)[0], rule=Update(momentum=0.9), precision="mixed")
