"""An adaptation of the drift suite: a delivered network learns on from some samples of another world.

The network was trained offline in float on the old world only and calibrated there. The host twin takes `PASSES` passes
over the samples; PyTorch may do it instead, `offline`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from harness import final, fit, loaded, mean, method, spread
from numpy.typing import NDArray
from sets import Array
from worlds import Samples, world_of

import mcugrad as mg
from mcugrad.zoo import nets

PASSES = 20
REPLAY = 64
PRETRAINING = {"epochs": 30, "rate": 0.003}
FINE_TUNING = {"epochs": 30, "rate": 0.001}
"""Of `offline`, which begins with the delivered network or, as pretraining does, from scratch."""
RATES = {"all": 0.005, "last:2": 0.005, "last:1": 0.01}
"""Of those that `--tune` tries with 256 samples and sr12: from 0.002 to 0.01 worlds differ by a point or two."""
SPEECH_RATES = {"all": 0.001, "last:2": 0.005, "last:1": 0.01}
"""Of speech with memory or augmentation: for all layers the best with both that `--tune` tries, by the mean of both
worlds; with fewer layers rates differ by less than half a point."""
EVERYTHING = -1
"""In place of a number of samples: all there are."""
MAIN = "sr12"
ON_LATENTS = " on latents"
"""Behind the name of a rule: old samples are stored as what the layers that do not train make of them."""
ABOUT = 256
"""The number of samples at which rules are compared and bars stand."""
Way = tuple[int, bool, bool]
"""Old samples that are replayed, whether towards what the delivered network said, and whether samples are augmented."""
BOTH: Way = (REPLAY, True, True)
WAYS: dict[str, Way] = {
    "no replay": (0, False, False),
    "no replay, augmentation": (0, False, True),
    "replay": (REPLAY, False, False),
    "replay, memory": (REPLAY, True, False),
    "replay, augmentation": (REPLAY, False, True),
    "replay, both": BOTH,
}
AUGMENT: dict[str, dict[str, Any]] = {
    "cwru": {"gain": 0.1, "noise": 0.02},
    "har": {"shift": 4, "gain": 0.1, "noise": 0.02},
    "speech": {"shift": (3, 0), "offset": 0.1, "noise": 0.05},
    "mnist": {"shift": (1, 1)},
}
"""Arguments of `mg.Augment` by the first word of a world, in the units of sets.py."""
SCRATCH = "scratch"
"""In place of the layers that train: all of them, with new weights. Only `offline`."""


@dataclass(frozen=True)
class Run:
    """An adaptation: to what, of which layers, by what, from how many samples, with how many old ones, with which luck.

    Attributes:
        memory: whether old samples are trained towards what the delivered network said of them.
        augment: whether samples are changed a little before they are trained.
    """

    world: str
    train: str
    method: str
    n: int
    replay: int
    rate: float
    seed: int
    memory: bool = False
    augment: bool = False


def rate_of(world: str, train: str, rule: str, memory: bool, augment: bool) -> float:
    """The learning rate that the tables are made with."""
    if rule == "offline":
        return (PRETRAINING if train == SCRATCH else FINE_TUNING)["rate"]
    rates = SPEECH_RATES if world.startswith("speech") and (memory or augment) else RATES
    return rates[train]


def run_of(world: str, train: str, rule: str, n: int, way: Way, seed: int) -> Run:
    replay, memory, augment = way
    rate = rate_of(world, train, rule, memory, augment)
    return Run(world, train, rule, n, replay, rate, seed, memory, augment)


def needs(run: Run) -> tuple[str, int]:
    """The old world and the seed; what starts at 0 hp is the same for every load, and so are those who spoke."""
    same = {"cwru": "cwru 1 hp", "speech": "speech speakers"}
    return same.get(run.world.split()[0], run.world), run.seed


def pretrained(need: tuple[str, int]) -> bytes:
    """A network trained in the old world, as an ONNX file; trained if it is not there yet."""
    import pretrain

    here, seed = world_of(need[0]), need[1]
    label = f"drift_{need[0].replace(' ', '_')}"
    return pretrain.pretrained(label, _start(need), *here.train, seed=seed, **PRETRAINING)


def _start(need: tuple[str, int]) -> bytes:
    """The network before it has learned anything, as an ONNX file."""
    here, seed = world_of(need[0]), need[1]
    return nets.build(here.network, samples=here.train[0][:128], classes=here.classes, seed=seed)


def prepare(need: tuple[str, int]) -> None:
    """Pretrains."""
    pretrained(need)


@lru_cache(maxsize=1)
def delivered(world: str, train: str, name: str, seed: int) -> tuple[mg.Trainer, Any, float, float]:
    """A compiled network of the old world, its state at delivery, and its accuracy in the new and the old world."""
    run = Run(world, train, name, 0, 0, 0.0, seed)
    model = loaded(pretrained(needs(run)))
    here = world_of(world)
    how: dict[str, Any] = method(name.removesuffix(ON_LATENTS))
    if name.endswith(ON_LATENTS):
        how["replay_of"] = "latents"
    trainer = mg.compile(model, calibration=shaped(model, here.train)[0][:256], train=train, seed=seed, **how)
    accuracy = [trainer.evaluate(*shaped(model, part)) for part in (here.new_test, here.test)]
    return trainer, trainer.state, accuracy[0], accuracy[1]


def shaped(model: mg.Model, samples: Samples) -> Samples:
    """Samples as the network takes them, and their labels."""
    return samples[0].reshape(-1, *model.input_shape), samples[1]


def chosen(run: Run) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the new samples and of the old ones, drawn."""
    here = world_of(run.world)
    random = np.random.default_rng(run.seed)
    new = random.permutation(len(here.new[1]))
    old = len(here.train[1]) if run.replay == EVERYTHING else run.replay
    return new if run.n == EVERYTHING else new[: run.n], _balanced(here.train[1], old, random)


