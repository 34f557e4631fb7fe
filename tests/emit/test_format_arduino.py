"""Arduino libraries: laid out as the specification says, and with a sketch that learns what the twin learns."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.emit.folder import RECORD
from mcugrad.run.host import HostTwin
from mcugrad.trainer import Trainer
from networks import Conv, Dense, Pool, model, samples
from thoroughness import LONG, turns

HERE = Path(__file__).parent / "arduino"
LAYERS = (Conv(4, (3, 3), act="relu"), Pool(), Dense(3))
WAYS: dict[str, dict[str, Any]] = {
    "classes": {"class_names": ["a", "b\\c", "d"]},
    "plain": {"features": "none", "rule": "sr8"},
    "bits": {"loss": "binary_cross_entropy"},
    "values": {"loss": "mse", "typical_labels": np.linspace(-1, 1, 8)},
    "real": {"precision": "float32", "loss": "mse", "typical_labels": np.linspace(-1, 1, 8)},
    "fixed": {"train": "none"},
    "latents": {"train": "last:1", "replay_of": "latents"},
}
CATEGORIES = """Display|Communication|Signal Input/Output|Sensors|Device Control|Timing|Data Storage|Data Processing
|Other""".replace("\n", "").split("|")


@cache
def made(name: str) -> Trainer:
    net = model((1, 10, 10), LAYERS, name=name)
    return mg.compile(net, calibration=samples(net, 64)[0], **WAYS[name])


def library(name: str, folder: Path) -> Path:
    return made(name).export(folder / name, format="arduino")


# --- the folder -------------------------------------------------------------------------------------------------


def test_properties_are_as_specified(tmp_path: Path) -> None:
    """https://arduino.github.io/arduino-cli/latest/library-specification, revision 2.2."""
    for name in WAYS:
        text = (library(name, tmp_path) / "library.properties").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        fields = dict(line.split("=", 1) for line in lines)
        assert len(fields) == len(lines)
        required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "url"}
        assert all(fields[field].strip() for field in required)
        assert fields.keys() - required == {"category", "architectures", "includes"}
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", fields["name"])
        assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
        assert fields["category"] in CATEGORIES
        assert (tmp_path / name / "src" / fields["includes"]).is_file()


def test_it_is_laid_out_as_specified(tmp_path: Path) -> None:
    """Code in `src/` is compiled, nothing else is; a sketch is in a folder of its name."""
    folder = library("classes", tmp_path)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    code = {"src/classes.c", "src/classes.h"}
    assert found == code | {
        *("library.properties", "examples/classes/classes.ino", "README.md", "LICENSE", RECORD)
    }
    made("classes").export(folder, format="arduino", selftest=True)
    assert {path.name for path in (folder / "src").iterdir()} >= {"classes_selftest.c", "classes_selftest.h"}


def test_what_is_generated_is_guarded_and_what_is_not_stays(tmp_path: Path) -> None:
    folder = library("classes", tmp_path)
    sketch, code = folder / "examples/classes/classes.ino", folder / "src/classes.c"
    sketch.write_text("void setup() {}\nvoid loop() {}\n")
    library("classes", tmp_path)
    assert sketch.read_text() == "void setup() {}\nvoid loop() {}\n"
    assert "classes_train_replay" in sketch.with_name("classes.ino.example").read_text()
    assert list(sketch.parent.glob("*.ino")) == [sketch]  # Arduino joins all sketches of a folder into one
    code.write_text(code.read_text() + "\n")
    with pytest.raises(mg.UsageError, match=r"^src/classes\.c is not as mcugrad has written it"):
        library("classes", tmp_path)


@pytest.mark.parametrize("first", ["arduino", "c"])
def test_a_folder_has_one_format(first: str, tmp_path: Path) -> None:
    second = {"arduino": "c", "c": "arduino"}[first]
    made("classes").export(tmp_path, format=first)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(mg.UsageError, match=rf"classes\.h are there, of another format than {second}: what"):
        made("classes").export(tmp_path, format=second)
    assert sorted(tmp_path.rglob("*")) == before
    made("classes").export(tmp_path, format=first)


def test_a_name_that_arduino_has_itself_is_refused(tmp_path: Path) -> None:
    net = model((4,), (Dense(3),), name="print")
    trainer = mg.compile(net, calibration=samples(net, 8)[0])
    with pytest.raises(mg.UsageError, match=r"^print\.h is the name of a header that arduino has itself"):
        trainer.export(tmp_path, format="arduino")
    trainer.export(tmp_path)


# --- the sketch -------------------------------------------------------------------------------------------------


