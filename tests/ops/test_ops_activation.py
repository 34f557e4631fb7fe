"""Tabulated activation functions and PReLU: tables against float64, C against the references, networks that train."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from kernels import library
from mcugrad.arithmetic import scale_from_float
from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, Graph, Tensor
from mcugrad.graph.spec import check as check_graph
from mcugrad.model import Model
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.activation_s8 import PREPARE_TABLE, SLOPE_ONE, ActivationS8, prepare_table
from mcugrad.ops.activation.curves import Function, real_curve
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.activation.prelu_s8 import factor_unit, prelu_grad_s8, prelu_s8, prepare_prelu
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.joining.add import Add
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.tracking.ranges_s8 import track_scale_steps
from mcugrad.program import Space
from mcugrad.trainer import Trainer
from mcugrad.training.rules import IN_PLACE
from networks import corners
from thoroughness import turns

F = Function
F32 = np.float32
ALPHA = {F.ELU: 1.3, F.HARD_SIGMOID: 0.2}
KINKS = {F.HARD_SIGMOID: (-2.5, 2.5), F.HARD_SWISH: (-3.0, 3.0), F.ELU: (0.0,)}
SCALES = np.exp(np.linspace(np.log(1e-7), np.log(3), 40)).astype(F32)

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")


# -- tables ----------------------------------------------------------------------------------------------------------


def tables(
    function: Function, x_scale: float, x_zero: int, y_zero: int | None = None, bounds: Any = (-3e38, 3e38)
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Value, slope, scale of y and zero point of y; by the pass's choice if none is given."""
    node = Activation(name="a", x="x", y="y", function=function, alpha=ALPHA.get(function, 1.0))
    how = ActivationS8(of=node)
    if y_zero is None:
        quant = ActivationScale(scale=x_scale, zero=x_zero, owner="x")
        tensors = {"x": Tensor(name="x", shape=(1,), quant=quant), "y": Tensor(name="y", shape=(1,))}
        graph = Graph("g", (node,), tensors, "x", "y")
        y_zero = how.follow(graph).zero
    value, slope, y_scale = np.zeros(256, np.int8), np.zeros(256, np.int16), np.zeros(1, F32)
    parameters = how.parameters(np.asarray(bounds, F32))
    scale, none, scratch = np.asarray([x_scale], F32), np.zeros(1, F32), np.zeros(256, F32)
    prepare_table(how.struct(x_zero, y_zero), parameters, scale, none, value, slope, y_scale, scratch)
    return value, slope, float(y_scale[0]), y_zero


@pytest.mark.parametrize("function", F)
def test_values_are_within_a_step_of_float64_and_use_the_range(function: Function) -> None:
    for x_scale in SCALES:
        for x_zero in (-128, -40, 0, 77, 127):
            value, _, y_scale, y_zero = tables(function, x_scale, x_zero)
            x = (np.arange(-128, 128) - x_zero) * float(x_scale)
            real = real_curve(function, x, ALPHA.get(function, 1.0))
            best = np.clip(np.floor(real / y_scale + 0.5) + y_zero, -128, 127)
            assert np.abs(best - value).max() <= 1
            assert np.abs((value.astype(int) - y_zero) * y_scale - real).max() <= 0.52 * y_scale
            if real.max() - real.min() > 1e-20 and np.abs(real).max() > 1e-20:
                assert value.max() == 127 or value.min() == -128


@pytest.mark.parametrize("function", F)
def test_slopes_are_those_of_finite_differences(function: Function) -> None:
    for x_scale in SCALES:
        for x_zero in (-128, 0, 60):
            slope = tables(function, x_scale, x_zero)[1]
            x, h, alpha = (
                (np.arange(-128, 128) - x_zero) * float(x_scale),
                1e-5,
                ALPHA.get(function, 1.0),
            )
            real = (real_curve(function, x + h, alpha) - real_curve(function, x - h, alpha)) / (2 * h)
            smooth = np.all([np.abs(x - kink) > 2 * h for kink in KINKS.get(function, ())], axis=0)
            assert np.abs(real - slope / SLOPE_ONE)[np.broadcast_to(smooth, 256)].max(initial=0) < 2**-14


def test_slopes_are_zero_where_the_function_before_is_flat() -> None:
    slope = tables(F.SILU, 0.05, -10, bounds=(-1.0, 2.0))[1]
    x = (np.arange(-128, 128) + 10) * 0.05
    inside = (x > -1 + 1e-6) & (x < 2 - 1e-6)
    assert (slope[~inside] == 0).all()
    assert (slope[inside] == tables(F.SILU, 0.05, -10)[1][inside]).all()


