"""Bit-exactness: after hundreds of training steps every executor holds the same bytes of learned state."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mcugrad as mg
from mcugrad import targets
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import Runner, State, Steps, differences
from mcugrad.toolchain import firmware_compilers, host_compilers
from mcugrad.trainer import Trainer
from mcugrad.zoo import model_path
from networks import FASHION, Conv, Dense, Layer, Pool, corners, images, model, samples
from thoroughness import LONG, turns

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
HOSTS = (("zig", "-O3"), ("gcc", "-O0"), ("gcc", "-O3"))
"""What the twin of tests, which zig builds with -O0, is compared with."""
RULES = ("sr8", "sr16")
PACKED = ("sr10", "sr12")
"""Rules whose residual bits share bytes; `corners` has rows that end within one."""
STEPS = 200
NAMES = ("fashion", "digits", "corners", *(("small",) if LONG else ()))
SMALL = (Conv(4, stride=(2, 2), pads=(1, 1, 1, 1)), Conv(8, stride=(2, 2), pads=(1, 1, 1, 1)), Dense(10))
CORNERS = (Conv(6, stride=(2, 2), pads=(1, 1, 1, 1)), Pool(), Conv(9, (2, 2), act="relu6"), Dense(4))

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")


@dataclass(frozen=True, eq=False)
class Run:
    """Training steps, and what they left behind."""

    steps: Steps
    logits: np.ndarray
    state: State


@dataclass(frozen=True, eq=False)
class Case:
    """A network, samples in the device's form, and a falling learning rate."""

    trainer: Trainer
    x: np.ndarray
    y: np.ndarray
    rates: np.ndarray

    def run(self, runner: Runner, steps: int | None = None) -> Run:
        order = np.arange(len(self.x) if steps is None else steps, dtype=np.uint32)
        runner.init()
        done = runner.train(self.x, self.y, order, self.rates[: len(order)])
        return Run(done, runner.predict(self.x[:8]), runner.state())


def make_case(trainer: Trainer, x: np.ndarray, y: np.ndarray, rate: float = 0.02) -> Case:
    rates = np.linspace(rate, rate / 20, len(x)).astype(np.float32)
    return Case(trainer, trainer.quantize(x), trainer.labels(y, len(x)), rates)


def assert_equal(expected: Run, found: Run) -> None:
    """Every byte of state, every loss, every prediction, every logit."""
    assert differences(expected.state, found.state) == []
    np.testing.assert_array_equal(expected.steps.loss.view(np.uint32), found.steps.loss.view(np.uint32))
    np.testing.assert_array_equal(expected.steps.predicted, found.steps.predicted)
    np.testing.assert_array_equal(expected.logits, found.logits)


# --- real networks on real data -----------------------------------------------------------------------------


@cache
def case(name: str, rule: str) -> Case:
    """A case by name; skips where its data is not to be had.

    `fashion` is the network of the benchmarks and `small` a narrower one, of long tests, both on Fashion-MNIST;
    `digits` comes with scikit-learn; `corners` needs nothing.
    """
    options = {"rule": rule, "seed": 7, "features": "none"}  # steps, predictions and state are in every model
    if name == "corners":
        x, y = corners(STEPS)
        return make_case(mg.compile(model((1, 12, 12), CORNERS), calibration=x[:64], **options), x, y, 0.1)
    found = images("digits" if name == "digits" else "fashion_mnist", STEPS)
    if found is None:
        pytest.skip(f"the images of {name} are not on this machine; mcugrad.zoo.data says how to get them")
    x, y = found
    if name == "digits":
        net, x = mg.load(model_path("digits_cnn")), 1 - x  # inverted, so that there is something to learn
    else:
        net = model((1, 28, 28), SMALL if name == "small" else FASHION, name=name)
    return make_case(mg.compile(net, calibration=x[:64], **options), x, y)


@cache
def expected(name: str, rule: str) -> Run:
    """What the host twin gives; all others are compared with it."""
    this = case(name, rule)
    return this.run(this.trainer.twin)


@pytest.mark.parametrize(
    ("name", "rule"), [*product(NAMES, RULES)] if LONG else zip(NAMES, ("sr8", "sr16", "sr8"), strict=True)
)
def test_the_steps_teach_something(name: str, rule: str) -> None:
    run = expected(name, rule)
    assert run.steps.loss[-60:].mean() < 0.8 * run.steps.loss[:60].mean()
    start = HostTwin(case(name, rule).trainer.build.compiled).state()
    for buffer, value in run.state.items():
        if buffer.endswith("_w"):
            moved = float((value != start[buffer]).mean())
            assert moved > 0.05, f"only {moved:.1%} of {buffer} changed in {STEPS} steps"


