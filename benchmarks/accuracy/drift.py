"""Drift: a network trained in one world is deployed in another and learns on from a few labelled samples of it.

Worlds: bearings at another load (cwru, 0 hp to 1, 2 and 3 hp), the watch instead of the phone and new wearers of the
phone (har), new speakers (speech), a camera mounted askew (mnist). Networks are trained offline in float on the old
world only, one for each seed, and calibrated there. The host twin then takes 20 passes over n labelled samples of the
new world: all layers, the last two, or the last one. Accuracy is that on test samples of both worlds. With replay,
every step on a new sample is followed by one on a sample of 64 old ones.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
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
from sets import Array, load, rotated

PASSES = 20
REPLAY = 64
PRETRAINING = {"epochs": 30, "rate": 0.003}
RATES = {"all": 0.005, "last:2": 0.005, "last:1": 0.01}
"""Of those that `--tune` tries with 256 samples and sr12: from 0.002 to 0.01 worlds differ by a point or two."""
TRIED = (0.001, 0.002, 0.005, 0.01, 0.02)
SIZES = (16, 64, 256, 1024)
OFFLINE_DIGITS, DEVICE_DIGITS = 10_000, 2_000
"""Of the training samples of mnist: what the network learns offline, and what the device may meet."""
MAIN = "sr12"
BESIDE = ("sr8", "sr16", "float32")
ABOUT = 256
"""The number of samples at which rules are compared and bars stand."""
FORGETTING = ("har watch", "mnist turned")
"""Worlds that are so far from the old one that the size of the replay buffer matters most."""
BUFFER_RULES, BUFFERS = (MAIN, "float32"), (REPLAY, 256, 1024)
LAYERS = {"all": "all layers", "last:2": "last two", "last:1": "last one"}

Samples = tuple[Array, NDArray[np.int64]]


@dataclass(frozen=True)
class World:
    """What changes.

    Attributes:
        network: of the zoo.
        classes: number of them.
        train: samples that the network learns offline.
        test: held-out samples of the old world.
        new: samples of the new world to learn from.
        new_test: held-out samples of the new world.
    """

    network: str
    classes: int
    train: Samples
    test: Samples
    new: Samples
    new_test: Samples


WORLDS = {
    "cwru 1 hp": "bearings, 0 hp to 1 hp",
    "cwru 2 hp": "bearings, 0 hp to 2 hp",
    "cwru 3 hp": "bearings, 0 hp to 3 hp",
    "har watch": "motion, phone to watch",
    "har wearers": "motion, new wearers",
    "speech speakers": "keywords, new speakers",
    "mnist turned": "digits, turned by 45 degrees",
}
AVAILABLE = {"cwru 1 hp": 796, "cwru 2 hp": 796, "cwru 3 hp": 796, "har wearers": 384, "speech speakers": 579}
"""Samples of the new world that there are at least, where they are fewer than 1,024."""


@dataclass(frozen=True)
class Run:
    """An adaptation: to what, of which layers, by what, from how many samples, with replay or not, with which luck."""

    world: str
    train: str
    method: str
    n: int
    replay: int
    rate: float
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables; `everything` adds other rules and fewer layers at every number of samples."""
    plan = [(train, MAIN, ABOUT, replay) for train in LAYERS for replay in (0, REPLAY)]
    plan += [("all", MAIN, n, replay) for n in SIZES for replay in (0, REPLAY)]
    plan += [("all", rule, ABOUT, replay) for rule in BESIDE for replay in (0, REPLAY)]
    buffers = [
        (world, "all", rule, ABOUT, size) for world in FORGETTING for rule in BUFFER_RULES for size in BUFFERS
    ]
    if everything:
        rules = (MAIN, *BESIDE)
        plan += [(t, rule, n, r) for rule in rules for n in SIZES for t in LAYERS for r in (0, REPLAY)]
    runs = [(world, *what) for what in plan for world in WORLDS if what[2] <= AVAILABLE.get(world, 1024)]
    return [Run(*what, RATES[what[1]], seed) for what in dict.fromkeys(runs + buffers) for seed in SEEDS]


def tuning() -> list[Run]:
    """Every world at every rate."""
    return [
        Run(world, train, MAIN, ABOUT, 0, rate, TUNING_SEED)
        for world in WORLDS
        for train in LAYERS
        for rate in TRIED
    ]


