"""What features of a firmware take of flash where nothing is dropped that is never called, and where it is."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, write
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.trainer import Trainer
from mcugrad.training.features import FEATURES
from mcugrad.zoo import data, model_path

CORES = {"cortex-m4f": "cortex_m4", "cortex-m0plus": "cortex_m0plus"}
WITHOUT = {
    "all": "all",
    **{f"all but {name}": ",".join(n for n in FEATURES if n != name) for name in FEATURES},
    "all but replay, guard, augment": "adc,watch,soft",
    "soft alone": "soft",
    "none": "none",
}
LINKED = ("all", "soft alone")
"""Linked with what calls predictions and steps, those towards distributions, too: the same calls for both."""


def made(features: str) -> Trainer:
    """The network of the demo."""
    digits = data.load("digits")
    x = (digits.x_train[:256, ..., None] / 16).astype(np.float32)
    return mg.compile(
        mg.load(model_path("digits_cnn")), calibration=x, rule="sr12", rate=0.01, features=features
    )


def run(options: argparse.Namespace) -> None:
    compiler = f"zig {toolchain.find_compiler('zig').version}, -Os"
    found: dict[str, list[int]] = {}
    linked: dict[str, list[int]] = {}
    for name, features in WITHOUT.items():
        trainer = made(features)
        found[name] = [compiled(trainer, core) for core in CORES.values()]
        if name in LINKED:
            devices = (
                EmulatedDevice(trainer.build.compiled, targets.load(core), opt="-Os") for core in CORES
            )
            linked[name] = [each.device.firmware.sizes.flash for each in devices]
    write(options.json, {**origin(), "compiler": compiler, "compiled": found, "linked": linked})


def compiled(trainer: Trainer, core: str) -> int:
    """Bytes of code and constants in the model's object file."""
    folder, name = trainer.build.compiled.folder(), trainer.build.compiled.program.name
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "model.o"
        command = [*toolchain.find_compiler("zig").command, "cc", "-target", "thumb-freestanding-eabi", "-Os"]
        command += [f"-mcpu={core}", "-fno-sanitize=all", "-ffunction-sections", "-fdata-sections"]
        subprocess.run([*command, "-c", str(folder / f"{name}.c"), "-o", str(result)], check=True)
        with result.open("rb") as file:
            sections = list(ELFFile(file).iter_sections())
        return sum(s["sh_size"] for s in sections if s.name.startswith((".text", ".rodata")))


def table(results: Results) -> str:
    whole = results["compiled"]["all"]
    rows = [
        (
            name,
            *(f"{n:,}" for n in sizes),
            *(f"{every - n:,}" for n, every in zip(sizes, whole, strict=True)),
        )
        for name, sizes in results["compiled"].items()
    ]
    linked = [(name, *(f"{n:,}" for n in sizes)) for name, sizes in results["linked"].items()]
    parts = (
        markdown(("bytes compiled, with", *CORES, *(f"less, {core}" for core in CORES)), rows),
        markdown(("bytes linked where steps alone are called", *CORES), linked),
    )
    return "\n\n".join(parts)


def bars(results: Results) -> list[Bar]:
    sizes, linked = results["compiled"], results["linked"]
    few = [a - b for a, b in zip(sizes["all"], sizes["all but replay, guard, augment"], strict=True)]
    moved = [abs(a - b) for a, b in zip(*(linked[name] for name in LINKED), strict=True)]
    return [
        Bar("bytes less without replay, guard and augmentation", min(few), 1000),
        Bar("bytes that features take where they are never called", max(moved), 64, at_least=False),
    ]


if __name__ == "__main__":
    raise SystemExit(main(arguments("features", __doc__).parse_args(), run, table, bars))