def test_tables_are_kept_while_the_scale_stays() -> None:
    value, slope, y_scale = np.full(256, 3, np.int8), np.full(256, 5, np.int16), np.ones(1, F32)
    how = ActivationS8(of=Activation(name="a", x="x", y="y", function=F.TANH))
    scale = np.asarray([0.02], F32)
    arguments = (how.struct(0, 0), how.parameters(np.asarray([-3e38, 3e38])), scale)
    prepare_table(*arguments, scale.copy(), value, slope, y_scale, np.zeros(256, F32))
    assert (value == 3).all()
    assert (slope == 5).all()
    made_for = np.asarray([0.03], F32)
    prepare_table(*arguments, made_for, value, slope, y_scale, np.zeros(256, F32))
    assert made_for[0] == scale[0]
    assert value[128] == 0
    assert slope[128] == SLOPE_ONE


def test_functions_have_the_numbers_of_the_header() -> None:
    text = (library.INCLUDE / "mcugrad/mcg_structs.h").read_text(encoding="utf-8")
    match = re.search(r"typedef enum \{([^}]*)\} mcg_function_t;", text)
    assert match is not None
    names = [name.strip() for name in match.group(1).split(",")]
    assert names == [f"MCG_{function.name}" for function in F]


@pytest.mark.torch
@pytest.mark.parametrize("function", F)
def test_float_functions_equal_pytorch(function: Function, torch: Any) -> None:
    by = torch.nn.functional
    x = np.linspace(-12, 12, 4001).astype(F32)
    t = torch.from_numpy(x)
    expected = {
        F.SIGMOID: t.sigmoid,
        F.TANH: t.tanh,
        F.HARD_SIGMOID: lambda: by.hardsigmoid(t),
        F.HARD_SWISH: lambda: by.hardswish(t),
        F.SILU: lambda: by.silu(t),
        F.GELU: lambda: by.gelu(t),
        F.GELU_TANH: lambda: by.gelu(t, approximate="tanh"),
        F.ELU: lambda: by.elu(t, 0.7),
        F.SOFTPLUS: lambda: by.softplus(t),
    }[function]()
    alpha = {F.HARD_SIGMOID: 1 / 6, F.ELU: 0.7}.get(function, 1.0)
    node = Activation(name="a", x="x", y="y", function=function, alpha=alpha)
    np.testing.assert_allclose(node.forward(x), expected.numpy(), rtol=2e-5, atol=2e-6)


# -- tables kept from step to step ----------------------------------------------------------------------------------


def test_stepped_scales_are_rare() -> None:
    """A range of 127, then once 300, then one that varies around 200, then 30: up at once, down a step at a time."""
    fill, scale = np.ones(1, F32), np.ones(1, F32)
    random, seen = np.random.default_rng(0), []
    ranges = [127.0] * 50 + [300.0] + list(random.uniform(100, 200, 2000)) + [30.0] * 4000
    for value in ranges:
        track_scale_steps(
            127, np.asarray([round(value / scale[0])], np.int32), fill, scale, np.zeros(1, np.int32)
        )
        seen.append(float(scale[0]))
    assert seen[49] == 1.0
    assert seen[50] == 1.25**4  # 300 / 127 = 2.36 needs four steps
    assert 200 / 127 <= seen[2050] <= 2 * 200 / 127
    assert 30 / 127 <= seen[-1] <= 2 * 1.25 * 30 / 127
    changes = np.flatnonzero(np.diff(seen))
    assert len(changes) <= 12
    assert (np.diff(changes) > 200).all(), "ln 1.25 / 2^-10 = 228 steps from one to the next"


def test_a_dead_activation_keeps_its_scale() -> None:
    fill, scale = np.full(1, 0.1, F32), np.ones(1, F32)
    track_scale_steps(127, np.zeros(1, np.int32), fill, scale, np.zeros(1, np.int32))
    assert (fill[0], scale[0]) == (F32(0.1), 1.0)


