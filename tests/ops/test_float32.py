"""Float and mixed models: against PyTorch, against the reference, on emulated cores; what they say about themselves."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.graph import Precision, spec
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.core.computation import computed_by
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.registry import OPERATORS
from mcugrad.passes.assign_precision import Wanted
from mcugrad.passes.freeze import freeze
from mcugrad.run.host import HostTwin
from mcugrad.run.runner import differences
from mcugrad.state.program import pack
from mcugrad.training.losses import LabelKind
from mcugrad.training.rules.update import updates
from networks import Conv, Dense, Pool, corners, model, samples
from quantizing import quantized
from shape_nets import NETWORKS, SIZE, Net
from thoroughness import LONG, turns
from torch_graph import TorchGraph

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


def real_samples(trainer: mg.Trainer, x: np.ndarray) -> np.ndarray:
    """Samples as the device sees them, in real units."""
    quant: Any = trainer.build.graph[trainer.build.graph.input].quant
    q = trainer.quantize(x).astype(np.float32)
    real: np.ndarray = ((q - quant.zero) * np.float32(quant.scale)).reshape(x.shape)
    return real


def torch_loss(torch: ModuleType, loss: mg.Loss, z: Any, label: Any) -> Any:
    f = torch.nn.functional
    if loss.name == "cross_entropy":
        weights = torch.tensor(loss.class_weights or (1.0,) * len(z), dtype=z.dtype)
        label = torch.tensor(int(label))
        return f.cross_entropy(z, label, label_smoothing=loss.label_smoothing) * weights[label]
    wanted = torch.tensor(np.asarray(label, np.float64))
    if loss.name == "binary_cross_entropy":
        return f.binary_cross_entropy_with_logits(z, wanted)
    if loss.name == "huber":
        return f.huber_loss(z, wanted, delta=loss.delta)
    return {"mse": f.mse_loss, "mae": f.l1_loss}[loss.name](z, wanted)


def assert_follows_pytorch(
    torch: ModuleType, trainer: mg.Trainer, x: np.ndarray, y: np.ndarray, real_y: np.ndarray, rate: float
) -> None:
    """Outputs, losses and every weight after as many steps as there are samples."""
    oracle, twin = TorchGraph(torch, trainer.model.graph), trainer.twin
    real, losses, parameters = real_samples(trainer, x), [], list(oracle.constants.values())
    outputs = trainer.twin.predict(trainer.quantize(x))
    with torch.no_grad():
        wanted = np.stack([oracle(sample).numpy() for sample in real])
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    for sample, label in zip(real, real_y, strict=True):
        loss = torch_loss(torch, trainer.options.loss, oracle(sample), label)
        losses.append(float(loss.detach()))
        for p, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            p.data -= rate * gradient
    begin, order = twin.state(), np.arange(len(x), dtype=np.uint32)
    rates = np.full(len(x), rate, np.float32)
    steps = twin.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates)
    np.testing.assert_allclose(steps.loss, losses, rtol=1e-4, atol=1e-5)
    end = twin.state()
    for name, p in oracle.constants.items():
        moved, found = p.detach().numpy() - begin[name], end[name] - begin[name]
        assert np.abs(found - moved).max() <= 2e-3 * np.abs(moved).max() + 1e-6, name


@pytest.mark.torch
@pytest.mark.parametrize(
    "loss",
    [
        mg.Loss(),
        mg.Loss(label_smoothing=0.2),
        mg.Loss(class_weights=(1, 0.5, 2, 1)),
        mg.Loss("binary_cross_entropy"),
        mg.Loss("mse"),
        mg.Loss("mae"),
        mg.Loss("huber", delta=0.3),
    ],
    ids=repr,
)
def test_losses_follow_pytorch(torch: ModuleType, loss: mg.Loss) -> None:
    random = np.random.default_rng(3)
    y: Any = random.integers(0, 4, 24)
    values = random.uniform(-1, 1, (24, 4)).astype(np.float32)
    if loss.label_kind is not LabelKind.CLASS:
        y = random.integers(0, 2, (24, 4)) if loss.label_kind is LabelKind.BITS else values
    trainer, x, _ = compiled(
        "float32", loss=loss, typical_labels=values if loss.label_kind is LabelKind.VALUES else None
    )
    real_y, scale = y, trainer.options.label_scale
    if scale is not None:
        real_y = (trainer.labels(y, 24).astype(np.float64) - scale.zero) * scale.scale
    assert_follows_pytorch(torch, trainer, x, y, real_y, rate=0.05)


def mobile() -> mg.Model:
    """MobileNetV3 in small: hard swish, depthwise convolution, squeeze-and-excitation, residual."""
    net = Net()
    x = net.on(Activation, net.conv("input", 8, low=None), function=Function.HARD_SWISH)
    start = net.conv(x, 6, 1, low=None)
    x = net.on(Activation, net.conv(start, 40, 1, low=None), function=Function.HARD_SWISH)
    x = net.depthwise(x, 1, stride=(1, 1))
    gate = net.on(AvgPool2d, x, kernel=net.whole(x))
    gate = net.conv(net.conv(gate, 4, 1), 40, 1, low=None)
    gate = net.on(Activation, gate, function=Function.HARD_SIGMOID, alpha=1 / 6)
    x = net.on(Activation, net.both(Mul, x, gate), function=Function.HARD_SWISH)
    x = net.both(Add, net.conv(x, 6, 1, low=None), start)
    return net.model(net.on(AvgPool2d, net.conv(x, 12, stride=(2, 2)), kernel=(4, 4)))


def functions() -> mg.Model:
    """Every activation function, one after the other, and leaky ones."""
    net = Net()
    x = net.conv("input", 5, low=None)
    for function in Function:
        alpha = {Function.HARD_SIGMOID: 0.2, Function.ELU: 0.7}.get(function, 1.0)
        x = net.on(Activation, x, function=function, alpha=alpha)
        x = net.conv(x, 5, 1 if function % 2 else 3, low=None)
    x = net.on(PRelu, x, slope=(0.1,))
    x = net.on(PRelu, net.conv(x, 5, 1, low=-0.5), slope=(0.1, -0.5, 2.0, 0.0, 1.0))
    return net.model(net.on(Clip, net.conv(x, 5, stride=(2, 2), low=None), low=-1.0, high=1.0))


def below_zero() -> mg.Model:
    """Rectifiers behind bounds, of which one is below zero: no bound says anything of what a slope makes smaller."""
    net = Net()
    x = net.on(PRelu, net.conv("input", 6, low=None, high=-0.05), slope=(0.2,))
    x = net.on(
        MaxPool2d,
        net.on(PRelu, net.conv(x, 5, 1, low=-0.3, high=-0.1), slope=(0.1, 0.9, 0.5, 0.0, 1.0)),
        kernel=(2, 2),
        stride=(2, 2),
    )
    return net.model(net.conv(x, 5, low=None))


def convolutions() -> mg.Model:
    """Grouped, depthwise with two outputs per channel, transposed, dilated."""
    net = Net()
    x = net.conv("input", 4, dilation=(2, 1), padding=(2, 1, 2, 1))
    x = net.depthwise(x, 2, stride=(2, 2), low=0.0)
    x = net.grouped(x, 6, 2, high=3.0, low=0.0)
    x = net.transposed(x, 5, stride=(2, 2), padding=(1, 1, 0, 1), output_padding=(0, 1))
    x = net.transposed(x, 3, low=0.0)
    return net.model(net.on(MaxPool2d, x, kernel=(2, 2), stride=(2, 2)))


NETS = {
    **NETWORKS,
    "mobile": mobile,
    "functions": functions,
    "below zero": below_zero,
    "convolutions": convolutions,
}


@cache
def built(name: str, precision: str, train: str) -> mg.Trainer:
    return mg.compile(
        NETS[name](), calibration=corners(16, SIZE)[0], precision=precision, train=train, rate=0.02
    )


def branching(name: str, precision: str, train: str = "all") -> tuple[mg.Trainer, np.ndarray, np.ndarray]:
    """As it was compiled, whatever another test has learned with it."""
    trainer = built(name, precision, train)
    trainer.twin.init()
    return trainer, *corners(16, SIZE)


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted(NETS))
def test_networks_follow_pytorch(torch: ModuleType, name: str) -> None:
    trainer, x, y = branching(name, "float32")
    assert_follows_pytorch(torch, trainer, x, y, y, rate=0.02)


def test_every_operator_has_a_float_form_and_is_in_a_network() -> None:
    kinds = {entry.operator for entry in OPERATORS if computed_by(entry.operator, Precision.INT8)}
    assert all(computed_by(kind, Precision.FLOAT32) for kind in kinds)
    in_networks = {type(n) for make in NETS.values() for n in make().graph.nodes}
    files = {file.stem for file in Path(__file__).parent.glob("test_*.py")}
    apart = {kind for kind in kinds if f"test_{kind.__module__.rpartition('.')[2]}" in files}
    assert in_networks <= kinds <= in_networks | apart, "in a network here, or in a file of tests of its own"


# -- the same bits everywhere --------------------------------------------------------------------------------------

WAYS = [("float32", "all"), ("float32", "conv2"), ("mixed", "last:2"), ("mixed", "conv2"), ("mixed", "bias")]


@pytest.mark.parametrize(("precision", "train"), WAYS)
def test_twin_equals_reference(precision: str, train: str) -> None:
    trainer, x, y = compiled(precision, train, rate=0.05)
    assert trainer.verify(x[:12], y[:12], on="reference").steps == 12


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("way", "core"), turns([("float32", "all"), ("mixed", "last:2")], ["cortex-m4f", "cortex-m0plus"])
)
def test_cores_equal_the_twin(way: tuple[str, str], core: str) -> None:
    trainer, x, y = compiled(*way, rate=0.05)
    trainer.fit(x, y)
    count = len(x) if LONG else 8
    assert trainer.verify(x[:count], y[:count], on=core).steps == count


def test_what_diverged_is_the_same_nan_everywhere() -> None:
    """Executors give NaN other signs, which is no difference."""
    trainer, x, y = compiled("float32", "all")
    assert trainer.verify(x[:12], y[:12], on="reference", rate=1e30).steps == 12


@mcu
@pytest.mark.mcu
def test_what_diverged_is_the_same_nan_on_a_core() -> None:
    trainer, x, y = compiled("float32", "all")
    assert trainer.verify(x[:12], y[:12], on="cortex-m4f", rate=1e30).steps == 12


def test_only_nan_is_the_same_as_nan() -> None:
    nan = np.asarray([0x7FC00000, 0xFFC00001, 0x3F800000, 0], np.uint32).view(np.float32)
    other = np.asarray([0xFFC00000, 0x7FC00000, 0x3F800000, 0], np.uint32).view(np.float32)
    assert not differences({"w": nan}, {"w": other})
    assert differences({"w": nan}, {"w": np.asarray([1, np.nan, 1, 0], np.float32)})
    assert differences({"w": nan}, {"w": np.asarray([np.nan, np.nan, 1, -0.0], np.float32)})


@pytest.mark.parametrize("name", sorted(NETS))
def test_networks_equal_the_reference(name: str) -> None:
    trainer, x, y = branching(name, "float32")
    assert trainer.verify(x[:2], y[:2], on="reference").steps == 2


@pytest.mark.parametrize(("compiler", "opt"), [("zig", "-O0"), ("gcc", "-O0"), ("gcc", "-O3")])
def test_every_host_compiler(compiler: str, opt: str) -> None:
    if compiler not in toolchain.host_compilers():
        pytest.skip(f"{compiler} is not installed")
    trainer, x, y = branching("mobile", "float32")
    order, rates = np.arange(len(x), dtype=np.uint32), np.full(len(x), 0.05, np.float32)
    twins = trainer.twin, HostTwin(trainer.build.compiled, compiler=compiler, opt=opt)
    for twin in twins:
        twin.train(trainer.quantize(x), trainer.labels(y, len(y)), order, rates)
    assert differences(*(twin.state() for twin in twins)) == []


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("way", "core"), turns([("float32", "all"), ("mixed", "last:4")], ["cortex-m0plus", "cortex-m4f"])
)
def test_a_mobile_network_on_cores(way: tuple[str, str], core: str) -> None:
    trainer, x, y = branching("mobile", *way)
    count = 6 if LONG else 3
    assert trainer.verify(x[:count], y[:count], on=[core, "reference"]).steps == count


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
    calls = [c.kernel.name for c in trainer.build.compiled.program.calls_of("predict")]
    assert calls.count("mcg_dequantize_f32") == 1
    assert "train by float32 SGD" in repr(trainer)


@pytest.mark.parametrize("precision", ["float32", "mixed"])
@pytest.mark.parametrize("train", ["all", "last:1", "none"])
def test_the_graph_is_legal(train: str, precision: Wanted) -> None:
    net = model(SHAPE, SMALL)
    x = samples(net, 8)[0]
    graph = spec.check(quantized(net.graph, x, precision=precision, train=train))
    spec.check(freeze(graph, train, updates("sr16")))


def test_no_scale_is_asked_for_that_no_int8_has() -> None:
    """A file that says how its input is quantized needs no samples to compute in float32, and no other scale."""
    net = model(SHAPE, SMALL)
    x, y = samples(net, 8)
    calibrated = mg.compile(net, calibration=x, precision="float32")
    scale = calibrated.build.graph[net.graph.input].quant
    given = replace(net, graph=net.graph.changed(net.graph.input, quant=scale))
    with pytest.raises(mg.DataError, match="4 activations have no scale in the file"):
        mg.compile(given)
    found = mg.compile(given, precision="float32")
    assert found.build.compiled.fingerprint == calibrated.build.compiled.fingerprint
    assert found.build.compiled.files == calibrated.build.compiled.files
    found.verify(x[:2], y[:2], on="reference")
    with pytest.raises(mg.DataError) as caught:
        mg.compile(net, precision="float32")
    assert caught.value.what == "an activation has no scale in the file, and there are no calibration samples"
    assert caught.value.where == net.graph.input


def test_a_state_keeps_the_one_scale_there_is(tmp_path: Path) -> None:
    trainer, x, y = compiled("float32")
    trainer.fit(x, y, rate=0.01)
    path = tmp_path / "net.mcgstate"
    trainer.save(path)
    loaded = mg.Trainer.load(path)
    assert loaded.build.compiled.fingerprint == trainer.build.compiled.fingerprint
    np.testing.assert_array_equal(loaded.predict(x), trainer.predict(x))
    facts = pack(trainer.model, trainer.build.scales, trainer.options, None)
    assert list(json.loads(facts[4 : 4 + int.from_bytes(facts[:4], "little")])["scales"]) == [
        trainer.model.graph.input
    ]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(mg.UsageError) as caught:
        compiled("float16")
    assert str(caught.value) == (
        "unknown precision 'float16'\n  where  precision\n  try    one of int8, mixed, float32"
    )


def test_what_does_not_fit_is_told_with_a_way_out() -> None:
    board = targets.load("nrf52840")
    board = replace(board, ram=replace(board.ram, bytes=3 * 4096))
    net = model((2, 32, 32), SMALL)
    x = samples(net, 8)[0]
    with pytest.raises(mg.FitError) as caught:
        mg.compile(net, calibration=x, precision="float32", target=board)
    way = re.match(r"precision=int8 with train=(\S+)(?: with rule=(\S+))?", caught.value.hint)
    assert way is not None
    mg.compile(net, calibration=x, train=way[1], rule=way[2] or "sr16", target=board)


def test_the_header_says_what_the_outputs_are() -> None:
    files = compiled("float32")[0].build.compiled.files
    assert "#define NET_OUTPUT_SIZE 4 /* float logits, real units */" in files["net.h"]
    assert "float y[NET_OUTPUT_SIZE]" in files["net.h"]
    assert "trains  conv1, conv2, fc1, fc2 (float32 SGD, in place)" in files["net.h"]
