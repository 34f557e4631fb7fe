"""Transfer: MbedNet pretrained offline in float, its last five layers drawn anew and trained by the host twin.

Pretrained with PyTorch (batch-norms live, then folded) on half of a data set's training samples: other speakers, other
wearers, else every other sample; for `animals` on CIFAR-10. The device sees the other half (of animals all), batch 1
but for `standardized` and `qas`, the rate falling to 0 along a cosine; what it trains has not been trained before.
`offline` is what a server makes of the same: the same start and samples, all layers, PyTorch, AdamW. Signals pass a
one-dimensional MbedNet. Accuracy after the last epoch, on test samples of people that neither half contains. Three
seeds draw the new layers, the order and the device's random numbers; the pretrained network is the same.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.zoo import nets

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import Bar, Results, markdown
from harness import (
    COLOURS,
    DEFAULT,
    RULES,
    SEEDS,
    TRIED_STANDARDIZED,
    TUNING_SEED,
    WHAT,
    Suite,
    behind,
    compiled_with,
    final,
    fit,
    fitted_with,
    loaded,
    main,
    method,
    rates_table,
    select,
    selection,
    spread,
    svg,
)
from sets import Set, load

LAST = 5
EPOCHS = {"cifar10": 5, "animals": 5, "speech": 10, "har": 10, "cwru": 10}
"""Over the device's samples: 5,000, 5,000, 1,866, 2,264 and 1,617 or so."""
GROUPS = {"speech": "speaker", "har": "subject"}
SOURCES = {"animals": "cifar10", "flowers102": "tiny100 large"}
"""What the network of a set is pretrained on, all of it; where none is named, on one half of the set itself."""
PRETRAINING = {"epochs": 20, "rate": 0.003, "seed": 0}
OFFLINE = {"epochs": 10, "rate": 0.002}
RATES = dict.fromkeys((*RULES, "mixed", "float32"), 0.002) | {
    "standardized": 0.001,
    "qas": 0.01,
    "offline": OFFLINE["rate"],
}
"""Best of those that `--tune` tries on speech; sr10, sr16 and mixed as sr8, sr12 and float32, which agree."""
TRIED = dict.fromkeys((*RULES, "mixed", "float32"), (0.001, 0.002, 0.005, 0.01)) | {
    "standardized": TRIED_STANDARDIZED
}
PARTS = [("sampled", 0.5), ("sampled", 0.1), ("rooted_from", 0.1), ("topk", 0.5), ("topk", 0.1)]
PUBLISHED = {
    "uint8": (85.8, 84.2, 81.4, 97.1, 99.5),
    "mixed": (85.9, 89.0, 84.4, 96.9, 99.8),
    "float32": (85.6, 89.2, 84.3, 96.5, 99.8),
    "offline": (86.5, 86.4, 90.1, 96.5, 99.8),
    "mixed, 50 %": (85.7, 89.0, 84.6, 97.0, 99.8),
    "mixed, 10 %": (85.6, 89.0, 83.9, 97.0, 99.8),
}
"""Deutel et al., arXiv 2407.10734: cifar10, animals, speech, daliac, cwru; their network, samples and test sets."""


@dataclass(frozen=True)
class Run:
    """A training: on what, by what, how much of it each step, with which luck."""

    data: str
    method: str
    policy: str
    share: float
    epochs: int
    rate: float
    seed: int


def matrix(everything: bool) -> list[Run]:
    """Runs of the tables, those first that matter most; there are no others."""
    plan = [(name, "full", 1.0) for name in ("sr12", "float32", "sr8")]
    plan += [(rule, *part) for rule in ("sr12", "sr8") for part in PARTS]
    plan += [(name, "full", 1.0) for name in ("mixed", "standardized", "sr16", "qas", "sr10")]
    plan += [(name, *part) for name in (*RULES, "mixed", "float32") for part in PARTS]
    plan = list(dict.fromkeys(plan))
    runs = [
        Run(name, *what, EPOCHS[name], RATES[what[0]], seed)
        for what in plan
        for name in EPOCHS
        for seed in SEEDS
    ]
    runs += [Run(name, "sr12", "full", 1.0, EPOCHS[name], DEFAULT, seed) for name in EPOCHS for seed in SEEDS]
    offline = ("offline", "full", 1.0, OFFLINE["epochs"], OFFLINE["rate"])
    return runs + [Run(name, *offline, seed) for name in EPOCHS for seed in SEEDS]


