"""What 8-bit errors are worth, layer by layer: which layers learn at all, and how close changes are to exact ones.

    python benchmarks/depth_errors.py mobilenet_v2_035 mbednet
    python benchmarks/depth_errors.py net.onnx --data samples.npz

*Silent* layers have not one changed weight after so many steps. *Cosine* is that between the change of a layer's
weights by one sample, from errors of 8 bits, and the one from errors in float32 on the same int8 activations: what
rounding in the backward pass costs, and nothing else. It is given for the quarters of the network, the first layers
first; of changes by single samples, then of their sum over samples. Networks of the zoo are read at 32 x 32 at most.
Without `--data`, a file with `x` and `y`, samples are noise. `--luck` says of each layer that rounding at random may
leave silent how many weights are expected to change, and the odds that none does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad.arithmetic import round_half_up
from mcugrad.graph import ActivationScale, WeightScale
from mcugrad.ops.tracking.ranges_s8 import UNBOUNDED, bounds_of
from mcugrad.program import PREDICT, TRAIN_STEP, Call
from mcugrad.program.execute import arguments, execute
from mcugrad.run.life import Life
from mcugrad.run.reference import ReferenceRunner
from mcugrad.training.rules.family import Family
from mcugrad.zoo import nets

Values = dict[str, NDArray[Any]]
LARGEST_MAP = 32
UNLIKELY = 0.01
"""Odds below which a layer is not named."""


def weights(trainer: mg.Trainer) -> list[str]:
    """Names of the weights that train, those of the first layer first."""
    tensors = trainer.build.graph.tensors.values()
    return [t.name for t in tensors if t.trainable and isinstance(t.quant, WeightScale)]


def silent(trainer: mg.Trainer, runner: Life, x: NDArray[Any], y: NDArray[Any], steps: int) -> list[str]:
    """Names of weights of which not one, residual bits included, has changed after so many steps."""
    before = {name: value.copy() for name, value in runner.state().items()}
    order = np.arange(steps, dtype=np.uint32) % np.uint32(len(x))
    runner.train(trainer.quantize(x), trainer.labels(y, len(x)), order)
    after = runner.state()
    changed = {name for name, value in before.items() if not np.array_equal(value, after[name])}
    return [w for w in weights(trainer) if not {w, f"{w}_residual"} & changed]


@dataclass(frozen=True)
class _Watched(Family):
    """A rule that rounds at random, and notes for each row what was wanted, in what it can store."""

    wanted: list[NDArray[np.float64]] = field(default_factory=list)

    def moved(self, master: NDArray[np.int64], o: int, d: NDArray[np.int64], dither: Any) -> bool:
        """As that of the rule."""
        self.wanted.append(np.abs(d) / float(1 << (16 - self.residual_bits)))
        return super().moved(master, o, d, dither)


def luck(
    trainer: mg.Trainer, runner: ReferenceRunner, x: NDArray[Any], y: NDArray[Any], steps: int
) -> dict[str, tuple[float, float]]:
    """Weights that are expected to change in so many steps, and the odds that none does, by name of the weights.

    A change of a share of what can be stored is made with these odds, so both follow from what was wanted. Counted
    again where a weight changes in several steps.

    Args:
        trainer: int8, by a rule of the family that rounds at random, one sample at a time, whole updates.
        runner: of its program; learns.
        x: samples, (n, *input shape), real units.
        y: their classes.
        steps: to take.
    """
    program, values = trainer.build.compiled.program, runner._values
    samples, labels = trainer.quantize(x), trainer.labels(y, len(x))
    found = dict.fromkeys(weights(trainer), (0.0, 0.0))
    for i in range(steps):
        values[program.input] = samples[i % len(x)].reshape(-1)
        values["label"] = np.asarray([labels[i % len(x)]], np.uint32)
        for call in program.calls_of(TRAIN_STEP):
            given = arguments(call, values)
            rules = {name: value for name, value in given.items() if isinstance(value, Family)}
            watched = {name: _Watched(**vars(rule)) for name, rule in rules.items()}
            given |= watched
            nothing = np.empty(0, np.uint8)
            call.kernel.reference(
                *(nothing if given[p.name] is None else given[p.name] for p in call.kernel.seen)
            )
            for rule in watched.values():
                name = _named(call)["w"]
                changed, stays = found[name]
                shares = np.minimum(np.concatenate([np.zeros(1), *rule.wanted]), 1)
                with np.errstate(divide="ignore"):
                    found[name] = changed + float(shares.sum()), stays + float(np.log1p(-shares).sum())
    return {name: (changed, float(np.exp(stays))) for name, (changed, stays) in found.items()}


def changes(
    trainer: mg.Trainer, exact: mg.Trainer, x: NDArray[Any], y: NDArray[Any], warm: int = 0
) -> Iterator[dict[str, tuple[NDArray[Any], NDArray[Any]]]]:
    """For each sample: what errors of 8 bits, and exact ones, would change, by name of the weights.

    Args:
        trainer: int8, trains all layers by a label's cross-entropy. It learns from the samples, one after the other.
        exact: the same network, compiled with precision="float32".
        x: samples, (n, *input shape), real units.
        y: their classes.
        warm: steps before the first that counts, for ranges to settle.
    """
    samples, labels = trainer.quantize(x), trainer.labels(y, len(x))
    runner = ReferenceRunner(trainer.build.compiled)
    for i in range(-warm, len(x)):
        before = {name: value.copy() for name, value in runner.state().items()}
        runner.train(samples, labels, np.asarray([i % len(x)], np.uint32))
        if i >= 0:
            after = {name: value for name, value in runner._values.items() if value is not None}
            yield _both(trainer, exact, before, after, labels[i])


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Of two arrays as vectors; 0 where one of them is 0, 1 where both are."""
    u, v = a.reshape(-1).astype(np.float64), b.reshape(-1).astype(np.float64)
    size = float(np.sqrt((u @ u) * (v @ v)))
    return float(u @ v) / size if size else float(not u.any() and not v.any())


