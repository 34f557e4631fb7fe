"""The published scheme, choice by choice, in miniature: what 8 bits hold, what becomes 0, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch trains the layers and is not installed")


@pytest.fixture
def published(benchmark: Any) -> Any:
    return benchmark("published")


def world(published: Any, classes: int = 4) -> tuple[Any, list[Any], Any]:
    """Small layers, and latents whose classes differ in their mean."""
    random = np.random.default_rng(0)
    tensor = lambda *shape: torch.from_numpy(random.normal(size=shape).astype(np.float32))  # noqa: E731
    shapes = ((12, 6), (5, 12), (16, 5), (8, 16), (classes, 8))
    weights = [tensor(*shape) * np.sqrt(2 / shape[1]) for shape in shapes]
    y = np.arange(96) % classes
    means = tensor(classes, 12)[y]
    seen = [means[:, None, :] + 0.3 * tensor(96, 4, 12), tensor(96, 1, 6).abs(), tensor(96, 4, 5)]
    return published.Layers(weights, [torch.zeros(shape[0]) for shape in shapes]), seen, y


def test_a_range_has_256_values_and_zero_is_one(published: Any) -> None:
    low, high = torch.tensor(-0.3), torch.tensor(1.0)
    x = torch.linspace(-0.5, 1.2, 10_000)
    found = published.rounded(x, low, high)
    step = float(high - low) / 255
    assert len(found.unique()) == 256
    assert (found == 0).any()
    inside = (x > low + step) & (x < high - step)
    assert float((found - x)[inside].abs().max()) <= step / 2 + 1e-6


@pytest.mark.parametrize(("errors", "kept"), [("unit", False), ("sample", True), ("float", True)])
def test_errors_below_half_a_step_of_a_fixed_range_are_lost(published: Any, errors: str, kept: bool) -> None:
    q = published.Ranges(published.Scheme(errors=errors))
    x = torch.zeros(2, 3, requires_grad=True)
    q(x, "layer 1").backward(torch.tensor([[0.003, -0.002, 0.001], [0.5, -0.5, 0.25]]))
    assert bool(x.grad[0].any()) == kept
    assert x.grad[1].numpy() == pytest.approx([0.5, -0.5, 0.25], abs=0.004)


def test_weights_without_a_copy_lose_small_changes_and_with_one_gather_them(published: Any) -> None:
    for weights, changes in (("anew", False), ("copied", True), ("float", True)):
        held = published.Held(
            published.Scheme(weights, rule="plain"), [torch.linspace(-1, 1, 32).reshape(4, 8)], []
        )
        start = held.weights[0].clone()
        gradient = torch.zeros(4, 8)
        gradient[1] = 0.001
        for _ in range(20):
            held.update([gradient], 1.0)
        moved = float((start[1] - held.weights[0][1]).mean())
        assert moved == pytest.approx(0.02 if changes else 0, abs=0.004), weights


def test_every_scheme_learns_and_says_what_is_lost(published: Any) -> None:
    layers, seen, y = world(published)
    before = [w.clone() for w in layers.weights]
    for name, scheme in published.SCHEMES.items():
        run = published.Run("made up", name, 15, 0.04, 0)
        found = published.train(run, scheme, layers, seen, y, seen, y)
        assert found["accuracy"] == found["learned"] > 0.8, name
        assert len(found["zeros"]) == (0 if scheme.errors == "float" else 5)
    assert all(bool((old == new).all()) for old, new in zip(before, layers.weights, strict=True))


@pytest.mark.parametrize("data", ["pictures", "ten pictures"])
def test_the_table_compares_with_float32(published: Any, data: str) -> None:
    table = {"pictures": published.table, "ten pictures": published.table_of_ten}[data]
    values = {"float32": 0.5, "uint8": 0.4}
    runs = [
        {
            "run": {"data": data, "scheme": scheme, "epochs": published.EPOCHS[data]}
            | {"rate": published.RATE[data], "seed": seed},
            "accuracy": value,
            "zeros": [] if scheme == "float32" else [0.5, 0.25, 0, 0, 0],
        }
        for scheme, value in values.items()
        for seed in (0, 1)
    ]
    row = next(line for line in table({"runs": runs}).splitlines() if line.startswith("| uint8 "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["uint8", "40.00 ± 0.00", "10.00", "50 / 25 / 0 / 0 / 0"]


def test_variants_differ_and_keep_what_is_theirs(benchmark: Any) -> None:
    latents = benchmark("published_latents")
    pictures = np.stack([np.full((10, 10, 3), value, np.float32) for value in (-0.5, 0.5)])
    x, y = latents.varied(pictures, 3, np.random.default_rng(0))
    assert x.shape == (6, 10, 10, 3)
    assert y.tolist() == [0, 0, 0, 1, 1, 1]
    assert np.abs(x).max() <= 1
    assert len({float(each.sum()) for each in x}) == 6
    assert x[:3].mean() < -0.1 < 0.1 < x[3:].mean()


def test_fewer_classes_are_the_first_ones_of_the_same_samples(benchmark: Any) -> None:
    latents = benchmark("published_latents")
    parts, y = latents.of_classes([np.arange(8).reshape(8, 1), np.arange(8) * 10], np.arange(8) % 4, 2)
    assert y.tolist() == [0, 1, 0, 1]
    assert [part.ravel().tolist() for part in parts] == [[0, 1, 4, 5], [0, 10, 40, 50]]