@pytest.mark.parametrize("slope", [(0.25,), (0.01, 0.0, 1.0), (2.0, -0.5, 0.3), (-15.0, 0.1, 4.0)])
def test_prelu_is_within_a_step_of_real_numbers(slope: tuple[float, ...]) -> None:
    channels, one = len(slope), np.ones(1, F32)
    x = np.repeat(np.arange(-128, 128), channels).astype(np.int8)
    real = (x.astype(float) + 20) * 0.05
    real = np.where(real < 0, real * np.tile(slope, 256), real)
    y_scale = max(np.abs(real).max() / 127, 0.05)
    factor, y, peak = np.zeros(channels + 2, np.int32), np.zeros(x.size, np.int8), np.zeros(1, np.int32)
    prepare_prelu(channels, F32(0.05) * one, F32(y_scale) * one, np.asarray(slope, F32), factor)
    prelu_s8(x.size, channels, -20, 0, x, factor, y, peak)
    assert np.abs(y * y_scale - np.clip(real, -128 * y_scale, 127 * y_scale)).max() <= 0.52 * y_scale
    e, e_x = np.random.default_rng(0).integers(-50, 51, x.size).astype(np.int8), np.zeros(x.size, np.int8)
    prepare_prelu(channels, one, one, np.asarray(slope, F32), factor)
    span = 127 * max(1, *map(abs, slope))
    scale = one_factor(127 / span / factor_unit(slope))
    open_clip = np.asarray([-(1 << 30), 1 << 30])
    prelu_grad_s8(x.size, channels, -20, e, x, factor, scale, open_clip, e_x, peak)
    expected = e * np.where(x < -20, np.tile(slope, 256), 1.0) * 127 / span
    assert np.abs(e_x - expected).max() <= 0.52


def one_factor(factor: float) -> np.ndarray:
    return np.atleast_1d(scale_from_float(np.asarray([factor], F32)))


# -- networks --------------------------------------------------------------------------------------------------------

Spec = Function | tuple[float, ...]


def network(
    specs: tuple[Spec, Spec, Spec], *, low: float | None = None, high: float | None = None, seed: int = 0
) -> Model:
    """conv - function - pool - conv - function - fc - function - fc, for images 12x12 in four classes."""
    random = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    nodes: list[Any] = []

    def tensor(name: str, shape: tuple[int, ...], value: np.ndarray | None = None) -> str:
        tensors[name] = Tensor(name=name, shape=shape, value=value)
        return name

    def weights(name: str, shape: tuple[int, ...]) -> dict[str, str]:
        bound = 1.7 / np.sqrt(np.prod(shape[1:]))
        w = tensor(f"{name}_w", shape, random.uniform(-bound, bound, shape).astype(F32))
        return {"name": name, "w": w, "b": tensor(f"{name}_b", shape[:1], np.zeros(shape[0], F32))}

    def function(spec: Spec, name: str, x: str) -> str:
        y = tensor(f"{name}_y", tensors[x].shape)
        if isinstance(spec, tuple):
            nodes.append(PRelu(name=name, x=x, y=y, slope=spec))
        else:
            alpha = 0.2 if spec is F.HARD_SIGMOID else 1.0
            nodes.append(Activation(name=name, x=x, y=y, function=spec, alpha=alpha))
        return y

    x, y = tensor("input", (12, 12, 1)), tensor("conv1_y", (6, 6, 6))
    same = {"padding": (1, 1, 1, 1)}
    nodes.append(
        Conv2d(x=x, y=y, low=low, high=high, stride=(2, 2), **same, **weights("conv1", (6, 3, 3, 1)))
    )
    x, y = function(specs[0], "act1", y), tensor("pool_y", (3, 3, 6))
    nodes.append(MaxPool2d(name="pool", x=x, y=y, kernel=(2, 2), stride=(2, 2)))
    x, y = y, tensor("conv2_y", (3, 3, 8))
    nodes.append(Conv2d(x=x, y=y, **same, **weights("conv2", (8, 3, 3, 6))))
    x, y = function(specs[1], "act2", y), tensor("flat_y", (72,))
    nodes.append(Flatten(name="flat", x=x, y=y))
    x, y = y, tensor("fc1_y", (12,))
    nodes.append(Linear(x=x, y=y, **weights("fc1", (12, 72))))
    x, y = function(specs[2], "act3", y), tensor("fc2_y", (4,))
    nodes.append(Linear(x=x, y=y, **weights("fc2", (4, 12))))
    return Model(Graph("net", tuple(nodes), tensors, "input", "fc2_y"), "net.onnx", "0" * 64)