def tuning() -> list[Run]:
    """Every method at every rate."""
    return [
        Run("speech", rule, "full", 1.0, EPOCHS["speech"], rate, TUNING_SEED)
        for rule in (*RULES, "mixed", "float32")
        for rate in TRIED[rule]
    ]


def halves(name: str) -> tuple[Any, Any]:
    """Masks of a set's training samples: pretraining, device."""
    found = load(name)
    group = found.of[GROUPS[name]] if name in GROUPS else np.arange(len(found.x))
    _, rank = np.unique(group, return_inverse=True)
    return rank % 2 == 0, rank % 2 == 1


def device_samples(name: str) -> tuple[Any, Any]:
    """What the device learns from."""
    found = load(name)
    mine = np.full(len(found.x), True) if name in SOURCES else halves(name)[1]
    return found.x[mine], found.y[mine]


def build(samples: Any, classes: int) -> bytes:
    """MbedNet for inputs like these; of signals (n, length, channels) its one-dimensional form."""
    net = nets.Net("mbednet", np.moveaxis(samples, -1, 1), 0)
    nets.about("mbednet").layers(net, classes)
    return net.onnx()


@cache
def pretrained(name: str) -> bytes:
    """The network before its last layers are drawn anew, as an ONNX file; trained if it is not there yet."""
    import pretrain

    found = load(SOURCES.get(name, name))
    mine = np.full(len(found.x), True) if name in SOURCES else halves(name)[0]
    start = build(found.x[mine][:128], load(name).classes)  # the last layer is as wide as the device needs it
    settings = {**PRETRAINING, "variety": found.variety}
    return pretrain.pretrained(f"transfer_{name}", start, found.x[mine], found.y[mine], **settings)


def prepare(name: str) -> None:
    """Pretrains."""
    pretrained(name)


@cache
def _renewed(name: str, seed: int) -> Any:
    """The pretrained network with new last layers, in PyTorch."""
    import pretrain

    net = pretrain.TorchNet(pretrained(name))
    net.renew(LAST, seed, device_samples(name)[0][:256])
    return net


def perform(run: Run) -> dict[str, Any]:
    """Trains; test accuracy after a quarter, a half, three quarters and all epochs."""
    found: Set = load(run.data)
    return trained(run, *device_samples(run.data), found.x_test, found.y_test)