def perform(run: Run) -> dict[str, Any]:
    """Adapts; accuracy in both worlds, before and after."""
    if run.method == "offline":
        return _offline(run)
    return adapted(run, *chosen(run))


def adapted(
    run: Run,
    new: NDArray[np.int64],
    kept: NDArray[np.int64],
    *,
    labels: NDArray[np.int64] | None = None,
    passes: int = PASSES,
) -> dict[str, Any]:
    """The delivered network learns on from these samples of the new world and those of the old one.

    `labels` are of all samples of the new world that are there to learn from; the true ones if not given. Accuracy is
    that on test samples and, as `rest`, on those that were there to learn from and were not learned.
    """
    trainer, begin, before, old_before = delivered(run.world, run.train, run.method, run.seed)
    trainer.state = begin
    here, model = world_of(run.world), trainer.model
    x, y = shaped(model, here.new)
    rest = np.setdiff1d(np.arange(len(y)), new)
    unseen = x[rest], y[rest]
    rest_before = trainer.evaluate(*unseen) if len(rest) else None
    y = y if labels is None else labels
    options: dict[str, Any] = {}
    if run.replay:
        x_old, y_old = shaped(model, here.train)
        source = x_old[kept], y_old[kept]
        options["replay"] = mg.Replay(run.replay, every=1, source=source, remember=run.memory)
    if run.augment:
        options["augment"] = mg.Augment(**AUGMENT[run.world.split()[0]], seed=run.seed)
    done = fit(
        trainer,
        x[new],
        y[new],
        epochs=passes,
        rate=run.rate,
        schedule="cosine",
        seed=run.seed,
        watch=lambda epoch: None,
        **options,
    )
    after, old = (trainer.evaluate(*shaped(model, part)) for part in (here.new_test, here.test))
    found: dict[str, Any] = _found(after, old, before, old_before)
    if rest_before is not None:
        found |= {"rest": round(trainer.evaluate(*unseen), 4), "rest_before": round(rest_before, 4)}
    if run.replay:
        found["stored"] = trainer.build.compiled.program.stored
    return found if done == passes else {**found, "diverged": done + 1}


