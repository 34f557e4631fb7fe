"""Drift: a network trained in one world is deployed in another and learns on from a few labelled samples of it.

Worlds: bearings at another load (cwru, 0 hp to 1, 2 and 3 hp), the watch instead of the phone and new wearers of the
phone (har), many new speakers or a household of them (speech), a camera mounted askew (mnist). Networks are trained
offline in float on the old world only, one for each seed, and calibrated there. The host twin then takes 20 passes over
n labelled samples of the new world: all layers, the last two, or the last one. Accuracy is that on test samples of both
worlds. With replay, every step on a new sample is followed by one on a sample of 64 old ones: towards its label or,
with memory, towards what the delivered network said of it. With augmentation every sample that is trained towards its
label is changed a little, each time anew. `offline` is what PyTorch makes of the same samples, or of more, away from
the device.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mcugrad as mg
from mcugrad.zoo import nets

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Bar, Results, markdown
from harness import (
    COLOURS,
    SEEDS,
    TUNING_SEED,
    Suite,
    final,
    fit,
    loaded,
    main,
    mean,
    method,
    select,
    spread,
    svg,
)
from sets import Array
from worlds import FEW, WORLDS, Samples, world_of

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
TRIED = (0.001, 0.002, 0.005, 0.01, 0.02)
SPEECH_TRIED = (0.0005, 0.001, 0.002, 0.005, 0.01)
EVERYTHING = -1
"""In place of a number of samples: all there are."""
SIZES = (16, 64, 256, 1024)
MAIN = "sr12"
BESIDE = ("sr8", "sr16", "float32")
ABOUT = 256
"""The number of samples at which rules are compared and bars stand."""
FORGETTING = ("har watch", "mnist turned")
"""Worlds that are so far from the old one that the size of the replay buffer matters most."""
BUFFER_RULES, BUFFERS = (MAIN, "float32"), (REPLAY, 256, 1024)
LAYERS = {"all": "all layers", "last:2": "last two", "last:1": "last one"}
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
SHOWN = ("no replay", "replay", "replay, both")
"""Ways that are tried with every number of samples."""
WAYS_RULES = (MAIN, "float32", "sr8")
AUGMENT: dict[str, dict[str, Any]] = {
    "cwru": {"gain": 0.1, "noise": 0.02},
    "har": {"shift": 4, "gain": 0.1, "noise": 0.02},
    "speech": {"shift": (3, 0), "offset": 0.1, "noise": 0.05},
    "mnist": {"shift": (1, 1)},
}
"""Arguments of `mg.Augment` by the first word of a world, in the units of sets.py."""
UNSEEN = 2
"""The seed that was run only after memory and augmentation had been settled."""
SCRATCH = "scratch"
"""In place of the layers that train: all of them, with new weights. Only `offline`."""
OFFLINE = (
    ("har watch", "all", ABOUT, REPLAY, False),
    ("har watch", "all", ABOUT, REPLAY, True),
    ("har watch", "all", ABOUT, EVERYTHING, False),
    ("speech speakers", "all", ABOUT, EVERYTHING, True),
    ("speech speakers", SCRATCH, ABOUT, EVERYTHING, True),
    ("speech speakers", SCRATCH, EVERYTHING, EVERYTHING, False),
    ("speech speakers", SCRATCH, EVERYTHING, EVERYTHING, True),
    ("mnist turned", "all", ABOUT, EVERYTHING, False),
)
"""World, layers, new samples, old samples, augmentation."""


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


def _run(world: str, train: str, rule: str, n: int, way: Way, seed: int) -> Run:
    replay, memory, augment = way
    rate = rate_of(world, train, rule, memory, augment)
    return Run(world, train, rule, n, replay, rate, seed, memory, augment)


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables; `everything` adds other rules and fewer layers at every number of samples."""
    without = WAYS["no replay"], WAYS["replay"]
    plan = [(train, MAIN, ABOUT, way) for train in LAYERS for way in without]
    plan += [("all", MAIN, n, WAYS[way]) for n in SIZES for way in SHOWN]
    plan += [("all", rule, ABOUT, way) for rule in BESIDE for way in without]
    plan += [(train, MAIN, ABOUT, BOTH) for train in LAYERS]
    plan += [("all", MAIN, ABOUT, way) for way in WAYS.values()]
    plan += [("all", rule, ABOUT, BOTH) for rule in WAYS_RULES]
    plan += [("all", rule, ABOUT, way) for rule in WAYS_RULES for way in WAYS.values()]
    buffers = [
        (world, "all", rule, ABOUT, (size, False, False))
        for world in FORGETTING
        for rule in BUFFER_RULES
        for size in BUFFERS
    ]
    if everything:
        rules = (MAIN, *BESIDE)
        plan += [(t, rule, n, way) for rule in rules for n in SIZES for t in LAYERS for way in without]
    runs = [
        (world, train, rule, available(world, n), way) for train, rule, n, way in plan for world in WORLDS
    ]
    if importlib.util.find_spec("torch") is not None:
        buffers += [
            (world, train, "offline", n, (old, False, augment)) for world, train, n, old, augment in OFFLINE
        ]
    return [_run(*what, seed) for what in dict.fromkeys(runs + buffers) for seed in SEEDS]


