"""Instructions of whole training steps and predictions on a Cortex-M4F, and the memory that goes with them.

Counted under emulation from the weights at delivery, mean over a few samples, sr8, built by zig and by gcc, -O3; bars
are for the worse of the two. Kernels have the scratch that they have by default, `prefer="balanced"`.
`--check-fresh` counts again, by zig, and fails where a step takes over 2 % more than committed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bars import WORSE, Bar, Results, arguments, main, markdown, origin, read, told_worse, write
from counting import instructions
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.measure.cost import Cost, measure
from mcugrad.program.kernel import ROOM
from mcugrad.zoo import nets
from networks import fashion_cnn, few_images

TARGET = "cortex-m4f"
COMPILERS = ("zig", "arm-none-eabi-gcc")
RULE = "sr8"
SHARE = 0.1
"""Of the channels, where a sample updates a part of them."""
STACK = 1024
"""Bytes of stack that a step may take."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A network and what it must reach, in millions of instructions.

    Attributes:
        model: loads it.
        samples: how many it is counted with.
        train: what trains.
        step: of a training step, at most.
        stretch: what it might be.
        predict: of a prediction, at most; None if nothing is asked of it.
        cheaper: how many times as cheap all that follows the forward pass must be where a tenth is updated.
    """

    model: Callable[[], mg.Model]
    samples: int
    step: float
    stretch: float
    train: str = "all"
    predict: float | None = None
    cheaper: float | None = None


def zoo(name: str, **options: Any) -> Callable[[], mg.Model]:
    """A network of the zoo, with inputs as in the literature unless options of `nets.write` say otherwise."""

    def load() -> mg.Model:
        with tempfile.TemporaryDirectory() as folder:
            return mg.load(nets.write(name, Path(folder) / f"{name}.onnx", **options))

    return load


def written(name: str, add: Callable[[nets.Net], nets.Net]) -> Callable[[], mg.Model]:
    """A network of these layers for images of 28x28."""

    def load() -> mg.Model:
        images = few_images()[0].transpose(0, 3, 1, 2)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(add(nets.Net(name, images, 0)).onnx())
            return mg.load(path)

    return load


def mlp(net: nets.Net) -> nets.Net:
    return net.flatten().fc(64).relu().fc(10)


def two_convolutions(net: nets.Net) -> nets.Net:
    net.conv(8, 3, bias=True).relu().max_pool(2).conv(16, 3, bias=True).relu().max_pool(2)
    return net.flatten().fc(10)


NETWORKS = {
    "scratch CNN": Network(lambda: fashion_cnn(0), 8, 1.8, 1.5, predict=0.45, cheaper=5),
    "ResNet-8, 32x32x3": Network(zoo("resnet8"), 2, 39, 34, predict=12, cheaper=3),
    "DS-CNN, 49x10": Network(zoo("ds_cnn"), 4, 9, 7.5, predict=3.2, cheaper=3),
    "MbedNet, 32x32x3": Network(zoo("mbednet"), 2, 16, 12),
    "MLP 784-64-10": Network(written("mlp", mlp), 8, 0.75, 0.5),
    "conv8-pool-conv16-pool-fc10, 28x28": Network(written("convolutions", two_convolutions), 8, 1.8, 1.4),
    "MCUNet 128x128x3, last two blocks and head": Network(zoo("mcunet"), 1, 45, 38, train="last:7"),
}

Case = dict[str, str | int | float]


def compiled(name: str, share: float) -> tuple[mg.Trainer, Floats, NDArray[np.int64]]:
    """A network that updates a share of its channels, and samples to count with."""
    network = NETWORKS[name]
    model = network.model()
    if model.input_shape == (28, 28, 1):
        x, y = few_images()
    else:
        height, *rest, channels = model.input_shape
        x = np.moveaxis(nets.noise((channels, height, *rest), 32, 3), 1, -1)
        y = np.arange(len(x)) % model.classes
    sparse = mg.Sparse(share, policy="split") if share < 1 else None
    made = mg.compile(model, calibration=x, rule=RULE, train=network.train, sparse=sparse, rate=0.01)
    return made, x[: network.samples], y[: network.samples]


def count(made: mg.Trainer, x: Floats, y: NDArray[np.int64], compiler: str) -> Cost:
    """What it takes."""
    board, samples = targets.load(TARGET), made.quantize(x)
    return measure(made.build, board, samples, made.labels(y, len(y)), made.options.rate, compiler=compiler)


def case(name: str, made: mg.Trainer, compiler: str, cost: Cost) -> Case:
    """A row of the results."""
    assert cost.step is not None
    program = made.build.compiled.program
    rooms = [
        int(argument.value or 0)
        for call in program.calls
        for argument, param in zip(call.arguments, call.kernel.params, strict=True)
        if param.name == ROOM
    ]
    wanted = [call.kernel.scratch.sizes(call.struct)[-1] for call in program.calls if call.kernel.scratch]
    return {
        "network": name,
        "compiler": compiler,
        "macs": made.model.macs,
        "predict": cost.predict.instructions,
        "step": cost.step.instructions,
        "ram": cost.ram,
        "arena": made.build.compiled.plan.size,
        "scratch": max(rooms, default=0),
        "scratch_wanted": max(wanted, default=0),
        "stack": cost.stack,
        "flash": cost.flash,
    }


def run(options: argparse.Namespace) -> None:
    results = read(options.json)
    versions = {name: toolchain.find_compiler(name).version for name in COMPILERS}
    for name in options.only or NETWORKS:
        made, x, y = compiled(name, 1.0)
        found = []
        for compiler in COMPILERS:
            found.append(case(name, made, compiler, count(made, x, y, compiler)))
            if NETWORKS[name].cheaper is not None:
                part, *_ = compiled(name, SHARE)
                cost = count(part, x, y, compiler)
                assert cost.step is not None
                found[-1]["partial_backward"] = cost.step.instructions - cost.predict.instructions
            print(f"{name}, {compiler}: {found[-1]['step']:,.0f} instructions a step", flush=True)
        kept = [c for c in results.get("cases", []) if c["network"] != name]
        cases = sorted(kept + found, key=lambda c: list(NETWORKS).index(c["network"]))
        results = {**origin(), "compilers": versions, "cases": cases}
        write(options.json, results)


def worst(results: Results, name: str, key: str) -> float | None:
    """What a network takes by the worse compiler; None where nothing was counted."""
    return max((c[key] for c in results.get("cases", []) if c["network"] == name and key in c), default=None)


def cheaper(results: Results, name: str) -> float | None:
    """How many times as cheap all that follows the forward pass is with a tenth of the updates, at the least."""
    return min(
        (
            (c["step"] - c["predict"]) / c["partial_backward"]
            for c in results.get("cases", [])
            if c["network"] == name and "partial_backward" in c
        ),
        default=None,
    )


def table(results: Results) -> str:
    """Instructions by zig and by gcc, and memory."""
    rows = []
    for name, network in NETWORKS.items():
        cases = [c for c in results.get("cases", []) if c["network"] == name]
        if not cases:
            continue
        ratio = cheaper(results, name)
        rows.append(
            (
                name,
                f"{cases[0]['macs'] / 1e6:.2f}",
                " / ".join(f"{c['predict'] / 1e6:.2f}" for c in cases),
                "" if network.predict is None else f"{network.predict:g}",
                " / ".join(f"{c['step'] / 1e6:.2f}" for c in cases),
                f"{network.step:g} ({network.stretch:g})",
                "" if ratio is None else f"{ratio:.1f} x",
                f"{cases[0]['arena']:,}",
                f"{cases[0]['scratch']:,} of {cases[0]['scratch_wanted']:,}",
                f"{max(c['stack'] for c in cases):,}",
            )
        )
    head = (
        "network, `sr8`, cortex-m4f: millions of instructions, zig / gcc",
        "MACs of a prediction, millions",
        "prediction",
        "at most",
        "training step",
        "at most (might be)",
        "backward at 10 % of the updates",
        "arena, B",
        "scratch in it, B, of what would make a difference",
        "stack, B",
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    found = []
    for name, network in NETWORKS.items():
        limits = {"step": network.step, "predict": network.predict}
        for key, limit in limits.items():
            if limit is not None:
                value = worst(results, name, key)
                what = "a training step" if key == "step" else "a prediction"
                claim = f"{name}: {what}, millions of instructions"
                found.append(Bar(claim, None if value is None else value / 1e6, limit, at_least=False))
        if network.cheaper is not None:
            claim = f"{name}: backward at {SHARE:.0%} of the updates, times cheaper"
            found.append(Bar(claim, cheaper(results, name), network.cheaper))
        found.append(Bar(f"{name}: stack, B", worst(results, name, "stack"), STACK, at_least=False))
    return found


def check_fresh(results: Results, only: list[str] | None) -> int:
    """Counts by zig again; 1 where a prediction or a step takes more than it did."""
    worse = []
    for name in only or NETWORKS:
        made, x, y = compiled(name, 1.0)
        found = instructions(made, x, y, TARGET, COMPILERS[0])
        kept = next(c for c in results["cases"] if (c["network"], c["compiler"]) == (name, COMPILERS[0]))
        for key in ("predict", "step"):
            change = found[key] / kept[key] - 1
            line = f"{name} {key}: {kept[key]:,.0f} -> {found[key]:,.0f} ({change:+.2%})"
            print(line, flush=True)
            if change > WORSE:
                worse.append(line)
    return told_worse(worse, "steps")


if __name__ == "__main__":
    parser = arguments("steps", __doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, metavar="NETWORK", help="networks to count")
    parser.add_argument("--check-fresh", action="store_true", help="count again by zig and compare")
    options = parser.parse_args()
    if options.check_fresh:
        raise SystemExit(check_fresh(read(options.json), options.only))
    raise SystemExit(main(options, run, table, bars))