@cache
def world_of(name: str) -> World:
    """The samples of both worlds."""
    kind, change = name.split(" ", 1)
    found = load(kind)
    everyone, held_out = (found.x, found.y), (found.x_test, found.y_test)
    if kind == "mnist":
        # Not by half a turn: upside down, a 6 is a 9, and no network could know both worlds.
        some = found.x[:OFFLINE_DIGITS], found.y[:OFFLINE_DIGITS]
        later = found.x[OFFLINE_DIGITS:][:DEVICE_DIGITS], found.y[OFFLINE_DIGITS:][:DEVICE_DIGITS]
        turned = [(rotated(x, 45), y) for x, y in (later, held_out)]
        return World("lenet", 10, some, held_out, *turned)
    if kind == "cwru":
        load_of, test_of = found.of["load"], found.of_test["load"]
        to = int(change[0])
        return World(
            "vibration_cnn",
            10,
            _part(everyone, load_of == 0),
            _part(held_out, test_of == 0),
            _part(everyone, load_of == to),
            _part(held_out, test_of == to),
        )
    if change == "watch":
        device, test_device = found.of["device"], found.of_test["device"]
        return World(
            "inertial_cnn",
            5,
            _part(everyone, device == 0),
            _part(held_out, test_device == 0),
            _part(everyone, device == 1),
            _part(held_out, test_device == 1),
        )
    if kind == "har":
        phone, test_phone = found.of["device"] == 0, found.of_test["device"] == 0
        old, new = _part(everyone, phone), _part(held_out, test_phone)
        late = _late(found.of["subject"][phone], 0.8)
        late_new = _late(found.of_test["subject"][test_phone], 0.5)
        network = "inertial_cnn"
    else:
        # Ten bands, as DS-CNN has: means of four.
        few = [(x.reshape(len(x), 49, 10, 4).mean(3)[..., None], y) for x, y in (everyone, held_out)]
        old, new = few
        # A speaker's recordings are sorted by word, so neighbours are told apart.
        late, late_new = np.arange(len(old[0])) % 5 == 4, np.arange(len(new[0])) % 2 == 1
        network = "ds_cnn"
    return World(
        network,
        found.classes,
        _part(old, ~late),
        _part(old, late),
        _part(new, ~late_new),
        _part(new, late_new),
    )


def _part(samples: Samples, which: NDArray[np.bool_]) -> Samples:
    return samples[0][which], samples[1][which]


def _late(who: NDArray[np.int64], begin: float) -> NDArray[np.bool_]:
    """Of everybody, the samples from a share of theirs on, in the order in which they were recorded."""
    late = np.zeros(len(who), bool)
    for one in np.unique(who):
        mine = np.flatnonzero(who == one)
        late[mine[int(np.ceil(begin * len(mine))) :]] = True
    return late


def needs(run: Run) -> tuple[str, int]:
    """The old world and the seed; what starts at 0 hp is the same for every load."""
    return ("cwru 1 hp" if run.world.startswith("cwru") else run.world), run.seed


def pretrained(need: tuple[str, int]) -> bytes:
    """A network trained in the old world, as an ONNX file; trained if it is not there yet."""
    import pretrain

    here, seed = world_of(need[0]), need[1]
    start = nets.build(here.network, samples=here.train[0][:128], classes=here.classes, seed=seed)
    return pretrain.pretrained(
        f"drift_{need[0].replace(' ', '_')}", start, *here.train, seed=seed, **PRETRAINING
    )


def prepare(need: tuple[str, int]) -> None:
    """Pretrains."""
    pretrained(need)


@lru_cache(maxsize=1)
def _trainer(world: str, train: str, name: str, seed: int) -> tuple[mg.Trainer, Any, float, float]:
    """A compiled network, its state at delivery, and its accuracy in the new and the old world."""
    run = Run(world, train, name, 0, 0, 0.0, seed)
    model = loaded(pretrained(needs(run)))
    here = world_of(world)
    trainer = mg.compile(
        model, calibration=_shaped(model, here.train)[0][:256], train=train, seed=seed, **method(name)
    )
    accuracy = [trainer.evaluate(*_shaped(model, part)) for part in (here.new_test, here.test)]
    return trainer, trainer.state, accuracy[0], accuracy[1]


def _shaped(model: mg.Model, samples: Samples) -> Samples:
    return samples[0].reshape(-1, *model.input_shape), samples[1]


def perform(run: Run) -> dict[str, Any]:
    """Adapts; accuracy in both worlds, before and after."""
    trainer, begin, before, old_before = _trainer(run.world, run.train, run.method, run.seed)
    trainer.state = begin
    here, model = world_of(run.world), trainer.model
    random = np.random.default_rng(run.seed)
    chosen = random.permutation(len(here.new[1]))[: run.n]
    x, y = _shaped(model, here.new)
    options: dict[str, Any] = {}
    if run.replay:
        kept = _balanced(here.train[1], run.replay, random)
        x_old, y_old = _shaped(model, here.train)
        options["replay"] = mg.Replay(run.replay, every=1, source=(x_old[kept], y_old[kept]))
    done = fit(
        trainer,
        x[chosen],
        y[chosen],
        epochs=PASSES,
        rate=run.rate,
        schedule="cosine",
        seed=run.seed,
        watch=lambda epoch: None,
        **options,
    )
    found = {
        "accuracy": trainer.evaluate(*_shaped(model, here.new_test)),
        "old": trainer.evaluate(*_shaped(model, here.test)),
        "before": before,
        "old_before": old_before,
    }
    rounded: dict[str, Any] = {name: round(value, 4) for name, value in found.items()}
    return rounded if done == PASSES else {**rounded, "diverged": done + 1}


