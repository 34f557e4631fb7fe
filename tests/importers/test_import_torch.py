"""Importing PyTorch modules: what comes in equals the module, which stays as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
import torch_exports
from mcugrad.errors import ModelError, ToolError, UsageError
from mcugrad.graph.spec import check
from mcugrad.importers.shared import hints
from mcugrad.importers.torch import LAYOUT, TRY, _sample, is_module, load_torch
from mcugrad.passes.calibrate import run_float
from mcugrad.passes.fold import fold

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture
def net(torch: ModuleType) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(12, 5)),
    )
    net[1].running_mean.uniform_(-1, 1)
    net[1].running_var.uniform_(0.5, 2)
    return net


def test_outputs_are_the_modules(torch: ModuleType, net: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 10, 10)).astype(np.float32)
    graph = check(fold(check(load_torch(net, x))))
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(
        run_float(graph, x.transpose(0, 2, 3, 1))[graph.output], expected, rtol=1e-4, atol=1e-4
    )
    assert graph.name == "sequential"


def test_the_module_stays_as_it_was(torch: ModuleType, net: Any, capfd: pytest.CaptureFixture[str]) -> None:
    net.train()
    net[1].eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    load_torch(net, torch.zeros(1, 2, 10, 10))
    assert [part.training for part in net] == [i != 1 for i in range(len(net))]
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert capfd.readouterr() == ("", "")


def test_loading(torch: ModuleType, net: Any) -> None:
    x = np.zeros((3, 2, 10, 10))
    model = mg.load(net, example=x)
    assert (model.name, model.source, model.input_shape, model.classes) == (
        "sequential",
        "Sequential",
        (10, 10, 2),
        5,
    )
    assert len(model.digest) == 64
    with torch_exports.read_anew():
        assert mg.load(net, example=torch.from_numpy(x)).digest == model.digest
    assert mg.load(net, example=x, name="My Net").name == "my_net"
    with torch.no_grad():
        net[0].bias += 1
    assert mg.load(net, example=x).digest != model.digest


def test_a_module_in_double_precision(torch: ModuleType, net: Any) -> None:
    graph = load_torch(net.double(), np.zeros((1, 2, 10, 10), np.float32))
    assert "weights converted from double to float32" in graph.notes


def test_a_module_that_branches_on_values(torch: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    class Branch(torch.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError) as caught:
        load_torch(Branch(), np.zeros((1, 4)))
    assert caught.value.what.startswith("PyTorch cannot export the module: Could not guard on data-dependent")
    assert caught.value.where == "Branch"
    assert "forward must not branch on values" in caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_an_example_of_the_wrong_shape(net: Any) -> None:
    with pytest.raises(ModelError, match="PyTorch cannot export the module: ") as caught:
        load_torch(net, np.zeros((1, 3, 10, 10)))
    assert "to have 2 channels, but got 3" in caught.value.what
    with pytest.raises(
        UsageError, match=r"example has shape \(10,\); the module's input, batch first, is needed"
    ):
        load_torch(net, np.zeros(10))
    with pytest.raises(UsageError, match="example has dtype <U1, not numbers"):
        load_torch(net, np.asarray([["a"]]))
    with pytest.raises(UsageError, match="a module does not know the shape of its input"):
        mg.load(net)


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch, net: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ToolError, match="loading a module needs PyTorch") as caught:
        load_torch(net, np.zeros((1, 2, 10, 10)))
    assert "pip install 'mcugrad[torch]'" in caught.value.hint


def test_what_is_a_module(net: Any) -> None:
    assert is_module(net)
    assert not is_module("net.onnx")
    with pytest.raises(UsageError, match="a network cannot be loaded from int"):
        mg.load(3)


# -- samples and weights as they lie in memory -----------------------------------------------------------------------


def images(torch: ModuleType, how: str) -> Any:
    """One image (1, 2, 8, 8) as sensors, OpenCV or Keras have it, or as networks train faster."""
    x = np.zeros((4, 8, 8, 2), np.float32)
    return {
        "turned array": lambda: x.transpose(0, 3, 1, 2)[:1],
        "turned tensor": lambda: torch.tensor(x).permute(0, 3, 1, 2)[:1],
        "channels last": lambda: torch.zeros(1, 2, 8, 8).to(memory_format=torch.channels_last),
        "every other": lambda: torch.zeros(1, 2, 16, 16)[:, :, ::2, ::2],
        "spread": lambda: torch.zeros(1, 1, 1, 1).expand(3, 2, 8, 8),
        "float64": lambda: np.zeros((1, 2, 8, 8)),
        "bytes": lambda: np.zeros((1, 2, 8, 8), np.uint8),
    }[how]()


@pytest.fixture
def pooled(torch: ModuleType) -> Any:
    nn = torch.nn
    torch.manual_seed(0)
    first, second = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(8, 8, 3, groups=8)
    return nn.Sequential(first, nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


HOW = ["turned array", "turned tensor", "channels last", "every other", "spread", "float64", "bytes"]


def test_only_the_shape_of_the_example_matters(torch: ModuleType, pooled: Any) -> None:
    plain = torch.zeros(1, 2, 8, 8)
    for how in HOW:
        sample = _sample(torch, pooled, images(torch, how))
        assert (sample.shape, sample.stride(), sample.dtype) == (plain.shape, plain.stride(), plain.dtype), (
            how
        )
    expected = mg.load(pooled, example=plain)
    assert mg.load(pooled, example=images(torch, "channels last")).digest == expected.digest


@pytest.mark.parametrize("how", ["channels last", "turned", "float16"])
def test_weights_in_any_order_of_memory(torch: ModuleType, pooled: Any, how: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 8, 8)).astype(np.float32)
    with torch.no_grad():
        expected = pooled(torch.from_numpy(x)).numpy()
    if how == "channels last":
        pooled.to(memory_format=torch.channels_last)
    elif how == "turned":
        pooled.double()[5].weight.data = pooled[5].weight.data.t().contiguous().t()
    else:
        pooled.half()
    pooled.train()
    pooled[1].eval()
    tensors = dict(pooled.state_dict(keep_vars=True))
    before = {key: (t.data_ptr(), t.stride(), t.dtype, t.requires_grad) for key, t in tensors.items()}
    graph = fold(load_torch(pooled, x))
    found = run_float(graph, x.transpose(0, 2, 3, 1))[graph.output]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3 if how == "float16" else 1e-4)
    after = dict(pooled.state_dict(keep_vars=True))
    assert all(after[key] is tensor for key, tensor in tensors.items())
    assert before == {key: (t.data_ptr(), t.stride(), t.dtype, t.requires_grad) for key, t in after.items()}
    assert [m.training for m in pooled] == [True, False, True, True, True, True]


def test_a_module_that_cannot_be_exported_keeps_its_weights(torch: ModuleType, pooled: Any) -> None:
    class Branching(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inside = pooled.to(memory_format=torch.channels_last)

        def forward(self, x: Any) -> Any:
            return self.inside(x) if x.sum() > 0 else x

    net = Branching()
    strides = [p.stride() for p in net.parameters()]
    with pytest.raises(ModelError, match="PyTorch cannot export the module"):
        load_torch(net, np.zeros((1, 2, 8, 8)))
    assert [p.stride() for p in net.parameters()] == strides


# -- what is said about modules that are not supported ---------------------------------------------------------------


def unsupported(torch: ModuleType, what: str) -> tuple[Any, Any]:
    nn = torch.nn

    class Module(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, *parts: Any, forward: Any) -> None:
            super().__init__()
            self.parts = nn.ModuleList(parts)
            self._forward = forward

    class One(Module):
        def forward(self, x: Any) -> Any:
            return self._forward(self.parts, x)

    class Pair(Module):
        def forward(self, left: Any, right: Any, bias: Any = None) -> Any:
            return self.parts[0](left) - self.parts[0](right)

    vector, words = torch.zeros(1, 8), torch.zeros(1, 5, dtype=torch.long)
    line = nn.Linear(8, 4)
    return {
        "two inputs": lambda: (Pair(line, forward=None), vector),
        "two outputs": lambda: (One(line, nn.Linear(8, 2), forward=lambda p, x: (p[0](x), p[1](x))), vector),
        "embedding": lambda: (
            One(nn.Embedding(20, 8), line, forward=lambda p, x: p[1](p[0](x).mean(1))),
            words,
        ),
        "gru": lambda: (
            One(nn.GRU(8, 4, batch_first=True), line, forward=lambda p, x: p[0](x)[0][:, -1]),
            torch.zeros(1, 6, 8),
        ),
        "attention": lambda: (
            One(line, forward=lambda p, x: torch.softmax(p[0](x) @ p[0](x).transpose(1, 2), -1).mean(1)),
            torch.zeros(1, 6, 8),
        ),
        "normalize": lambda: (
            One(line, forward=lambda p, x: nn.functional.normalize(p[0](x), dim=1)),
            vector,
        ),
        "group norm": lambda: (
            nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4)),
            torch.zeros(1, 2, 8, 8),
        ),
        "adaptive": lambda: (
            nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.AdaptiveAvgPool2d(3)),
            torch.zeros(1, 2, 8, 8),
        ),
        "channels last": lambda: (nn.Conv2d(2, 4, 3), torch.zeros(1, 8, 8, 2)),
        "no such operator": lambda: (nn.Sequential(line, nn.RReLU()), vector),
        "shuffle": lambda: (
            nn.Sequential(nn.Conv2d(2, 4, 3), nn.ChannelShuffle(2)),
            torch.zeros(1, 2, 8, 8),
        ),
        "softsign": lambda: (nn.Sequential(line, nn.Softsign()), vector),
    }[what]()


SAID = {
    "two inputs": ("the module takes 2 inputs: left, right; exactly 1 is supported", "Pair", hints.SEVERAL),
    "two outputs": ("the model has 2 outputs: ", "One", hints.SEVERAL),
    "embedding": ("the module takes integers, as nn.Embedding does", "One", hints.INTEGERS),
    "gru": ("1 node cannot be translated", "GRU: operator is not supported", hints.RECURRENT),
    "attention": ("2 of ", "MatMul: multiplies two computed values", hints.MATRIX),
    "normalize": ("2 of ", "ReduceL2: operator is not supported", hints.UNIT_LENGTH),
    "group norm": ("1 node cannot be translated", "InstanceNormalization: ", hints.NORMS),
    "adaptive": ("", "GatherND: operator is not supported", hints.ADAPTIVE),
    "channels last": ("PyTorch cannot export the module: Given groups=1", "Conv2d", LAYOUT),
    "no such operator": ("PyTorch cannot export the module: No ONNX function found for ", "Sequential", TRY),
    "shuffle": ("Reshape from (1, 4, 6, 6) to (1, 2, 2, 6, 6) mixes axes", "Reshape", hints.MIXED),
    "softsign": ("1 node cannot be translated", "Softsign: operator is not supported", hints.TABLES),
}


@pytest.mark.parametrize("what", SAID)
def test_the_message_names_the_cause(torch: ModuleType, what: str) -> None:
    start, where, hint = SAID[what]
    net, example = unsupported(torch, what)
    with pytest.raises(ModelError) as caught:
        mg.load(net, example=example)
    assert caught.value.what.startswith(start)
    assert where in caught.value.where
    assert hint in caught.value.hint


FUNCTIONS: dict[str, Callable[[Any], list[Any]]] = {
    "functions": lambda nn: [nn.SELU(), nn.CELU(0.5), nn.LogSigmoid()],
    "mean of channels": lambda nn: [Reduced(nn, "mean")],
    "magnitudes, and the last step": lambda nn: [Reduced(nn, "abs"), Reduced(nn, "last")],
    "sum of channels": lambda nn: [Reduced(nn, "sum")],
}


def Reduced(nn: Any, how: str) -> Any:  # noqa: N802  (a class of a package that may be absent)
    """A module that reduces or picks."""

    class Module(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            kept = {"keepdim": True} if how in ("mean", "sum") else {}
            return (
                x[:, :, :, -1] if how == "last" else x.abs() if how == "abs" else getattr(x, how)(1, **kept)
            )

    return Module()


@pytest.mark.parametrize("what", FUNCTIONS)
def test_small_operators(torch: ModuleType, what: str) -> None:
    nn = torch.nn
    torch.manual_seed(0)
    before = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), *FUNCTIONS[what](nn), nn.Flatten())
    x = np.random.default_rng(0).normal(size=(4, 2, 6, 5)).astype(np.float32) * 2
    net = nn.Sequential(*before, nn.Linear(before(torch.from_numpy(x)).shape[1], 3)).eval()
    graph = check(fold(check(load_torch(net, x))))
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    found = run_float(graph, x.transpose(0, 2, 3, 1))[graph.output]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