NETWORKS: dict[str, tuple[Spec, Spec, Spec]] = {
    "hard_swish-silu-gelu": (F.HARD_SWISH, F.SILU, F.GELU),
    "tanh-sigmoid-elu": (F.TANH, F.SIGMOID, F.ELU),
    "softplus-gelu_tanh-hard_sigmoid": (F.SOFTPLUS, F.GELU_TANH, F.HARD_SIGMOID),
    "leaky-prelu-steep": ((0.25,), (0.1,) * 8, (1.5, -0.3) * 6),
}


def compiled(specs: tuple[Spec, Spec, Spec], **options: Any) -> Trainer:
    """Calibrated on samples that are too small, so that scales grow, and tables are made anew, in the first steps."""
    x, _ = corners(64)
    net = network(specs, low=options.pop("low", None), high=options.pop("high", None))
    return mg.compile(net, calibration=x * 0.4, rule="sr16", seed=3, **options)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(("name", "core"), turns(NETWORKS, ["cortex-m0plus", "cortex-m4f"]))
def test_every_executor_agrees(name: str, core: str) -> None:
    trainer = compiled(NETWORKS[name])
    check_graph(trainer.build.graph)
    before = trainer.state
    x, y = corners(30)
    trainer.verify(x[:20], y[:20], on=["reference", core])
    trainer.fit(x, y, epochs=1, rate=0.02)
    made_for = [n for n in before if n.endswith("_made_for")]
    assert len(made_for) == sum(isinstance(spec, Function) for spec in NETWORKS[name])
    for n in made_for:
        assert trainer.state[n] != before[n], "tables were not made anew in these steps"


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_learn(name: str) -> None:
    """As in float32, some functions take longer to leave the start."""
    x, y = corners(600)
    history = compiled(NETWORKS[name]).fit(x, y, epochs=8, rate=0.03, shuffle=True, schedule="constant")
    assert history[-1].loss < 0.5 * history[0].loss


def test_tables_on_the_device_are_those_of_its_scales() -> None:
    trainer = compiled(NETWORKS["hard_swish-silu-gelu"])
    x, y = corners(100)
    trainer.fit(x, y, epochs=1, rate=0.02)
    state = trainer.state
    for name, source, function in (("act1", "conv1", F.HARD_SWISH), ("act3", "fc1", F.GELU)):
        graph = trainer.build.graph
        x_zero, y_zero = (graph[f"{n}_y"].quant.zero for n in (source, name))  # type: ignore[union-attr]
        value, slope, y_scale, _ = tables(function, float(state[f"{source}_y_scale"][0]), x_zero, y_zero)
        assert (state[f"{name}_y_value"] == value).all()
        assert (state[f"{name}_y_slope"] == slope).all()
        assert state[f"{name}_y_scale"][0] == F32(y_scale)


def test_frozen_tables_are_constants() -> None:
    trainer = compiled(NETWORKS["hard_swish-silu-gelu"], train="last:1")
    program = trainer.build.compiled.program
    assert all(call.kernel is not PREPARE_TABLE for call in program.calls)
    assert program.buffers["act1_y_value"].space is Space.CONST
    assert "act1_y_slope" not in program.buffers, "no error goes back so far"
    assert not any(b.name.endswith(("_value", "_slope")) for b in program.in_space(Space.STATE))


def test_tables_downstream_of_what_trains_move() -> None:
    trainer = compiled(NETWORKS["hard_swish-silu-gelu"], train=["conv2"])
    space = {b.name: b.space for b in trainer.build.compiled.program.buffers.values()}
    assert space["act1_y_value"] is Space.CONST
    assert space["act2_y_value"] is space["act3_y_slope"] is Space.STATE


def test_the_scale_passes_where_it_can() -> None:
    graph = compiled(((0.25,), (0.0, 1.0) * 4, (1.5, -0.3) * 6)).build.graph
    owners = {n: graph[n].quant.owner for n in ("act1_y", "act2_y", "act3_y")}  # type: ignore[union-attr]
    assert owners == {"act1_y": "conv1_y", "act2_y": "conv2_y", "act3_y": "act3_y"}


def test_no_code_is_spent_where_a_function_is_flat() -> None:
    x, _ = corners(64)
    net = network((F.SIGMOID, F.HARD_SWISH, F.TANH))
    for name in ("conv1_w", "conv2_w", "fc1_w"):
        net.graph[name].value[...] *= 60  # type: ignore[index]
    graph = mg.compile(net, calibration=x, train="none").build.graph
    quants: list[Any] = [graph[t].quant for t in ("conv1_y", "conv2_y", "fc1_y")]
    assert [(q.low, q.high) for q in quants] == [(-8.0, 8.0), (-3.0, None), (-4.0, 4.0)]
    assert [q.scale for q in quants[::2]] == pytest.approx([16 / 255, 8 / 255], rel=0.02)
    assert quants[1].scale * (-128 - quants[1].zero) == pytest.approx(-3, abs=quants[1].scale)


