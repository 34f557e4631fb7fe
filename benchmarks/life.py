"""What replay, remembering and augmentation cost on the device, counted, and what they bring: docs/device.md.

python benchmarks/life.py
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad import targets
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


def main() -> None:
    """Print what calls cost, and then what they bring."""
    costs()
    gains()


def gains() -> None:
    """Accuracy in the new world and in the old one, 128 new and 64 old digits, 20 passes, mean of three seeds."""
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
    for name, shares in found.items():
        print(f"{name:26}", *(f"{100 * share:12.1f}" for share in np.mean(shares, axis=0)))


def costs() -> None:
    """Print a table: mean instructions of each call, by core."""
    digits = data.load("digits")
    x_real, y_real = scaled(digits.x_train[:PLACES]), digits.y_train[:PLACES]
    trainer = mg.compile(mg.load(model_path("digits_cnn")), calibration=x_real, rule="sr12")
    x, y = trainer.quantize(x_real), trainer.targets(y_real, PLACES)
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
            how = trainer._augmentation(mg.Augment(**options))
            device.set_augment(how.tobytes())
            found.setdefault(name, []).append(
                mean(device, [partial(device.augment, sample) for sample in x[:STEPS]])
            )
    for name, by_core in found.items():
        print(f"{name:26}", *(f"{count:12,.0f}" for count in by_core))
    layout = trainer.build.compiled.layout
    print(f"model {layout.size} bytes, {layout.params_size} of them learned state")
    print(
        f"input {program.buffers[program.input].count} bytes, {4 * program.slot_words} bytes a stored sample"
    )


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


if __name__ == "__main__":
    main()
