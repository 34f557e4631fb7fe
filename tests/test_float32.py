"""Float and mixed models: against PyTorch, against the reference, on emulated cores; what they say about themselves."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad.graph import spec
from mcugrad.passes.float32 import to_float
from mcugrad.passes.freeze import freeze
from mcugrad.passes.quantize import Calibration, quantize
from mcugrad.training.rules import RULES
from networks import Conv, Dense, Pool, corners, model, samples

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")

SMALL = (
    Conv(4, (3, 3), (2, 2), (1, 1, 1, 1)),
    Conv(6, (2, 3), (1, 1), (0, 1, 1, 0), act="relu6"),
    Pool((2, 2), (1, 2)),
    Dense(9, "relu"),
    Dense(4),
)
SHAPE = (2, 9, 12)


def compiled(precision: str, train: str = "all", **options: Any) -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    net = model(SHAPE, SMALL, name="net")
    x, y = samples(net, 24)
    return mg.compile(net, calibration=x, precision=precision, train=train, **options), x, y


# -- against PyTorch -----------------------------------------------------------------------------------------------


def torch_chain(torch: ModuleType, net: mg.Model) -> Any:
    """`SMALL` as PyTorch computes it, with the weights of the model."""
    nn = torch.nn
    layers = [
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.ReLU(),
        nn.ZeroPad2d((1, 0, 0, 1)),
        nn.Conv2d(4, 6, (2, 3)),
        nn.ReLU6(),
        nn.MaxPool2d(2, (1, 2)),
        nn.Flatten(),
        nn.Linear(48, 9),
        nn.ReLU(),
        nn.Linear(9, 4),
    ]
    return nn.Sequential(*layers)


def as_torch(torch: ModuleType, w: np.ndarray, map_shape: tuple[int, ...] | None = None) -> Any:
    """Weights in PyTorch's order: channels before height and width, also among the inputs behind a Flatten."""
    if w.ndim == 4:
        w = w.transpose(0, 3, 1, 2)
    elif map_shape is not None:
        w = w.reshape(len(w), *map_shape).transpose(0, 3, 1, 2).reshape(len(w), -1)
    return torch.tensor(np.ascontiguousarray(w))


@pytest.mark.torch
@pytest.mark.parametrize(
    "loss", [mg.Loss(), mg.Loss(label_smoothing=0.2), mg.Loss(class_weights=(1, 0.5, 2, 1))], ids=repr
)
def test_training_follows_pytorch(torch: ModuleType, loss: mg.Loss) -> None:
    trainer, x, y = compiled("float32", loss=loss)
    twin, net = trainer.twin, torch_chain(torch, trainer.model)
    layers = [m for m in net if hasattr(m, "weight")]
    shapes = [None, None, (4, 2, 6), None]
    state = twin.state()
    with torch.no_grad():
        for module, node, shape in zip(layers, trainer.model.layers, shapes, strict=True):
            module.weight.copy_(as_torch(torch, state[node.w], shape))
            module.bias.copy_(torch.tensor(state[node.b]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    weights = torch.tensor(loss.class_weights or (1.0,) * 4)
    quant: Any = trainer.build.graph[trainer.build.graph.input].quant
    q = trainer.quantize(x)
    real = ((q.astype(np.float32) - quant.zero) * np.float32(quant.scale)).reshape(x.shape)
    losses = []
    for sample, label in zip(real, y, strict=True):
        optimizer.zero_grad()
        z = net(torch.tensor(sample.transpose(2, 0, 1)[None]))
        each = (
            torch.nn.functional.cross_entropy(
                z, torch.tensor([int(label)]), label_smoothing=loss.label_smoothing
            )
            * weights[int(label)]
        )
        each.backward()
        optimizer.step()
        losses.append(float(each.detach()))
    steps = twin.train(
        q, trainer.targets(y, len(y)), np.arange(len(y), dtype=np.uint32), np.full(len(y), 0.05)
    )
    np.testing.assert_allclose(steps.loss, losses, rtol=1e-4, atol=1e-5)
    state = twin.state()
    for module, node, shape in zip(layers, trainer.model.layers, shapes, strict=True):
        wanted = module.weight.detach()
        np.testing.assert_allclose(as_torch(torch, state[node.w], shape), wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state[node.b], module.bias.detach(), rtol=1e-4, atol=1e-5)


# -- the same bits everywhere --------------------------------------------------------------------------------------

WAYS = [("float32", "all"), ("float32", "conv2"), ("mixed", "last:2"), ("mixed", "conv2"), ("mixed", "bias")]


@pytest.mark.parametrize(("precision", "train"), WAYS)
def test_twin_equals_reference(precision: str, train: str) -> None:
    trainer, x, y = compiled(precision, train, rate=0.05)
    assert trainer.verify(x[:12], y[:12], on="reference").steps == 12


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4f"])
@pytest.mark.parametrize(("precision", "train"), [("float32", "all"), ("mixed", "last:2")])
def test_cores_equal_the_twin(precision: str, train: str, core: str) -> None:
    trainer, x, y = compiled(precision, train, rate=0.05)
    trainer.fit(x, y)
    assert trainer.verify(x, y, on=core).steps == len(x)


# -- what they are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "mixed"])
def test_it_learns(precision: str) -> None:
    x, y = corners(400)
    net = model((1, 12, 12), (Conv(6, (3, 3), (2, 2), (1, 1, 1, 1)), Pool(), Dense(16, "relu"), Dense(4)))
    train = "all" if precision == "float32" else "last:2"
    trainer = mg.compile(net, calibration=x[:64], precision=precision, train=train, rate=0.05)
    trainer.fit(x[:300], y[:300], epochs=6)
    assert trainer.evaluate(x[300:], y[300:]) > 0.9
    logits = trainer.twin.predict(trainer.quantize(x[:2]))
    assert logits.dtype == np.float32
    assert trainer.predict(x[:2]).tolist() == logits.argmax(axis=1).tolist()


def test_mixed_is_float_from_the_first_trained_layer_on() -> None:
    trainer, _, _ = compiled("mixed", "fc1")
    kinds = {b.name: (b.ctype, b.space.value) for b in trainer.build.compiled.program.buffers.values()}
    assert kinds["conv2_w"] == ("int8_t", "const")
    assert kinds["fc1_w"] == ("float", "state")
    assert kinds["fc2_w"] == ("float", "const")
    calls = [c.kernel.name for c in trainer.build.compiled.program.forward]
    assert calls.count("mcg_dequantize_f32") == 1
    assert "train by float32 SGD" in repr(trainer)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("train", ["all", "last:1", "none"])
def test_the_graph_is_legal(train: str, whole: bool) -> None:
    net = model(SHAPE, SMALL)
    graph = freeze(quantize(net.graph, samples(net, 8)[0], Calibration()), train, RULES["sr16"])
    spec.check(to_float(graph, net.graph, whole=whole))


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(mg.UsageError) as caught:
        compiled("float16")
    assert str(caught.value) == (
        "unknown precision 'float16'\n  where  precision\n  try    one of int8, mixed, float32"
    )


def test_the_header_says_what_the_outputs_are() -> None:
    files = compiled("float32")[0].build.compiled.files
    assert "#define NET_OUTPUT_SIZE 4 /* float logits, real units */" in files["net.h"]
    assert "float y[NET_OUTPUT_SIZE]" in files["net.h"]
    assert "trains  conv1, conv2, fc1, fc2 (float32 SGD, in place)" in files["net.h"]
