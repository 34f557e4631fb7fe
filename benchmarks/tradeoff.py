"""What accuracy costs: for each way to train, accuracy beside RAM, flash, time and energy of a training step.

MbedNet with its last five layers drawn anew on the sets of `accuracy/transfer.py` and `accuracy/hundred.py`, and the
small CNN that learns from scratch (`accuracy/scratch.py`, `3x20k`). Accuracy is what those suites have committed, mean
of three seeds. What a step costs is counted here: memory on the firmware that zig links, -O3, and instructions under
emulation of three boards, from which time and energy are estimated. A step of a rule with batches is the mean over a
batch. Of partial updates accuracy is that of shares that grow with the loss, as published, and costs are those of the
smallest. MCUNet's last two blocks have costs alone. It takes twenty minutes; `--only NAME ...` counts some of it and
keeps the rest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from bars import RESULTS, Bar, Results, arguments, main, markdown, origin, read, write

import mcugrad as mg
from mcugrad import targets
from mcugrad.errors import FitError
from mcugrad.measure.cost import Activity, measure

sys.path.insert(0, str(Path(__file__).with_name("accuracy")))

import hundred
import scratch
import transfer
from harness import COLOURS, loaded, mean, method, svg
from steps import zoo

from networks import fashion_cnn, few_images

BOARDS = ("imxrt1062", "nrf52840", "rp2040")
"""Where a step is counted; the first is the one that times are published for."""
METHODS = ("sr8", "sr12", "sr16", "standardized", "qas", "mixed", "float32")
PARTIAL = ("sr8", "sr12", "mixed")
"""Methods whose partial updates are counted."""
SHARES = (0.5, 0.1)
KB = 1024
EIGHT = "8 bits"
CLASS_OF = dict.fromkeys(METHODS, EIGHT) | {"mixed": "mixed", "float32": "float32"}
"""What published figures a method stands beside."""

Case = dict[str, Any]
Finals = Callable[[str, float], list[float]]


@dataclass(frozen=True)
class Published:
    """What Deutel et al., arXiv 2407.10734, give for a set, with their network and samples.

    Attributes:
        ram: KB, uint8, mixed and float32; empty where they give none.
        milliseconds: of a step by uint8 on the i.MX RT1062.
        faster: how many times the backward pass is as fast at half and a tenth of the updates, `mixed`.
    """

    ram: tuple[int, ...] = ()
    milliseconds: float | None = None
    faster: tuple[float, ...] = ()


@dataclass(frozen=True)
class Task:
    """A network and what it learns.

    Attributes:
        model: loads it.
        train: what trains.
        finals: test accuracies of the seeds by a method and a share; None where no suite trains it.
        published: what others give for it.
        methods: what it is counted by.
        partial: methods whose partial updates are counted as well.
    """

    model: Callable[[], mg.Model]
    train: str
    finals: Finals | None
    published: Published
    methods: tuple[str, ...] = METHODS
    partial: tuple[str, ...] = PARTIAL


def mbednet(shape: tuple[int, ...], classes: int) -> Callable[[], mg.Model]:
    """MbedNet for samples of a shape, channels last, as the suites build it; its norms are set by noise."""

    def load() -> mg.Model:
        return loaded(transfer.build(noise(shape, 32), classes))

    return load


def noise(shape: tuple[int, ...], count: int) -> np.ndarray:
    """Samples that mean nothing: costs hardly depend on them."""
    return np.random.default_rng(3).normal(size=(count, *shape)).astype(np.float32)


@cache
def committed(name: str) -> Results:
    """Results of an accuracy suite."""
    return read(RESULTS / f"accuracy_{name}.json")


def by_transfer(name: str) -> Finals:
    def finals(rule: str, share: float) -> list[float]:
        policy = "full" if share == 1 else "sampled"
        return transfer.finals(committed("transfer"), name, rule, policy, share)

    return finals


def by_hundred(name: str) -> Finals:
    def finals(rule: str, share: float) -> list[float]:
        policy = "full" if share == 1 else "sampled"
        return hundred.finals(committed("hundred"), name, rule, policy, share)

    return finals


def from_scratch(rule: str, share: float) -> list[float]:
    policy = "full" if share == 1 else "sampled"
    return scratch.finals(committed("scratch"), "fashion_mnist", rule, scratch.SHORT, policy, share)


def of_set(name: str, shape: tuple[int, ...], classes: int, finals: Finals, *published: Any) -> Task:
    return Task(mbednet(shape, classes), f"last:{transfer.LAST}", finals, Published(*published))


IMAGE, LARGE = (32, 32, 3), (64, 64, 3)
TASKS = {
    "cifar10": of_set("cifar10", IMAGE, 10, by_transfer("cifar10"), (340, 378, 800), 193, (1.92, 8.70)),
    "animals": of_set("animals", IMAGE, 10, by_transfer("animals"), (464, 481, 1023), 135, (1.65, 5.23)),
    "speech": of_set("speech", (49, 40, 1), 12, by_transfer("speech"), (560, 604, 1725), 430, (1.94, 8.66)),
    "har": of_set("har", (64, 6), 5, by_transfer("har"), (154, 166, 201), 17.1, (1.69, 5.72)),
    "cwru": of_set("cwru", (1024, 1), 10, by_transfer("cwru"), (17, 19, 42), 3.57, (1.43, 4.01)),
    "flowers102": of_set(
        "flowers102", LARGE, 102, by_hundred("flowers102"), (713, 769, 1874), 198, (1.67, 6.01)
    ),
    "tiny100": of_set("tiny100", IMAGE, 100, by_hundred("tiny100"), (369, 425, 847), 194, (1.89, 8.17)),
    "small CNN from scratch": Task(
        lambda: fashion_cnn(0),
        "all",
        from_scratch,
        Published((), 35.4),
        tuple(how for how in METHODS if how != "mixed"),  # of which nothing is left where all layers train
        ("sr8", "sr12", "float32"),
    ),
    "MCUNet 128x128x3": Task(
        zoo("mcunet", classes=10), "last:7", None, Published(), ("sr8", "sr12", "qas", "mixed"), ()
    ),
}
ROLES = {"har": "har / daliac", "flowers102": "flowers102 / flowers", "tiny100": "tiny100 / cifar100"}
"""Sets that stand where others are published."""


# -- counting --------------------------------------------------------------------------------------------------------


def case(name: str, how: str, share: float) -> Case:
    """A way to train and what its step costs on every board that it fits."""
    task = TASKS[name]
    model = task.model()
    x = few_images()[0] if model.input_shape == (28, 28, 1) else noise(model.input_shape, 32)
    options = method(how) if share == 1 else {**method(how), "sparse": mg.Sparse(share, policy="sampled")}
    made = mg.compile(model, calibration=x, train=task.train, rate=0.01, **options)
    update = method(how).get("rule")
    batch = update.batch if isinstance(update, mg.Update) else 1
    samples = made.quantize(np.resize(x, (batch, *model.input_shape)))
    labels = (np.arange(batch) % model.classes).astype(np.uint32)
    place = made.build.compiled.layout
    found: Case = {"task": name, "method": how, "share": share, "boards": {}}
    for board in BOARDS:
        try:
            cost = measure(made.build, targets.load(board), samples, labels, 0.01)
        except FitError:
            continue
        assert cost.step is not None
        found["boards"][board] = {"predict": spent(cost.predict), "step": spent(cost.step)}
        found |= {"stack": cost.stack, "flash": cost.flash}
    sizes = {"maps": made.build.compiled.plan.size + samples.shape[1], "learned": place.params_size}
    return {**found, **sizes, "ram": place.size + samples.shape[1] + found.get("stack", 0)}


def spent(activity: Activity) -> Case:
    """Instructions, milliseconds and millijoules."""
    energy = activity.energy
    return {
        "instructions": activity.instructions,
        "milliseconds": activity.milliseconds,
        "millijoules": None if energy is None else energy.microjoules / 1000,
    }


def ways(task: Task) -> list[tuple[str, float]]:
    """Methods and shares that a task is counted by."""
    return [(how, 1.0) for how in task.methods] + [(how, share) for how in task.partial for share in SHARES]


def run(options: argparse.Namespace) -> None:
    results = read(options.json)
    for name in options.only or TASKS:
        cases = [c for c in results.get("cases", []) if c["task"] != name]
        for how, share in ways(TASKS[name]):
            cases.append(case(name, how, share))
            print(f"{name}, {how}, {share:.0%}: {cases[-1]['ram']:,} B of RAM", flush=True)
            cases.sort(key=lambda c: list(TASKS).index(c["task"]))
            results = {**origin(), "cases": cases}
            write(options.json, results)


# -- what comes of it ------------------------------------------------------------------------------------------------


def accuracy(c: Case) -> float | None:
    """Mean of the seeds, %; None where no suite has it."""
    finals = TASKS[c["task"]].finals
    return None if finals is None else mean(finals(c["method"], c["share"]))


def short(value: float | None) -> str:
    """Three significant digits."""
    return "-" if value is None else f"{float(f'{value:.3g}'):,g}"


def on(c: Case, board: str, what: str, which: str = "step") -> float | None:
    """What a call takes on a board; None where the model does not fit it."""
    found = c["boards"].get(board)
    return None if found is None else found[which][what]


def titled(c: Case) -> str:
    """`speech, sr12, 10 %`."""
    part = "" if c["share"] == 1 else f", {c['share']:.0%}"
    return f"{ROLES.get(c['task'], c['task'])}, `{c['method']}`{part}"


def whole(results: Results) -> list[Case]:
    return [c for c in results["cases"] if c["share"] == 1]


def table(results: Results) -> str:
    """Everything."""
    return "\n\n".join(each(results) for each in (memory_table, time_table, partial_table))


def memory_table(results: Results) -> str:
    """Accuracy beside RAM and flash, in parts, of whole updates."""
    rows = []
    for c in whole(results):
        published = TASKS[c["task"]].published.ram
        column = (EIGHT, "mixed", "float32").index(CLASS_OF[c["method"]])
        rows.append(
            (
                titled(c),
                short(accuracy(c)),
                f"{c['ram'] / KB:,.1f}",
                f"{published[column]:,}" if published else "",
                f"{c['maps'] / KB:,.1f}",
                f"{c['learned'] / KB:,.1f}",
                f"{c['flash'] / KB:,.1f}" if "flash" in c else "-",
            )
        )
    head = ("way to train", "accuracy, %", "RAM, KB", "published", "maps", "what is learned", "flash, KB")
    return markdown(head, rows)


def time_table(results: Results) -> str:
    """Milliseconds and millijoules of a step on the boards."""
    rows = []
    for c in whole(results):
        published = TASKS[c["task"]].published.milliseconds if CLASS_OF[c["method"]] == EIGHT else None
        times = (short(on(c, board, "milliseconds")) for board in BOARDS)
        energies = (short(on(c, board, "millijoules")) for board in BOARDS)
        rows.append((titled(c), "" if published is None else f"{published:g}", *times, *energies))
    head = (
        "way to train",
        f"published, ms, {BOARDS[0]}",
        *(f"ms, {board}" for board in BOARDS),
        *(f"mJ, {board}" for board in BOARDS),
    )
    return markdown(head, rows)


def backward(c: Case, board: str) -> float | None:
    """Milliseconds of all that follows the forward pass."""
    step, predict = (on(c, board, "milliseconds", which) for which in ("step", "predict"))
    return None if step is None or predict is None else step - predict


def partial_table(results: Results) -> str:
    """How much faster the backward pass becomes, with the times themselves."""
    rows = []
    cases = {(c["task"], c["method"], c["share"]): c for c in results["cases"]}
    board = BOARDS[0]
    for (name, how, share), c in cases.items():
        if share == 1:
            continue
        before, after = backward(cases[name, how, 1.0], board), backward(c, board)
        if before is None or after is None:
            continue
        published = TASKS[name].published.faster if how == "mixed" else ()
        known = f"{published[SHARES.index(share)]:g}" if published else ""
        rows.append(
            (
                titled(c),
                short(accuracy(c)),
                short(on(c, board, "milliseconds", "predict")),
                short(before),
                short(after),
                f"{before / after:.2f}",
                known,
            )
        )
    head = (
        f"way to train, {board}",
        "accuracy, %",
        "forward, ms",
        "backward of whole updates, ms",
        "backward of these, ms",
        "times faster",
        "published",
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    """Published figures: what a step of 8 bits takes is at most theirs, in RAM by each precision."""
    cases = {(c["task"], c["method"], c["share"]): c for c in results.get("cases", [])}
    found = []
    for name, task in TASKS.items():
        for column, how in enumerate(("sr8", "mixed", "float32")):
            if task.published.ram:
                c = cases.get((name, how, 1.0))
                value = None if c is None else c["ram"] / KB
                claim = f"{name}, {how}: RAM of a step, KB"
                found.append(Bar(claim, value, task.published.ram[column], at_least=False))
        if task.published.milliseconds is not None:
            c = cases.get((name, "sr12", 1.0))
            value = None if c is None else on(c, BOARDS[0], "milliseconds")
            claim = f"{name}, sr12: a step on {BOARDS[0]}, ms"
            found.append(Bar(claim, value, task.published.milliseconds, at_least=False))
    return found


DRAWN = "small CNN from scratch"
"""The task whose trade-off is drawn."""
MARKS = {1.0: "o", 0.5: "^", 0.1: "v"}
"""Of whole updates, a half, a tenth."""


def plot(results: Results, path: Path) -> None:
    """Accuracy over RAM, time and energy of a step, of whole and of partial updates."""
    board = BOARDS[0]
    cases = [c for c in results["cases"] if c["task"] == DRAWN]
    over: tuple[tuple[str, Callable[[Case], float | None]], ...] = (
        ("RAM of a training step, KB", lambda c: c["ram"] / KB),
        (f"time of it, {board}, ms", lambda c: on(c, board, "milliseconds")),
        (f"energy of it, {board}, mJ", lambda c: on(c, board, "millijoules")),
    )

    def draw(axes: Any) -> None:
        for each, (label, value) in zip(axes, over, strict=True):
            for c in cases:
                x, y = value(c), accuracy(c)
                if x is not None and y is not None:
                    name = c["method"] if c["share"] == 1 else None
                    each.plot(x, y, MARKS[c["share"]], color=COLOURS[c["method"]], label=name)
            each.set_xlim(left=0)
            each.set(xlabel=label)
        axes[0].set(ylabel="test accuracy, Fashion-MNIST, %")
        axes[0].legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.05))
        axes[1].set_title("\u25cf all updates   \u25b2 half of them   \u25bc a tenth", fontsize=9)

    svg(path, draw, columns=len(over))


if __name__ == "__main__":
    parser = arguments("tradeoff", __doc__)
    parser.add_argument("--only", nargs="+", choices=TASKS, metavar="NAME", help="tasks to count")
    raise SystemExit(main(parser.parse_args(), run, table, bars))
