"""What replay, remembering and augmentation cost on the device, counted, and what they bring: docs/device.md."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, write

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.zoo import data, model_path, worlds

CORES = ("cortex-m4f", "cortex-m0plus")
STEPS, PLACES = 20, 64
CHANGES: dict[str, dict[str, Any]] = {
    "augment, shift": {"shift": 2},
    "augment, gain and offset": {"gain": 0.1, "offset": 0.05},
    "augment, all": {"shift": 2, "gain": 0.1, "offset": 0.05, "noise": 0.02},
}


NOISE = mg.Augment(noise=0.1)
SEEDS = range(3)


def scaled(x: Any) -> Any:
    """Pictures as the network takes them."""
    return (x[..., None] / 16).astype(np.float32)


def new_world(x: Any) -> Any:
    """Upside down and inverted."""
    return worlds.invert(worlds.upside_down(x), top=16)


def run(options: argparse.Namespace) -> None:
    compiler = f"zig {toolchain.find_compiler('zig').version}"
    write(options.json, {**origin(), "compiler": compiler, **costs(), "gains": gains()})


def gains() -> dict[str, list[float]]:
    """Accuracy in the new world and in the old one, %; 128 new and 64 old digits, 20 passes, mean of three seeds."""
    digits = data.load("digits")
    trainer = mg.compile(
        mg.load(model_path("digits_cnn")), calibration=scaled(digits.x_train[:256]), rule="sr12"
    )
    begin, found = trainer.state, dict[str, list[tuple[float, float]]]()
    tests = [(scaled(new_world(digits.x_test)), digits.y_test), (scaled(digits.x_test), digits.y_test)]
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(digits.x_train))
        new, old = order[:128], order[128:192]
        source = scaled(digits.x_train[old]), digits.y_train[old]
        ways: dict[str, dict[str, Any]] = {
            "before": {"rate": 0.0},
            "no replay": {},
            "labels": {"replay": mg.Replay(PLACES, source=source)},
            "memories": {"replay": mg.Replay(PLACES, source=source, remember=True)},
            "memories, noise": {
                "replay": mg.Replay(PLACES, source=source, remember=True),
                "augment": NOISE,
            },
        }
        for name, options in ways.items():
            trainer.state = begin
            options = {"rate": 0.005, **options}
            x, y = scaled(new_world(digits.x_train[new])), digits.y_train[new]
            trainer.fit(x, y, epochs=20, schedule="cosine", seed=seed, **options)
            found.setdefault(name, []).append((trainer.evaluate(*tests[0]), trainer.evaluate(*tests[1])))
    return {name: (100 * np.mean(shares, axis=0)).round(2).tolist() for name, shares in found.items()}


def costs() -> Results:
    """Mean instructions of each call, by core, and bytes."""
    digits = data.load("digits")
    x_real, y_real = scaled(digits.x_train[:PLACES]), digits.y_train[:PLACES]
    trainer = mg.compile(mg.load(model_path("digits_cnn")), calibration=x_real, rule="sr12")
    x, y = trainer.quantize(x_real), trainer.labels(y_real, PLACES)
    program = trainer.build.compiled.program
    found: dict[str, list[float]] = {}
    for core in CORES:
        device = EmulatedDevice(
            trainer.build.compiled, targets.load(core), replay=PLACES, augment=True
        ).device
        soft = np.full(program.classes, 7, np.uint8)
        calls = {
            "predict": device.predict,
            "train_step": lambda sample: device.train_step(sample, int(y[0])),  # noqa: B023
            "train_soft": lambda sample: device.train_soft(sample, soft),  # noqa: B023
        }
        for name, call in calls.items():
            found.setdefault(name, []).append(mean(device, [partial(call, sample) for sample in x[:STEPS]]))
        device.replay_init(0)
        offers = [partial(device.replay_add, x[i % PLACES], int(y[i % PLACES])) for i in range(4 * PLACES)]
        found.setdefault("offer a sample, at most", []).append(max(counts(device, offers)))
        found.setdefault("remember, a sample", []).append(mean(device, [device.replay_remember]) / PLACES)
        for name, options in CHANGES.items():
            how = trainer.augmentation(mg.Augment(**options))
            device.set_augment(how.tobytes())
            found.setdefault(name, []).append(
                mean(device, [partial(device.augment, sample) for sample in x[:STEPS]])
            )
    layout = trainer.build.compiled.layout
    sizes = {
        "model": layout.size,
        "learned state": layout.params_size,
        "input": program.buffers[program.input].count,
        "stored sample": 4 * program.slot_words,
    }
    return {"instructions": found, "bytes": sizes}


def counts(device: Any, calls: list[Any]) -> list[int]:
    """Instructions of calls on a device."""
    found = []
    for call in calls:
        call()
        found.append(device.last_instructions)
    return found


def mean(device: Any, calls: list[Any]) -> float:
    """Mean instructions of calls on a device."""
    return float(np.mean(counts(device, calls)))


def table(results: Results) -> str:
    counted = [(name, *(f"{n:,.0f}" for n in by_core)) for name, by_core in results["instructions"].items()]
    reached = [(name, *(f"{share:.1f}" for share in both)) for name, both in results["gains"].items()]
    parts = (
        markdown(("instructions", *CORES), counted),
        markdown(("bytes", ""), list(results["bytes"].items())),
        markdown(("accuracy, %", "new world", "old world"), reached),
    )
    return "\n\n".join(parts)


def bars(results: Results) -> list[Bar]:
    counted, reached = results["instructions"], results["gains"]
    dearer = [soft / step for soft, step in zip(counted["train_soft"], counted["train_step"], strict=True)]
    (new, old), (new_by_label, old_by_label) = reached["memories"], reached["labels"]
    return [
        Bar("a step towards a distribution, in training steps", max(dearer), 1.05, at_least=False),
        Bar("old world, memories less labels, points", old - old_by_label, 3),
        Bar("new world, labels less memories, points", new_by_label - new, 1, at_least=False),
    ]


if __name__ == "__main__":
    raise SystemExit(main(arguments("life", __doc__).parse_args(), run, table, bars))