ON_HOSTS = [
    ("corners", "gcc", "-O0", "sr8"),
    ("fashion", "gcc", "-O3", "sr8"),
    ("digits", "zig", "-O3", "sr16"),
]
"""A network, a compiler, a level, a rule: each compiler that optimises has real data. A long test has all; compilers
and levels are compared kernel by kernel in tests/kernels."""


@pytest.mark.parametrize(
    ("name", "compiler", "opt", "rule"),
    [(n, *h, r) for n, h, r in product(NAMES, HOSTS, RULES)] if LONG else ON_HOSTS,
)
def test_every_host_compiler(name: str, compiler: str, opt: str, rule: str) -> None:
    if compiler not in host_compilers():
        pytest.skip(f"{compiler} is not installed")
    this = case(name, rule)
    assert_equal(
        expected(name, rule), this.run(HostTwin(this.trainer.build.compiled, compiler=compiler, opt=opt))
    )


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(("core", "opt"), turns(CORES, ("-O3", "-Os")) if LONG else [("cortex-m4f", "-O3")])
def test_gcc_for_the_device(core: str, opt: str) -> None:
    """With -Os, and for a core without extensions: the next test, and the self-test of test_selftest.py."""
    if "arm-none-eabi-gcc" not in firmware_compilers():
        pytest.skip("arm-none-eabi-gcc is not installed")
    this = case("corners", "sr8")
    target = targets.load(core)
    runner = EmulatedDevice(this.trainer.build.compiled, target, compiler="arm-none-eabi-gcc", opt=opt)
    assert_equal(expected("corners", "sr8"), this.run(runner))


@mcu
@pytest.mark.mcu
def test_gcc_for_small_code_of_partial_updates() -> None:
    """gcc believes that registers outlive calls of functions that pop into them to free their stack (Armv6-M, -Os)."""
    if "arm-none-eabi-gcc" not in firmware_compilers():
        pytest.skip("arm-none-eabi-gcc is not installed")
    net = model((2, 9, 13), (Conv(2, (1, 3)), Dense(33, "relu"), Dense(3)))
    x, y = samples(net, 8)
    rules = {"fc1": "sr8", "*": "sr16"}
    this = make_case(mg.compile(net, calibration=x, rule=rules, sparse=mg.Sparse(0.75, policy="topk")), x, y)
    core, gcc = targets.load("cortex-m0plus"), "arm-none-eabi-gcc"
    runner = EmulatedDevice(this.trainer.build.compiled, core, compiler=gcc, opt="-Os")
    assert_equal(this.run(this.trainer.twin), this.run(runner))


ON_CORES = [
    ("corners", "cortex-m0plus", "sr10"),
    ("corners", "cortex-m4f", "sr12"),
    ("fashion", "cortex-m33", "sr8"),
    ("digits", "cortex-m3", "sr8"),
    ("digits", "cortex-m7", "sr16"),
]
"""A network, a core, a rule: every core has one; each rule whose bits share bytes has one core with bodies of its own.
A long test tries all. Kernels are compared on every core in tests/kernels."""


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("name", "core", "rule"), [*product(NAMES, CORES, RULES + PACKED)] if LONG else ON_CORES
)
def test_every_core(name: str, core: str, rule: str) -> None:
    this = case(name, rule)
    opt = "-O3" if name == "corners" else "-Os"
    device = EmulatedDevice(this.trainer.build.compiled, targets.load(core), opt=opt)
    if name == "fashion":  # two million instructions a step
        assert_equal(this.run(HostTwin(this.trainer.build.compiled), 10), this.run(device, 10))
    else:
        assert_equal(expected(name, rule), this.run(device))


@pytest.mark.parametrize(
    ("name", "steps", "rule"),
    [
        *((*each, rule) for each in (("fashion", 10), ("digits", 60)) for rule in RULES if LONG),
        *(() if LONG else (("fashion", 6, "sr8"), ("digits", 40, "sr16"))),
        *(("corners", STEPS if LONG else 120 if rule == "sr12" else 60, rule) for rule in RULES + PACKED),
    ],
)
def test_the_reference(name: str, steps: int, rule: str) -> None:
    this = case(name, rule)
    assert_equal(
        this.run(this.trainer.twin, steps), this.run(ReferenceRunner(this.trainer.build.compiled), steps)
    )
    this.trainer.twin.init()