def _found(after: float, old: float, before: float, old_before: float) -> dict[str, float]:
    found = {"accuracy": after, "old": old, "before": before, "old_before": old_before}
    return {name: round(value, 4) for name, value in found.items()}


def _offline(run: Run) -> dict[str, Any]:
    """Trains in PyTorch, in float, new and old samples shuffled, from the delivered network or from scratch."""
    import pretrain

    here = world_of(run.world)
    new, kept = chosen(run)
    kept = np.resize(kept, max(len(kept), len(new)))  # again and again, as often as replay trains them
    x, y = (np.concatenate([ours[new], old[kept]]) for ours, old in zip(here.new, here.train, strict=True))
    settings = PRETRAINING if run.train == SCRATCH else FINE_TUNING
    epochs = int(settings["epochs"])
    if run.augment:
        # One epoch of as many copies, each of them different.
        random = np.random.default_rng(run.seed)
        how = AUGMENT[run.world.split()[0]]
        x, y = np.concatenate([_varied(x, random, **how) for _ in range(epochs)]), np.tile(y, epochs)
        epochs = 1
    first = pretrain.TorchNet(pretrained(needs(run)))
    start = _start(needs(run)) if run.train == SCRATCH else first.onnx()
    net = pretrain.TorchNet(start)
    pretrain.train(net, x, y, epochs=epochs, rate=run.rate, seed=run.seed)
    return _found(
        *(
            float((each.classify(samples) == labels).mean())
            for each in (net, first)
            for samples, labels in (here.new_test, here.test)
        )
    )


def _varied(
    x: Array,
    random: np.random.Generator,
    *,
    shift: int | tuple[int, int] = 0,
    gain: float = 0.0,
    offset: float = 0.0,
    noise: float = 0.0,
) -> Array:
    """Samples changed as `mg.Augment` does it, in float: shifted, the border repeated, then gain, offset and noise."""
    one_each = (len(x), *[1] * (x.ndim - 1))
    moved = x
    for axis, reach in enumerate(shift if isinstance(shift, tuple) else (shift,), start=1):
        places = np.arange(x.shape[axis])
        by = random.integers(-reach, reach + 1, len(x))[:, None]
        shape = [len(x), *(x.shape[axis] if a == axis else 1 for a in range(1, x.ndim))]
        from_ = np.clip(places - by, 0, len(places) - 1).reshape(shape)
        moved = np.take_along_axis(moved, from_, axis)
    scaled = moved * (1 + random.uniform(-gain, gain, one_each)) + random.uniform(-offset, offset, one_each)
    return (scaled + random.normal(0, noise, x.shape) if noise else scaled).astype(np.float32)


def _balanced(y: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of `count` samples, of every class as many as of the others, as far as there are."""
    order = random.permutation(len(y))
    rank = np.empty(len(y), np.int64)
    for label in np.unique(y):
        mine = order[y[order] == label]
        rank[mine] = np.arange(len(mine))
    return order[np.argsort(rank[order], kind="stable")][:count]


def recovered(entries: Sequence[dict[str, Any]], of: str = "accuracy", start: str = "before") -> float | None:
    """Share of what was lost in the new world that came back, %; of the means of the seeds."""
    if not entries:
        return None
    before, after, old = (np.mean([final(e, k) for e in entries]) for k in (start, of, "old_before"))
    return float(100 * (after - before) / (old - before)) if old > before else None


def forgotten(entries: Sequence[dict[str, Any]]) -> float | None:
    """Points lost in the old world, mean."""
    return mean([final(e, "old_before") - final(e, "old") for e in entries])


def number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def triple(entries: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    """New world, recovered, forgotten."""
    new = spread([final(e) for e in entries])
    return new, number(recovered(entries), ".0f"), number(forgotten(entries), "+.1f")


TRIPLE = ("new world, %", "recovered, %", "forgotten, points")