def quarters(values: Sequence[float]) -> list[float]:
    """Means over the first quarter of the layers, the second, and so on."""
    return [float(part.mean()) for part in np.array_split(np.asarray(values), 4)]


def _both(
    trainer: mg.Trainer, exact: mg.Trainer, before: Values, after: Values, label: Any
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    program, tensors = exact.build.compiled.program, trainer.build.graph.tensors
    values: Values = {
        name: np.zeros(b.shape, b.dtype) if b.value is None else b.value.copy()
        for name, b in program.buffers.items()
    }
    for name in values.keys() & tensors.keys():
        quant = tensors[name].quant
        if isinstance(quant, ActivationScale) and values[name].dtype == np.float32 and name in after:
            values[name].reshape(-1)[:] = _real(trainer, before, after, name)
        elif isinstance(quant, WeightScale):
            rows = before[name].reshape(len(before[name]), -1) * before[f"{name}_scale"][:, None]
            values[name].reshape(-1)[:] = rows.reshape(-1)
    if trainer.build.graph.input in after:
        values["input_real"] = _real(trainer, before, after, trainer.build.graph.input)
    started = {name: values[name].copy() for name in weights(trainer)}
    values["label"] = np.asarray([label], np.uint32)
    learning = program.calls_of(TRAIN_STEP)[len(program.calls_of(PREDICT)) :]
    for call in learning:
        execute(call, values)
    found = {}
    in_int8 = list(map(_named, trainer.build.compiled.program.calls))
    ours = {a["w"]: a for a in in_int8 if "factor" in a and "w" in a}
    units = {a["factor"]: a["c"] for a in in_int8 if "to_scale" in a}
    for call in learning:
        a = _named(call)
        if "w" not in a or "rate" not in a:
            continue
        w, e = a["w"], ours[a["w"]]["e"]
        error = (
            after[e].reshape(-1, len(started[w])) / before[f"{w}_scale"] * after[units[ours[w]["factor"]]][0]
        )
        ends = {**values, a["e"]: error.astype(np.float32), w: started[w].copy()}
        execute(call, ends)
        found[w] = ends[w] - started[w], values[w] - started[w]
    return {w: found[w] for w in weights(trainer)}


def _named(call: Call) -> dict[str, str]:
    """Names of the buffers of a call, by parameter."""
    pairs = zip(call.kernel.params, call.arguments, strict=True)
    return {param.name: argument.buffer for param, argument in pairs if argument.buffer}


def _real(trainer: mg.Trainer, before: Values, after: Values, name: str) -> NDArray[np.float32]:
    """An activation in real units, by the scale that it had in the step."""
    quant = trainer.build.graph.tensors[name].quant
    assert isinstance(quant, ActivationScale)
    scale = before.get(f"{quant.owner}_scale", np.asarray([quant.scale], np.float32))
    data = after["x" if name == trainer.build.graph.input else name]
    steps = data.reshape(-1).astype(np.int64) - quant.zero
    real = steps.astype(np.float32) * scale[0]
    # What is at a bound of the activation function in steps is at that bound, and so passes no error.
    with np.errstate(over="ignore"):
        low, high = round_half_up(bounds_of(quant) / scale[0], 1 << 30)
    real = np.where(steps <= low, -UNBOUNDED if quant.low is None else quant.low, real)
    return np.where(steps >= high, UNBOUNDED if quant.high is None else quant.high, real).astype(np.float32)


def _samples(path: Path | None, network: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if path is not None:
        data = np.load(path)
        return data["x"].astype(np.float32), data["y"]
    shape = nets.about(network).input_shape
    if len(shape) == 3:
        shape = (min(shape[0], LARGEST_MAP), min(shape[1], LARGEST_MAP), shape[2])
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, *shape)).astype(np.float32), rng.integers(0, 10, 64)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="+", help="names in the zoo, or ONNX files")
    parser.add_argument("--data", type=Path, help="file with x and y; without one, noise")
    parser.add_argument("--rule", default="sr12")
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=25, help="until silent layers are counted")
    parser.add_argument("--seed", type=int, default=0, help="of rounding at random")
    parser.add_argument("--luck", action="store_true", help="which layers may be silent by chance")
    parser.add_argument("--samples", type=int, default=2, help="of which changes are compared; 0 for none")
    given = parser.parse_args()
    for network in given.networks:
        x, y = _samples(given.data, network)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(network)
            if path.suffix != ".onnx":
                path = nets.write(network, Path(folder) / "net.onnx", samples=x, classes=int(y.max()) + 1)
            model = mg.load(path)
        options: dict[str, Any] = {"calibration": x[:64], "train": "all", "rate": given.rate}
        trainer = mg.compile(model, rule=given.rule, seed=given.seed, **options)
        names = weights(trainer)
        quiet = silent(trainer, trainer.twin, x, y, given.steps)
        print(
            f"{Path(network).name}: {len(quiet)} of {len(names)} layers silent after {given.steps} steps",
            *quiet[:5],
        )
        if given.luck:
            runner = ReferenceRunner(trainer.build.compiled)
            for w, (changed, odds) in luck(trainer, runner, x, y, given.steps).items():
                if odds > UNLIKELY:
                    print(f"  {w}: {changed:.2f} changes expected, none with odds of {odds:.3f}")
        if not given.samples:
            continue
        exact = mg.compile(model, precision="float32", **options)
        part = x[: given.samples], y[: given.samples]
        pairs = list(changes(trainer, exact, *part, warm=5))
        single = [np.mean([cosine(*pair[w]) for pair in pairs]) for w in names]
        total = [cosine(*(sum(pair[w][i] for pair in pairs) for i in (0, 1))) for w in names]
        print("  cosine of single samples, by quarter:", *(f"{v:.3f}" for v in quarters(single)))
        print("  cosine of their sum,      by quarter:", *(f"{v:.3f}" for v in quarters(total)), flush=True)


if __name__ == "__main__":
    main()