# --- small networks of any shape ----------------------------------------------------------------------------


@st.composite
def networks(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Layer, ...]]:
    """Input shape and layers: odd sizes, any mix of activation functions, at most some thousand weights."""
    act = st.sampled_from(["relu", "relu6", ""])
    layers: list[Layer] = []
    if draw(st.booleans()):
        shape: tuple[int, ...] = (draw(st.integers(1, 40)),)
    else:
        shape = (draw(st.integers(1, 5)), draw(st.integers(1, 11)), draw(st.integers(1, 11)))
        height, width = shape[1:]
        for _ in range(draw(st.integers(1, 3))):
            rows, columns = (draw(st.integers(1, min(3, size))) for size in (height, width))
            stride = draw(st.integers(1, 2)), draw(st.integers(1, 2))
            if layers and draw(st.integers(0, 2)) == 0:
                layers.append(Pool((rows, columns), stride))
                height, width = (height - rows) // stride[0] + 1, (width - columns) // stride[1] + 1
                continue
            pads = tuple(draw(st.integers(0, size - 1)) for size in (rows, columns, rows, columns))
            layers.append(Conv(draw(st.integers(1, 9)), (rows, columns), stride, pads, draw(act)))
            height = (height + pads[0] + pads[2] - rows) // stride[0] + 1
            width = (width + pads[1] + pads[3] - columns) // stride[1] + 1
    for _ in range(draw(st.integers(0, 2))):
        layers.append(Dense(draw(st.integers(1, 33)), draw(act)))
    layers.append(Dense(draw(st.integers(2, 12))))
    return shape, tuple(layers)


@st.composite
def choices(draw: st.DrawFn, net: mg.Model) -> str:
    """What trains."""
    names = [layer.name for layer in net.layers]
    some = st.lists(st.sampled_from(names), min_size=1, unique=True).map(
        lambda chosen: ",".join(sorted(chosen))
    )
    last = st.integers(1, len(names)).map("last:{}".format)
    return draw(st.one_of(st.just("all"), st.just("bias"), last, some))


def small_case(
    shape: tuple[int, ...], layers: tuple[Layer, ...], train: str | None, rule: str, draw: st.DataObject
) -> Case:
    net = model(shape, layers, seed=draw.draw(st.integers(0, 99)))
    x, y = samples(net, 12, seed=draw.draw(st.integers(0, 99)))
    chosen = train or draw.draw(choices(net))
    return make_case(mg.compile(net, calibration=x, train=chosen, rule=rule, seed=3), x, y)


@settings(max_examples=40 if LONG else 6, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_random_networks_host_and_reference(draw: st.DataObject) -> None:
    this = small_case(*draw.draw(networks()), None, draw.draw(st.sampled_from(RULES + PACKED)), draw)
    assert_equal(this.run(ReferenceRunner(this.trainer.build.compiled)), this.run(this.trainer.twin))


@mcu
@pytest.mark.mcu
@settings(max_examples=20 if LONG else 4, suppress_health_check=list(HealthCheck))
@given(draw=st.data())
def test_random_networks_on_a_core(draw: st.DataObject) -> None:
    this = small_case(*draw.draw(networks()), None, draw.draw(st.sampled_from(RULES + PACKED)), draw)
    core = targets.load(draw.draw(st.sampled_from(CORES)))
    assert_equal(this.run(this.trainer.twin), this.run(EmulatedDevice(this.trainer.build.compiled, core)))


ODD = (
    Conv(5, (3, 2), (2, 1), (1, 0, 1, 1)),
    Pool((2, 2), (1, 2)),
    Conv(7, (2, 3), act="relu6"),
    Dense(11, ""),
    Dense(3),
)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("train", "rule"),
    [
        ("all", "sr16"),
        ("last:2", "sr8"),
        ("conv2", "sr16"),
        ("conv1,fc1", "sr8"),
        ("bias", "sr16"),
    ],
)
def test_partial_training(train: str, rule: str) -> None:
    net = model((2, 9, 13), ODD)
    x, y = samples(net, 20)
    this = make_case(mg.compile(net, calibration=x, train=train, rule=rule), x, y)
    compiled = this.trainer.build.compiled
    run = this.run(this.trainer.twin)
    assert_equal(run, this.run(ReferenceRunner(compiled)))
    if LONG or train == "conv1,fc1":
        assert_equal(run, this.run(EmulatedDevice(compiled, targets.load("cortex-m0plus"))))