def translated(name: str, folder: Path) -> tuple[Path, Path]:
    """The sketch as the IDE makes a C++ file of it, in a folder with the core, and the library's code."""
    place = library(name, folder)
    text = (place / f"examples/{name}/{name}.ino").read_text(encoding="utf-8")
    core = folder / "core"
    shutil.copytree(HERE, core)
    (core / "sketch.h").write_text(f"#include <Arduino.h>\n{text}", encoding="utf-8")
    (core / "sketch.cpp").write_text('#include "sketch.h"\n', encoding="utf-8")
    return core, place / "src"


@pytest.mark.parametrize(("name", "core"), turns(WAYS, ["cortex-m4f", "cortex-m0plus"]))
def test_no_warning_on_boards(name: str, core: str, tmp_path: Path) -> None:
    """With what cores of Arduino give: gnu++11 at the oldest, gnu11, -Os."""
    place, code = translated(name, tmp_path)
    compilers = [c for c in toolchain.firmware_compilers() if c == "zig" or shutil.which("arm-none-eabi-g++")]
    for compiler in compilers:
        how = {"compiler": compiler, "target": targets.load(core), "opt": "-Os"}
        flags = ["-std=gnu++11", "-Wno-double-promotion"]  # `print` takes doubles
        toolchain.check_warnings([place / "sketch.cpp"], [place, code], language="c++", flags=flags, **how)
        if LONG or compiler == "zig" or name in ("classes", "real"):  # gcc sees all sketches, and some models
            toolchain.check_warnings([code / f"{name}.c"], [code], flags=["-std=gnu11"], **how)


def talk(name: str, folder: Path, sent: bytes) -> tuple[list[str], np.ndarray]:
    """What a sketch answers on this computer, and the model's bytes afterwards."""
    core, code = translated(name, folder)
    zig = toolchain.find_compiler("zig")
    program, memory = folder / "sketch", folder / "memory"
    command = [*zig.command, "cc", "-O0", "-g0", "-fno-sanitize=all", "-I", str(core), "-I", str(code)]
    command += [str(core / "main.cpp"), str(code / f"{name}.c"), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True)
    result = subprocess.run([program, memory], input=sent, capture_output=True, check=True, timeout=60)
    return result.stdout.decode().split("\r\n"), np.fromfile(memory, np.uint8)


@pytest.mark.parametrize("name", WAYS)
def test_it_learns_over_the_port_what_the_twin_learns(name: str, tmp_path: Path) -> None:
    trainer, random = made(name), np.random.default_rng(4)
    x = trainer.quantize(samples(trainer.model, 24)[0])
    twin, compiled = HostTwin(trainer.build.compiled), trainer.build.compiled
    wanted: Any = random.integers(0, 3, 24)
    if name == "bits":
        wanted = random.integers(0, 2, (24, 3))
    elif name in ("values", "real"):
        wanted = random.uniform(-1, 1, (24, 3))
    labels = trainer.labels(wanted, 24)
    order, sent, expected = np.arange(24, dtype=np.uint32), b"", []
    if compiled.program.trains:
        if "replay" in compiled.features:
            twin.begin_replay(16, 1, True, 1)
        for i, step in enumerate(twin.train(x, labels, order).info):
            label = struct.pack("<H", labels[i]) if labels.ndim == 1 else labels[i].tobytes()
            sent += b"t" + label + x[i].tobytes()
            seen = f" class {step['predicted']}" if labels.ndim == 1 else ""
            expected.append(f"loss {step['loss']:.6f}{seen}")
    outputs = twin.predict(x)
    for sample, y in zip(x, outputs, strict=True):
        sent += b"p" + sample.tobytes()
        best = int(np.argmax(y))
        names = compiled.origin.class_names
        said = f"class {best} {names[best]}" if names else f"class {best}"
        if name in ("bits", "values", "real"):
            said = "outputs " + " ".join(f"{v:.6f}" if name == "real" else str(v) for v in y)
        expected.append(said)
    answers, memory = talk(name, tmp_path, sent + b"?p12")
    assert len(answers) == len(expected) + 3
    for answer, line in zip(answers, expected, strict=False):
        assert answer.split(" confidence")[0] == line
        assert (" confidence 0." in answer or " confidence 1." in answer) == (
            line.startswith(("class", "outputs"))
            and compiled.program.watched
            and "watch" in compiled.features
        )
    assert answers[-3:] == ["what? the letter is unknown, or bytes are missing"] * 2 + [""]
    learned = slice(4, 4 + compiled.layout.params_size)
    np.testing.assert_array_equal(memory[learned], twin.read(4, compiled.layout.params_size))