def trained(run: Run, x: Any, y: Any, x_test: Any, y_test: Any) -> dict[str, Any]:
    """Trains on some samples; accuracy on others as it grows, and at the end the mean of that of every class."""
    net = _renewed(run.data, run.seed)
    if run.method == "offline":
        return {"accuracy": _offline(run, net.onnx(), x, y, x_test, y_test)}
    model = loaded(net.onnx())
    shaped = lambda part: part.reshape(-1, *model.input_shape)  # noqa: E731
    trainer = mg.compile(
        model,
        calibration=shaped(x[:256]),
        train=f"last:{LAST}",
        seed=run.seed,
        **compiled_with(run.rate),
        **method(run.method),
        **selection(run.policy, run.share),
    )
    stops = {run.epochs * quarter // 4 for quarter in (1, 2, 3, 4)}
    accuracy: list[float] = []

    def watch(epoch: mg.Epoch) -> None:
        if epoch.epoch in stops:
            accuracy.append(round(trainer.evaluate(shaped(x_test), y_test), 4))

    done = fit(trainer, shaped(x), y, epochs=run.epochs, seed=run.seed, watch=watch, **fitted_with(run.rate))
    right = trainer.predict(shaped(x_test)) == y_test
    per_class = float(np.mean([right[y_test == label].mean() for label in np.unique(y_test)]))
    found: dict[str, Any] = {"accuracy": accuracy, "per_class": round(per_class, 4)}
    if done == run.epochs:
        return found
    return {**found, "accuracy": [*accuracy, round(float(right.mean()), 4)], "diverged": done + 1}


def _offline(run: Run, start: bytes, x: Any, y: Any, x_test: Any, y_test: Any) -> list[float]:
    import pretrain

    net, variety = pretrain.TorchNet(start), load(run.data).variety
    pretrain.train(net, x, y, epochs=run.epochs, rate=run.rate, seed=run.seed, variety=variety)
    return [round(float((net.classify(x_test) == y_test).mean()), 4)]


# -- what is found -------------------------------------------------------------------------------------------------


def finals(
    results: Results,
    name: str,
    rule: str,
    policy: str = "full",
    share: float = 1.0,
    *,
    rate: float | None = None,
) -> list[float]:
    """Test accuracy of each seed in percent, at the rate that the tables are made with or another."""
    epochs = OFFLINE["epochs"] if rule == "offline" else EPOCHS[name]
    wanted = RATES[rule] if rate is None else rate
    entries = select(results, data=name, method=rule, policy=policy, share=share, rate=wanted, epochs=epochs)
    return [final(entry) for entry in entries]


def table(results: Results) -> str:
    """Methods by sets, published numbers below."""
    rows: list[tuple[str, ...]] = []
    for rule in ("offline", "float32", "mixed", *reversed(RULES)):
        for policy, share in (("full", 1.0), *PARTS):
            cells = [spread(finals(results, name, rule, policy, share)) for name in EPOCHS]
            if any(cell != "-" for cell in cells):
                part = WHAT[rule] if policy == "full" else f"{policy} from {share:.0%}"
                rows.append((f"`{rule}`, {part}", *cells))
    default = [spread(finals(results, name, "sr12", rate=DEFAULT)) for name in EPOCHS]
    rows.append(("`sr12`, all, nothing named", *default))
    for name, values in PUBLISHED.items():
        rows.append((f"published, {name}", *(f"{value:.1f}" for value in values)))
    return markdown(("method", *("har / daliac" if name == "har" else name for name in EPOCHS)), rows)


def bars(results: Results) -> list[Bar]:
    """What must be reached on every set, mean of the seeds."""
    found = []
    for name in EPOCHS:
        whole = finals(results, name, "float32")
        for rule, policy, share, points in (
            ("sr12", "full", 1.0, 0.5),
            ("sr12", "sampled", 0.1, 1.0),
            ("sr8", "full", 1.0, 1.5),
        ):
            less = behind(whole, finals(results, name, rule, policy, share))
            part = "" if policy == "full" else f", {policy} {share:.0%}"
            found.append(Bar(f"{name}: {rule}{part} below float32, points", less, points, at_least=False))
        less = behind(finals(results, name, "sr12"), finals(results, name, "sr12", rate=DEFAULT))
        found.append(
            Bar(f"{name}: sr12, nothing named, below a tuned rate, points", less, 1.5, at_least=False)
        )
    return found


def plot(results: Results, path: Path) -> None:
    """How far each method is from float32, by set."""

    def draw(axes: Any) -> None:
        rules = ["mixed", "sr16", "sr12", "sr10", "sr8", "qas", "standardized"]
        for i, rule in enumerate(rules):
            gaps = [behind(finals(results, name, rule), finals(results, name, "float32")) for name in EPOCHS]
            if all(gap is None for gap in gaps):
                continue
            places = [p + (i - len(rules) / 2) * 0.11 for p, gap in enumerate(gaps) if gap is not None]
            axes.bar(places, [gap for gap in gaps if gap is not None], 0.1, color=COLOURS[rule], label=rule)
        axes.axhline(0, color="#59636e", linewidth=0.8)
        axes.set_xticks(range(len(EPOCHS)), list(EPOCHS))
        axes.set(ylabel="points to float32", ylim=(-4, 2))
        axes.legend(frameon=False, ncols=4, loc="lower center")

    svg(path, draw)


SUITE = Suite(
    name="transfer",
    about=str(__doc__),
    run=Run,
    matrix=matrix,
    tuning=tuning,
    perform=perform,
    tables={"transfer": table, "transfer-rates": lambda results: rates_table(results, tuning())},
    bars=bars,
    plots={"accuracy_transfer.svg": plot},
    needs=lambda run: run.data,
    prepare=prepare,
)

if __name__ == "__main__":
    raise SystemExit(main(SUITE))
