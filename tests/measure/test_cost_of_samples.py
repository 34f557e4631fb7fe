"""What a share of the samples costs: told of steps that are taken and of those that are left out."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import mcugrad as mg
from mcugrad.measure.cost import Cost
from mcugrad.report.quantities import cost_table
from networks import Dense, model, samples
from thoroughness import LONG

pytest.importorskip("unicorn", reason="the emulator is not installed")
pytestmark = [pytest.mark.mcu, pytest.mark.usefixtures("without_memory")]

WAYS: dict[str, dict[str, Any]] = {
    "one by one": {},
    "batches": {"rule": mg.Update("sr12", batch=4, momentum=0.9)},
}


@cache
def cost(share: float | None, seed: int = 0, way: str = "one by one") -> Cost:
    net = model((9,), (Dense(20, "relu"), Dense(4)))
    x, y = samples(net, 4)
    sparse = None if share is None else mg.Sparse(samples=share)
    trainer = mg.compile(net, calibration=x, rate=0.01, seed=seed, sparse=sparse, **WAYS[way])
    return trainer.measure(x, y, target="nrf52840")


@pytest.mark.parametrize("way", WAYS)
def test_a_step_is_the_mean_of_one_that_is_taken_and_one_that_is_not(way: str) -> None:
    """Exactly, whatever the seed; what is left out costs a prediction and little more."""
    whole = cost(None, way=way)
    assert whole.step is not None
    assert (whole.taken, whole.left_out, whole.share) == (None, None, 1.0)
    means = []
    others = ((0, 0.25), (1, 0.25), (0, 0.99)) if way == "one by one" or LONG else ((0, 0.25),)
    for seed, share in others:
        found = cost(share, seed, way)
        assert found.step is not None
        assert found.taken is not None
        assert found.left_out is not None
        part = int(share * 65536 + 0.5) / 65536
        assert found.share == part
        taken, left_out = found.taken.instructions, found.left_out.instructions
        assert found.step.instructions == pytest.approx(part * taken + (1 - part) * left_out, rel=1e-12)
        cycles = part * found.taken.cycles.cycles + (1 - part) * found.left_out.cycles.cycles
        assert found.step.cycles.cycles == round(cycles)
        assert found.predict.instructions < left_out < 0.5 * (found.predict.instructions + taken)
        assert taken == pytest.approx(whole.step.instructions, rel=0.12), "and drawing it"
        means.append(found.step.instructions)
    if len(means) > 1:
        assert means[0] == pytest.approx(means[1], rel=0.02)
        assert means[0] < means[2]


def test_all_three_are_said() -> None:
    found = cost(0.25)
    lines = str(found).splitlines()
    assert lines[3:] == [f"  taken, 25 %: {found.taken}", f"  left out: {found.left_out}"]
    table = cost_table(found, name="net", built_with="zig 1, -O3", runs="a few")
    counts, *_, energy = table.step
    assert found.taken is not None
    assert found.left_out is not None
    assert counts.how == (
        f"emulated: counted one by one, mean; 25 % are taken: {found.taken.instructions:,.0f}, 75 % are left out: "
        f"{found.left_out.instructions:,.0f}"
    )
    assert "; 25 % are taken: " in energy.how
    facts = table.facts()
    assert facts["step_taken"][0]["value"] == found.taken.instructions
    assert facts["step_left_out"][0]["value"] == found.left_out.instructions
