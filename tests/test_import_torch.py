"""Importing PyTorch modules: what comes in equals the module, which stays as it was."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.errors import ModelError, ToolError, UsageError
from mcugrad.graph.spec import check
from mcugrad.importers.torch import is_module, load_torch
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