def test_after_a_clip() -> None:
    """ReLU before HardSwish: no negative codes on either side, and no error where ReLU is flat."""
    trainer = compiled((F.HARD_SWISH, F.TANH, F.ELU), low=0.0)
    graph = trainer.build.graph
    assert graph["conv1_y"].quant.zero == graph["act1_y"].quant.zero == -128  # type: ignore[union-attr]
    assert trainer.state["act1_y_slope"][0] == 0
    x, y = corners(20)
    trainer.verify(x, y, on="reference")


def test_what_has_no_table_is_refused() -> None:
    with pytest.raises(ModelError, match="alpha = 3"):
        Activation(name="a", x="x", y="y", function=F.ELU, alpha=3.0).shape((4,))
    with pytest.raises(ModelError, match="3 slopes for 4 channels"):
        PRelu(name="a", x="x", y="y", slope=(0.1, 0.2, 0.3)).shape((2, 2, 4))
    with pytest.raises(ModelError, match="a slope of 40"):
        PRelu(name="a", x="x", y="y", slope=(-40.0,)).shape((4,))


def test_functions_in_a_row_at_the_end_and_of_one_input() -> None:
    """x + tanh(gelu(x)), and a function that makes the logits."""
    graph = network((F.TANH, F.GELU, F.TANH)).graph
    names = ("row_y", "gated_y", "out_y")
    extra = [
        Tensor(name=n, shape=graph[s].shape)
        for n, s in zip(names, ("act2_y", "act2_y", "fc2_y"), strict=True)
    ]
    nodes = []
    for node in graph.nodes:
        nodes.append(node.renamed({"act2_y": "gated_y"}) if isinstance(node, Flatten) else node)
        if node.name == "act2":
            nodes.append(Activation(name="row", x="act2_y", y="row_y", function=F.TANH))
            nodes.append(Add(name="gated", a="row_y", b="conv2_y", y="gated_y"))
    nodes.append(Activation(name="out", x="fc2_y", y="out_y", function=F.ELU))
    net = Model(
        Graph("net", tuple(nodes), {**graph.tensors, **{t.name: t for t in extra}}, "input", "out_y"),
        "net.onnx",
        "0",
    )
    x, y = corners(300)
    trainer = mg.compile(net, calibration=x[:64] * 0.4, rule="sr16", seed=3)
    trainer.verify(x[:25], y[:25], on="reference")
    start = trainer.state["row_y_scale"].copy()
    history = trainer.fit(x, y, epochs=8, rate=0.03)
    assert history[-1].loss < 0.5 * history[0].loss
    assert trainer.state["row_y_scale"] != start


@pytest.mark.parametrize("bounds", [(None, -0.05), (-0.6, -0.05), (-0.6, 0.3)])
def test_errors_go_back_through_a_rectifier_behind_bounds(bounds: tuple[float | None, float | None]) -> None:
    """Slopes put values above a bound below zero, where nothing is flat; int8 learns what float32 does."""
    x, y = corners(16)
    net = network(((0.1,), (0.25,) * 8, (0.5,)), low=bounds[0], high=bounds[1])
    if bounds[1] is not None and bounds[1] < 0:
        net.graph["conv1_b"].value[...] = -0.3  # type: ignore[index]
    moved = []
    for precision in ("float32", "int8"):
        made = mg.compile(net, calibration=x, rule="sr16", precision=precision)
        begin, order = made.state, np.arange(16, dtype=np.uint32)
        made.twin.train(made.quantize(x), made.labels(y, 16), order, np.full(16, 0.02, F32))
        moved.append((real_weights(made, made.state) - real_weights(made, begin)).reshape(-1))
    exact, found = moved
    assert np.abs(exact).max() > 2e-4
    assert exact @ found / np.sqrt((exact @ exact) * (found @ found)) > 0.8


def real_weights(trainer: Trainer, state: dict[str, np.ndarray]) -> np.ndarray:
    if trainer.options.precision == "float32":
        return state["conv1_w"].astype(np.float64)
    planes = state["conv1_w"].reshape(-1), state["conv1_w_residual"].reshape(-1)
    return IN_PLACE["sr16"].split(*planes, 6, 9) * state["conv1_w_scale"][:, None] / 256
