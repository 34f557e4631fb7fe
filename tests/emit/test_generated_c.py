"""Generated C: it compiles everywhere without a warning and is the same every time."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from generated import CORES, HOSTS, NETWORKS, built, folder, need
from mcugrad import targets, toolchain
from mcugrad.training.rules import RuleChoice
from networks import Conv, Dense, model, samples, write_onnx
from thoroughness import LONG

# --- it compiles --------------------------------------------------------------------------------------------

SEEN_BY_GCC = ("all_sr8", "part", "real_part", "middle", "frozen", "one_input")
"""Every rule's and precision's code, the least and none; clang, which is quick, sees all."""


@pytest.mark.parametrize(
    ("name", "compiler"),
    [(name, c) for name in NETWORKS for c in (HOSTS if LONG or name in SEEN_BY_GCC else HOSTS[:1])],
)
def test_no_warning_on_this_computer(name: str, compiler: str) -> None:
    need(compiler)
    files = [folder(name) / file for file in ("host.c", "examples/main.c")]
    toolchain.check_warnings(files, [folder(name)], compiler=compiler, opt="-O2" if LONG else "-O1")


@pytest.mark.parametrize("core", CORES if LONG else ("cortex-m0plus", "cortex-m4f"))
@pytest.mark.parametrize("name", ["all_sr8", "all_sr16", "middle", "mixed", "real_part", "frozen"])
def test_no_warning_on_any_core(name: str, core: str) -> None:
    files = [folder(name) / f"{name}.c", folder(name) / "examples/main.c"]
    toolchain.check_warnings(files, [folder(name)], target=targets.load(core))


@pytest.mark.parametrize("compiler", HOSTS)
def test_headers_are_cpp(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    if compiler == "gcc" and shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text(
        '#include "all_sr8.h"\n#include "frozen.h"\n#include "frozen.h"\n'
        "extern all_sr8_t learner;\nextern frozen_t fixed;\nint loop(const int8_t *x, int8_t *y);\n"
        "all_sr8_t learner;\nfrozen_t fixed;\n"
        "int loop(const int8_t *x, int8_t *y)\n{\n"
        "    return frozen_predict(&fixed, x, y) == MCG_OK\n"
        "        && all_sr8_train_step(&learner, x, 1U, nullptr) == MCG_OK;\n}\n"
    )
    toolchain.check_warnings(
        [sketch], [folder("all_sr8"), folder("frozen")], compiler=compiler, language="c++"
    )


@pytest.mark.parametrize(
    "name", ["int8", "uint32", "size", "x", "a", "m", "loss", "conv1", "mcg", "float", "3d-net", "features"]
)
def test_any_file_name_makes_a_model(name: str) -> None:
    net = model((4,), (Dense(3),), name=name)
    trainer = mg.compile(net, calibration=samples(net, 8)[0])
    place = trainer.build.compiled.folder()
    toolchain.check_warnings([place / "host.c", place / "examples/main.c"], [place])
    if name in ("float", "3d-net"):  # what is no name in C
        assert trainer.twin.predict(trainer.quantize(samples(net, 1)[0])).shape == (1, 3)


def test_only_freestanding_headers() -> None:
    for name in NETWORKS:
        for file, text in built(name).build.compiled.files.items():
            included = set(re.findall(r"#include\s*<([^>]+)>", text))
            assert included <= {"stdbool.h", "stddef.h", "stdint.h"}, file
            assert "double" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL) or file == "README.md", (
                file
            )


@pytest.mark.parametrize("core", ["cortex_m0plus", "cortex_m55"])
def test_symbols(core: str, tmp_path: Path) -> None:
    """What is exported carries the model's name; what is missing is what every compiler brings along."""
    zig = toolchain.find_compiler("zig")
    command = [*zig.command, "cc", "-target", "thumb-freestanding-eabi", f"-mcpu={core}", "-Os", "-c"]
    command += ["-fno-sanitize=all", str(folder("all_sr8") / "all_sr8.c"), "-o", str(tmp_path / "a.o")]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "a.o").open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        found = [s for s in table.iter_symbols() if s["st_info"]["bind"] == "STB_GLOBAL"]
    exported = {s.name for s in found if s["st_shndx"] != "SHN_UNDEF"}
    missing = {s.name for s in found if s["st_shndx"] == "SHN_UNDEF"}
    functions = (
        *(
            "info",
            "init",
            "predict",
            "check",
            "quantize",
            "quantize_s16",
            "quantize_u16",
            "adc_init",
            "set_rate",
            "set_schedule",
            "train_step",
            "train_soft",
            "watch",
        ),
        *("guard", "snapshot", "rollback", "replay_init", "replay_add", "replay_draw", "train_replay"),
        *("replay_remember", "augment_init", "augment"),
    )
    assert exported == {f"all_sr8_{function}" for function in functions}
    assert {s for s in missing if not s.startswith("__aeabi_")} <= {"memcpy", "memset"}
    assert "`memcpy` and `memset`" in built("all_sr8").build.compiled.files["README.md"]


@pytest.mark.parametrize("name", ["all_sr8", "all_sr16"])
def test_readme_says_what_floats_have_to_be(name: str) -> None:
    """Of 8-bit models, too: kept changes and ranges are floats, and the RP2040's SDK replaces their arithmetic."""
    readme = built(name).build.compiled.files["README.md"]
    assert "flush-to-zero" in readme
    assert "pico_set_float_implementation(your_target compiler)" in readme


# --- the same every time, in other processes, too: test_same_everywhere.py ---------------------------------


def test_nothing_of_this_machine_or_moment() -> None:
    for text in built("all_sr8").build.compiled.files.values():
        assert str(Path.home()) not in text
        assert str(Path(mg.__file__).parent) not in text
        assert not re.search(r"\b20\d\d-\d\d|\d\d:\d\d", text)


def test_golden(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    """A tiny network as it is delivered; the runtime is tested for itself. Features are in one of them alone: what a
    function around steps becomes is read once."""
    path = write_onnx(tmp_path / "tiny.onnx", (1, 4, 4), (Conv(2, (2, 2)), Dense(3)), grid=1 / 64)
    net = mg.load(path)
    x = np.round(samples(net, 16)[0] * 8) / 8  # with the grid above: every sum is exact on every computer
    kept = mg.Update("sr12", momentum=0.9, batch=8, weight_decay=1e-3, clip=0.02)
    ways: dict[str, tuple[str, RuleChoice, str]] = {
        "sr8": ("all", "sr8", "all"),
        "sr16": ("last:1", "sr16", "none"),
        "kept": ("all", {"conv1": kept, "*": "sr10"}, "none"),
    }
    for way, (train, rule, features) in ways.items():
        made = mg.compile(net, calibration=x, rule=rule, train=train, features=features)
        files = made.build.compiled.files
        for name, text in sorted(files.items()):
            if way == "kept" and name not in ("tiny.c", "tiny.h"):
                continue
            text = (
                text.split("\n---")[0] if name == "LICENSE" else text
            )  # the licence itself is that of mcugrad
            text = (
                text.replace(net.digest, "<whole digest>")
                .replace(net.digest[:16], "<digest>")
                .replace(f"mcugrad {mg.__version__}", "mcugrad <version>")
            )
            text = text.replace(f'"{mg.__version__}"', '"<version>"')
            golden(f"{way}/{name}", without_runtime(text) if name == "tiny.c" else text)


def without_runtime(text: str) -> str:
    head = '#include "tiny.h"\n\n'
    return text[: text.index(head) + len(head)] + "<runtime>\n" + text[text.index("/* ---- constants") :]