def available(world: str, n: int) -> int:
    """So many samples of the new world; all, where there are not as many."""
    return EVERYTHING if n == SIZES[-1] and world in FEW else n


def tuning() -> list[Run]:
    """Every world at every rate; speech again with memory and augmentation."""
    plain = [
        Run(world, train, MAIN, ABOUT, 0, rate, TUNING_SEED)
        for world in WORLDS
        for train in LAYERS
        for rate in TRIED
    ]
    return plain + [
        Run("speech speakers", train, MAIN, ABOUT, replay, rate, TUNING_SEED, memory, augment)
        for train in LAYERS
        for replay, memory, augment in WAYS.values()
        if (replay, memory, augment) == BOTH or (train == "all" and (memory or augment))
        for rate in SPEECH_TRIED
    ]


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
    trainer = mg.compile(
        model, calibration=shaped(model, here.train)[0][:256], train=train, seed=seed, **method(name)
    )
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

    `labels` are of all samples of the new world that are there to learn from; the true ones if not given.
    """
    trainer, begin, before, old_before = delivered(run.world, run.train, run.method, run.seed)
    trainer.state = begin
    here, model = world_of(run.world), trainer.model
    x, y = shaped(model, here.new)
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
    found = _found(after, old, before, old_before)
    return found if done == passes else {**found, "diverged": done + 1}


def _found(after: float, old: float, before: float, old_before: float) -> dict[str, Any]:
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


# -- what is found -------------------------------------------------------------------------------------------------


def entries_of(results: Results, world: str, train: str, rule: str, n: int, way: Way) -> list[dict[str, Any]]:
    """One for each seed, at the rate that the tables are made with."""
    wanted = asdict(_run(world, train, rule, n, way, SEEDS[0]))
    del wanted["seed"]
    return select(results, **wanted)


def recovered(entries: Sequence[dict[str, Any]]) -> float | None:
    """Share of what was lost in the new world that came back, %; of the means of the seeds."""
    if not entries:
        return None
    before, after, old = (
        np.mean([final(e, k) for e in entries]) for k in ("before", "accuracy", "old_before")
    )
    return float(100 * (after - before) / (old - before)) if old > before else None


def forgotten(entries: Sequence[dict[str, Any]]) -> float | None:
    """Points lost in the old world, mean."""
    return mean([final(e, "old_before") - final(e, "old") for e in entries])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def triple(entries: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    """New world, recovered, forgotten."""
    new = spread([final(e) for e in entries])
    return new, _number(recovered(entries), ".0f"), _number(forgotten(entries), "+.1f")


TRIPLE = ("new world, %", "recovered, %", "forgotten, points")


def samples_table(results: Results) -> str:
    """All layers: accuracy in the new world and points forgotten by the number of samples."""
    rows = []
    for world, what in WORLDS.items():
        for name in SHOWN:
            after = [entries_of(results, world, "all", MAIN, available(world, n), WAYS[name]) for n in SIZES]
            if first := [e for entries in after for e in entries]:
                known, new = (spread([final(e, k) for e in first]) for k in ("old_before", "before"))
                rows.append((f"{what}: {name}", known, new, *(_pair(entries) for entries in after)))
    heads = (*(f"n = {n:,}" for n in SIZES[:-1]), f"n = {SIZES[-1]:,}, or all")
    return markdown(("world: way", "old world, %", "new, n = 0", *heads), rows)


def ways_table(results: Results) -> str:
    """256 samples, all layers: what comes back and what is forgotten, by what replay and augmentation do.

    The last seed once more alone: nothing was chosen by looking at it.
    """
    rows = []
    for world, what in WORLDS.items():
        for name, way in WAYS.items():
            entries = entries_of(results, world, "all", MAIN, ABOUT, way)
            if entries:
                unseen = [entry for entry in entries if entry["run"]["seed"] == UNSEEN]
                rows.append((f"{what}: {name}", *triple(entries), *triple(unseen)[1:]))
    return markdown(("world: way", *TRIPLE, *(f"{head}, seed {UNSEEN}" for head in TRIPLE[1:])), rows)


def layers_table(results: Results) -> str:
    """256 samples: what comes back and what is forgotten, by layers trained and without replay, with, and with both."""
    rows = []
    for world, what in WORLDS.items():
        for train, layers in LAYERS.items():
            found = [entries_of(results, world, train, MAIN, ABOUT, WAYS[way]) for way in SHOWN]
            if any(found):
                cells = (" / ".join(triple(entries)) if entries else "-" for entries in found)
                rows.append((f"{what}: {layers}", *cells))
    return markdown(("world: trained", *SHOWN), rows)


def rules_table(results: Results) -> str:
    """256 samples, all layers: rules side by side, in every way."""
    rules = ("float32", "sr16", "sr12", "sr8")
    rows = []
    for world, what in WORLDS.items():
        for name, way in WAYS.items():
            found = [entries_of(results, world, "all", rule, ABOUT, way) for rule in rules]
            if any(found):
                rows.append((f"{what}: {name}", *(_pair(entries) for entries in found)))
    return markdown(("world: way", *rules), rows)


def _pair(entries: Sequence[dict[str, Any]]) -> str:
    """New world and, in brackets, points forgotten."""
    new = spread([final(e) for e in entries])
    return f"{new} ({_number(forgotten(entries), '+.1f')})" if entries else new


def buffers_table(results: Results) -> str:
    """256 samples, all layers: accuracy in the new world and points forgotten by the size of the replay buffer."""
    ways = [(size, False, False) for size in (0, *BUFFERS)]
    rows = []
    for world in FORGETTING:
        for rule in BUFFER_RULES:
            found = [entries_of(results, world, "all", rule, ABOUT, way) for way in ways]
            if any(found):
                rows.append((f"{WORLDS[world]}: `{rule}`", *(_pair(entries) for entries in found)))
    return markdown(("world", "no replay", *(f"{size:,} old samples" for size in BUFFERS)), rows)


def offline_table(results: Results) -> str:
    """What the device makes of it, and PyTorch of the same samples or more."""
    rows = []
    for world in dict.fromkeys(world for world, *_ in OFFLINE):
        device = entries_of(results, world, "all", MAIN, ABOUT, BOTH)
        if device:
            rows.append(
                (f"{WORLDS[world]}: device, {ABOUT} new, {REPLAY} old, memory, augmented", *triple(device))
            )
        for place, train, n, old, augment in OFFLINE:
            entries = entries_of(results, world, train, "offline", n, (old, False, augment))
            if place == world and entries:
                new, kept = ("all" if size == EVERYTHING else str(size) for size in (n, old))
                how = f"{', augmented' if augment else ''}{', from scratch' if train == SCRATCH else ''}"
                rows.append((f"{WORLDS[world]}: offline, {new} new, {kept} old{how}", *triple(entries)))
    return markdown(("world: learned", *TRIPLE), rows)


def bars(results: Results) -> list[Bar]:
    """256 labelled samples, all layers, sr12, with replay, memory and augmentation: what one would deploy."""
    found = []
    for world, what in WORLDS.items():
        entries = entries_of(results, world, "all", MAIN, ABOUT, BOTH)
        found.append(Bar(f"{what}: recovered, %", recovered(entries), 80))
        found.append(Bar(f"{what}: forgotten, points", forgotten(entries), 3, at_least=False))
    return found


def plot(results: Results, path: Path) -> None:
    """Accuracy in both worlds over the number of samples."""
    shown = ("cwru 3 hp", "har watch", "mnist turned")

    def draw(axes: Any) -> None:
        for each, world in zip(axes, shown, strict=True):
            for way, line in zip(SHOWN, (":", "--", "-"), strict=True):
                for name, start, colour in (
                    ("accuracy", "before", "#1f6fb2"),
                    ("old", "old_before", COLOURS["float32"]),
                ):
                    by_size = {n: entries_of(results, world, "all", MAIN, n, WAYS[way]) for n in SIZES}
                    points = {
                        n: mean([final(e, name) for e in found]) for n, found in by_size.items() if found
                    }
                    if points:
                        zero = mean([final(e, start) for found in by_size.values() for e in found])
                        first = {4: zero}
                        label = f"{'new' if name == 'accuracy' else 'old'} world, {way}"
                        each.plot(
                            *zip(*(first | points).items(), strict=True),
                            linestyle=line,
                            marker="o",
                            markersize=3,
                            color=colour,
                            label=label,
                        )
            each.set(xlabel="labelled samples", title=WORLDS[world], xscale="log", ylim=(0, 102))
            each.set_xticks([4, *SIZES], ["0", *map(str, SIZES)])
            each.minorticks_off()
        axes[0].set_ylabel("accuracy, %")
        axes[0].legend(frameon=False, loc="lower right")

    svg(path, draw, columns=3, height=3.2)


SUITE = Suite(
    name="drift",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={
        "drift": samples_table,
        "drift-ways": ways_table,
        "drift-offline": offline_table,
        "drift-layers": layers_table,
        "drift-rules": rules_table,
        "drift-buffers": buffers_table,
    },
    bars=bars,
    plots={"accuracy_drift.svg": plot},
    needs=needs,
    prepare=prepare,
    group=lambda run: (run.world, run.train, run.method, run.seed),
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