def _balanced(y: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Indices of `count` samples, of every class as many as of the others, as far as there are."""
    order = random.permutation(len(y))
    rank = np.empty(len(y), np.int64)
    for label in np.unique(y):
        mine = order[y[order] == label]
        rank[mine] = np.arange(len(mine))
    return order[np.argsort(rank[order], kind="stable")][:count]


# -- what is found -------------------------------------------------------------------------------------------------


def entries_of(
    results: Results, world: str, train: str, rule: str, n: int, replay: int
) -> list[dict[str, Any]]:
    """One for each seed, at the rate that the tables are made with."""
    wanted = {"world": world, "train": train, "method": rule, "n": n, "replay": replay}
    return select(results, **wanted, rate=RATES[train])


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


def samples_table(results: Results) -> str:
    """All layers, without replay: accuracy in the new world by the number of samples."""
    rows = []
    for world, what in WORLDS.items():
        first = entries_of(results, world, "all", MAIN, ABOUT, 0)
        if first:
            after = [entries_of(results, world, "all", MAIN, n, 0) for n in SIZES]
            cells = [spread([final(e) for e in entries]) for entries in after]
            known, new = (spread([final(e, k) for e in first]) for k in ("old_before", "before"))
            rows.append((what, known, new, *cells))
    return markdown(("world", "old world, %", "new, n = 0", *(f"n = {n:,}" for n in SIZES)), rows)


def layers_table(results: Results) -> str:
    """256 samples: what comes back and what is forgotten, by layers trained, without and with replay."""
    rows = []
    for world, what in WORLDS.items():
        for train, layers in LAYERS.items():
            pair = [entries_of(results, world, train, MAIN, ABOUT, replay) for replay in (0, REPLAY)]
            if any(pair):
                cells = [
                    cell
                    for entries in pair
                    for cell in (
                        spread([final(e) for e in entries]),
                        _number(recovered(entries), ".0f"),
                        _number(forgotten(entries), "+.1f"),
                    )
                ]
                rows.append((f"{what}: {layers}", *cells))
    head = ("new world, %", "recovered, %", "forgotten, points")
    return markdown(("world: trained", *head, *(f"{h}, with replay" for h in head)), rows)


def rules_table(results: Results) -> str:
    """256 samples, all layers: rules side by side, without and with replay."""
    rules = ("float32", "sr16", "sr12", "sr8")
    rows = []
    for world, what in WORLDS.items():
        for replay in (0, REPLAY):
            found = [entries_of(results, world, "all", rule, ABOUT, replay) for rule in rules]
            if any(found):
                cells = [
                    f"{spread([final(e) for e in entries])} ({_number(forgotten(entries), '+.1f')})"
                    if entries
                    else "-"
                    for entries in found
                ]
                rows.append((f"{what}{', replay' if replay else ''}", *cells))
    return markdown(("world", *rules), rows)


def buffers_table(results: Results) -> str:
    """256 samples, all layers: accuracy in the new world and points forgotten by the size of the replay buffer."""
    rows = []
    for world in FORGETTING:
        for rule in BUFFER_RULES:
            found = [entries_of(results, world, "all", rule, ABOUT, size) for size in (0, *BUFFERS)]
            if any(found):
                cells = [f"{spread([final(e) for e in f])} ({_number(forgotten(f), '+.1f')})" for f in found]
                rows.append((f"{WORLDS[world]}: `{rule}`", *cells))
    return markdown(("world", "no replay", *(f"{size:,} old samples" for size in BUFFERS)), rows)


def bars(results: Results) -> list[Bar]:
    """256 labelled samples, all layers, sr12."""
    found = []
    for world, what in WORLDS.items():
        plain, replayed = (entries_of(results, world, "all", MAIN, ABOUT, replay) for replay in (0, REPLAY))
        found.append(Bar(f"{what}: recovered, %", recovered(plain), 80))
        claim = f"{what}: forgotten with replay of {REPLAY}, points"
        found.append(Bar(claim, forgotten(replayed), 3, at_least=False))
    return found


def plot(results: Results, path: Path) -> None:
    """Accuracy in both worlds over the number of samples."""
    shown = ("cwru 3 hp", "har watch", "mnist turned")

    def draw(axes: Any) -> None:
        for each, world in zip(axes, shown, strict=True):
            for replay, line in ((0, "--"), (REPLAY, "-")):
                for name, start, colour in (
                    ("accuracy", "before", "#1f6fb2"),
                    ("old", "old_before", COLOURS["float32"]),
                ):
                    by_size = {n: entries_of(results, world, "all", MAIN, n, replay) for n in SIZES}
                    points = {
                        n: mean([final(e, name) for e in found]) for n, found in by_size.items() if found
                    }
                    if points:
                        zero = mean([final(e, start) for found in by_size.values() for e in found])
                        label = ("new" if name == "accuracy" else "old") + (
                            " world, replay" if replay else " world"
                        )
                        each.plot(
                            [4, *points],
                            [zero, *points.values()],
                            line,
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
