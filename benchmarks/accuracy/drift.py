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
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adaptation import (
    ABOUT,
    BOTH,
    EVERYTHING,
    MAIN,
    ON_LATENTS,
    REPLAY,
    SCRATCH,
    TRIPLE,
    WAYS,
    Run,
    Way,
    forgotten,
    needs,
    number,
    perform,
    prepare,
    recovered,
    run_of,
    triple,
)
from bars import Bar, Results, markdown
from harness import COLOURS, SEEDS, TUNING_SEED, Suite, final, main, mean, rates_table, select, spread, svg
from worlds import FEW, WORLDS

TRIED = (0.001, 0.002, 0.005, 0.01, 0.02)
SPEECH_TRIED = (0.0005, 0.001, 0.002, 0.005, 0.01)
SIZES = (16, 64, 256, 1024)
BESIDE = ("sr8", "sr16", "float32")
FORGETTING = ("har watch", "mnist turned")
"""Worlds that are so far from the old one that the size of the replay buffer matters most."""
BUFFER_RULES, BUFFERS = (MAIN, "float32"), (REPLAY, 256, 1024)
LAYERS = {"all": "all layers", "last:2": "last two", "last:1": "last one"}
PREFIXED = ("last:2", "last:1")
"""What trains where there are layers in front that do not."""
SHOWN = ("no replay", "replay", "replay, both")
"""Ways that are tried with every number of samples."""
WAYS_RULES = (MAIN, "float32", "sr8")
VALIDATION_SEEDS = (TUNING_SEED, TUNING_SEED + 1, TUNING_SEED + 2)
"""Ways are judged with these once more, by samples that are neither learned nor in a test set."""
UNSEEN = 2
"""The seed that was run only after memory and augmentation had been settled."""
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
    plan += [(train, rule, ABOUT, WAYS["replay"]) for train in PREFIXED for rule in (MAIN, MAIN + ON_LATENTS)]
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
    return [run_of(*what, seed) for what in dict.fromkeys(runs + buffers) for seed in SEEDS]


def available(world: str, n: int) -> int:
    """So many samples of the new world; all, where there are not as many."""
    return EVERYTHING if n == SIZES[-1] and world in FEW else n


def rates() -> list[Run]:
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


def validations() -> list[Run]:
    """Every world and way, at the rate that the tables are made with, with seeds of their own."""
    return [
        run_of(world, "all", MAIN, ABOUT, way, seed)
        for world in WORLDS
        for way in WAYS.values()
        for seed in VALIDATION_SEEDS
    ]


def tuning() -> list[Run]:
    """What choices are judged by."""
    return list(dict.fromkeys(rates() + validations()))


def entries_of(results: Results, world: str, train: str, rule: str, n: int, way: Way) -> list[dict[str, Any]]:
    """One for each seed, at the rate that the tables are made with."""
    wanted = asdict(run_of(world, train, rule, n, way, SEEDS[0]))
    del wanted["seed"]
    return select(results, **wanted)


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
    return f"{new} ({number(forgotten(entries), '+.1f')})" if entries else new


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


def latents_table(results: Results) -> str:
    """256 samples, replay of 64 old ones: stored as inputs, or as latents; learned bytes are the same."""
    rows = []
    for world, what in WORLDS.items():
        for train in PREFIXED:
            found = _replayed(results, world, train)
            if all(found):
                sizes = [f"{entries[0].get('stored', 0):,}" for entries in found]
                rows.append((f"{what}: {LAYERS[train]}", *(_pair(entries) for entries in found), *sizes))
    heads = ("inputs", "latents", "B of an input", "B of latents")
    return markdown(("world: trained", *heads), rows)


def _replayed(results: Results, world: str, train: str) -> list[list[dict[str, Any]]]:
    """Runs whose old samples are inputs, and those of the same seeds whose are latents."""
    rules = (MAIN, MAIN + ON_LATENTS)
    inputs, latents = (entries_of(results, world, train, rule, ABOUT, WAYS["replay"]) for rule in rules)
    return [inputs if latents else [], latents]


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


def validation_table(results: Results) -> str:
    """256 samples, all layers: what comes back and what is forgotten, by samples that no other table is made with."""
    rows = []
    for world, what in WORLDS.items():
        cells = []
        for way in WAYS.values():
            wanted = asdict(run_of(world, "all", MAIN, ABOUT, way, TUNING_SEED))
            del wanted["seed"]
            entries = select(results, VALIDATION_SEEDS, **wanted)
            back = recovered(entries, "rest", "rest_before")
            cells.append(f"{number(back, '.0f')} ({number(forgotten(entries), '+.1f')})")
        rows.append((what, *cells))
    return markdown(("world", *WAYS), rows)


def bars(results: Results) -> list[Bar]:
    """256 labelled samples, all layers, sr12, with replay, memory and augmentation: what one would deploy."""
    found = []
    for world, what in WORLDS.items():
        entries = entries_of(results, world, "all", MAIN, ABOUT, BOTH)
        found.append(Bar(f"{what}: recovered, %", recovered(entries), 80))
        found.append(Bar(f"{what}: forgotten, points", forgotten(entries), 3, at_least=False))
    pairs = [_replayed(results, world, train) for world in WORLDS for train in PREFIXED]
    others = sum(
        final(a) != final(b) for inputs, latents in pairs for a, b in zip(inputs, latents, strict=True)
    )
    return [*found, Bar("runs that learn otherwise from latents", others, 0, at_least=False)]


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
        "drift-latents": latents_table,
        "drift-validation": validation_table,
        "drift-rates": lambda results: rates_table(results, rates(), "rest"),
    },
    bars=bars,
    plots={"accuracy_drift.svg": plot},
    needs=needs,
    prepare=prepare,
    group=lambda run: (run.world, run.train, run.method, run.seed),
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
