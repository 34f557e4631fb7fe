"""Features: what is not asked for is not emitted; what is left does the same, bit for bit."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from itertools import combinations, compress, product
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from command_line import Cli
from life_models import NET, kinds, mcu
from mcugrad import targets, toolchain
from mcugrad.emit.interface import TRAINING, every
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.trainer import Trainer
from mcugrad.training.features import EVERY, FEATURES
from mcugrad.training.features import features as features_named
from networks import corners, model
from thoroughness import LONG

SOME = ("none", "replay", "replay,soft", "augment,replay", "guard", "adc,watch", "soft", "all")


@cache
def made(features: str) -> Trainer:
    x, _ = corners(60)
    return mg.compile(
        model((1, 12, 12), NET), calibration=x, rule="sr8", seed=5, rate=0.01, features=features
    )


def declared(trainer: Trainer) -> set[str]:
    """Functions that the header declares."""
    return set(re.findall(r"\bnet_(\w+)\(", trainer.build.compiled.files["net.h"]))


def wanted(features: frozenset[str]) -> set[str]:
    """Functions of a model of classes with these features."""
    always = {"info", "init", "check"} | ({"replay_draw"} if "replay" in features else set())
    return always | {each.name for each in every() if each.needs <= {*features, TRAINING}}


@pytest.mark.parametrize("features", SOME)
def test_what_was_asked_for_is_there_and_nothing_else(features: str, tmp_path: Path) -> None:
    trainer = made(features)
    named = features_named(features)
    assert declared(trainer) == wanted(named)
    folder = trainer.build.compiled.folder()
    files = [folder / "net.c", folder / "examples/main.c"]
    seen = LONG or features in ("none", "augment,replay")
    for compiler in toolchain.host_compilers()[: None if seen else 1]:
        toolchain.check_warnings(files, [folder], compiler=compiler, opt="-O1")
    zig = toolchain.find_compiler("zig")
    command = [
        *zig.command,
        "cc",
        "-target",
        "thumb-freestanding-eabi",
        "-mcpu=cortex_m0plus",
        "-O0",
        "-g0",
        "-c",
    ]
    subprocess.run(
        [*command, "-fno-sanitize=all", str(files[0]), "-o", str(tmp_path / "a.o")],
        check=True,
        capture_output=True,
    )
    with (tmp_path / "a.o").open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        exported = {
            s.name for s in symbols if s["st_info"]["bind"] == "STB_GLOBAL" and s["st_shndx"] != "SHN_UNDEF"
        }
    assert exported == {f"net_{name}" for name in wanted(named)}


def designed(count: int) -> list[list[bool]]:
    """Sixteen rows of some columns, up to eight, of which any three hold all eight combinations, two rows with each."""
    three = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (0, 0, 0)]
    rows = product((0, 1), repeat=4)
    return [
        [(sum(a * b for a, b in zip(how, row, strict=False)) + row[3]) % 2 == 1 for how in three[:count]]
        for row in rows
    ]


def test_the_design_holds_each_three() -> None:
    rows = designed(len(EVERY))
    for chosen in combinations(range(len(EVERY)), 3):
        assert len({tuple(row[i] for i in chosen) for row in rows}) == 8


def test_any_features_go_together() -> None:
    """Whichever three are looked at, with and without each of them: it compiles without a warning."""
    names = sorted(EVERY)
    if LONG:
        sets = [*combinations(names, 2), *combinations(names, len(names) - 1)]
    else:
        sets = [tuple(compress(names, has)) for has in designed(len(names))]
    files = [made(",".join(features) or "none").build.compiled.folder() / "net.c" for features in sets]
    toolchain.check_warnings(files, compiler=toolchain.host_compilers()[0])


def test_states_fit_whatever_the_features() -> None:
    few, every = made("none"), made("all")
    assert few.build.compiled.fingerprint == every.build.compiled.fingerprint
    assert few.build.compiled.layout.size == every.build.compiled.layout.size
    assert f"0x{few.build.compiled.fingerprint[:4][::-1].hex()}" in few.build.compiled.files["net.h"]


def test_the_twin_has_all_features() -> None:
    """What is fitted here with replay, memories and a guard is delivered to a device that has none of them."""
    x, y = corners(60)
    states = []
    for trainer in (made("none"), made("all")):
        begin = trainer.state
        replay = mg.Replay(8, source=(x[:20], y[:20]), remember=True)
        augment = mg.Augment(shift=1, noise=0.02)
        trainer.fit(x, y, rate=0.01, replay=replay, augment=augment, guard=(x[:9], y[:9]))
        states.append(b"".join(value.tobytes() for value in trainer.state.values()))
        trainer.state = begin
    assert states[0] == states[1]


@mcu
@pytest.mark.mcu
def test_steps_are_the_same_without_features() -> None:
    x, y = corners(60)
    found = []
    for trainer in (made("none"), made("all")):
        device = EmulatedDevice(trainer.build.compiled, targets.load("cortex-m4f"))
        data = trainer.quantize(x), trainer.labels(y, 60)
        steps = device.train(*data, np.arange(20, dtype=np.uint32), np.full(20, 0.02, np.float32))
        found.append(steps.info.tobytes() + b"".join(value.tobytes() for value in device.state().values()))
    assert found[0] == found[1]
    compiled = made("none").build.compiled
    for rooms, missing in (({"replay": 4, "guard": 4}, "replay and guard"), ({"augment": True}, "augment")):
        with pytest.raises(mg.UsageError, match=f"the firmware was compiled without {missing}"):
            EmulatedDevice(compiled, targets.load("cortex-m4f"), **rooms)


@mcu
@pytest.mark.mcu
def test_replay_alone_refuses_to_change_samples() -> None:
    """A stored sample has no memory without `soft`, and `augment` set by hand is refused, not ignored."""
    trainer = made("replay")
    x, y = corners(60)
    data = trainer.quantize(x), trainer.labels(y, 60)
    device = EmulatedDevice(trainer.build.compiled, targets.load("cortex-m0plus"), replay=8)
    full = EmulatedDevice(made("all").build.compiled, targets.load("cortex-m0plus"), replay=8)
    states = []
    for each in (device, full):
        each.begin_replay(8, 1, True, 3)
        each.train(*data, np.arange(20, dtype=np.uint32), np.full(20, 0.02, np.float32))
        states.append(
            b"".join(value.tobytes() for value in each.state().values()) + each.replay().memory.tobytes()
        )
    assert states[0] == states[1]


def test_features_that_make_no_sense() -> None:
    x, y = corners(60)
    net = model((1, 12, 12), NET)
    with pytest.raises(mg.UsageError, match="there is no feature 'reply'") as caught:
        mg.compile(net, calibration=x, features="guard,reply")
    assert all(name in str(caught.value) for name in FEATURES)
    with pytest.raises(mg.UsageError, match="there is no feature 3"):
        mg.compile(net, calibration=x, features=[3])
    with pytest.raises(mg.UsageError, match="nothing trains, so that there is no guard or replay to have"):
        mg.compile(net, calibration=x, train="none", features=["replay", "guard", "adc"])
    with pytest.raises(mg.UsageError, match="the loss mse has no classes that a distribution"):
        mg.compile(
            net, calibration=x, loss="mse", typical_labels=np.zeros((4, 4)) + y[:4, None], features="soft"
        )
    assert made("none").options.features == frozenset()
    assert kinds("bits")[0].options.features == EVERY


def test_features_go_with_a_state(tmp_path: Path) -> None:
    made("guard").save(tmp_path / "net.mcgstate")
    assert Trainer.load(tmp_path / "net.mcgstate").options.features == {"guard"}


def test_the_command_line_says_so(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "out"
    found = cli(
        *("compile", "digits_cnn", "--data", "digits", "--features", "guard,adc", "--no-measure", "--json"),
        *("--out", str(place)),
    )
    assert found.code == 0, found.err
    assert found.facts["features"] == ["adc", "guard"]
    text = next(place.glob("*.h")).read_text()
    assert "_guard(" in text
    assert "_replay_add(" not in text


@pytest.mark.parametrize("features", ["all", "replay", "replay,soft", "none"])
def test_firmware_whose_buffers_hold_latents(features: str) -> None:
    """The same functions, one more, and the buffer's own are about latents; without replay nothing is left of them."""
    x, _ = corners(60)
    chosen = {"train": "last:2", "rule": "sr8", "features": features, "replay_of": "latents"}
    trainer = mg.compile(model((1, 12, 12), NET), calibration=x, **chosen)
    there, compiled = "replay" in features_named(features), trainer.build.compiled
    assert declared(trainer) == wanted(features_named(features)) | ({"latents"} if there else set())
    header = compiled.files["net.h"]
    assert ("#define NET_LATENTS_SIZE 54\n" in header) is there
    assert (
        "mcg_status_t net_replay_add(net_replay_t *replay, const int8_t x[NET_LATENTS_SIZE]" in header
    ) is there
    assert ("Draw the latents of a stored sample, [NET_LATENTS_SIZE];" in header) is there
    assert ("mcg_rest_t" in compiled.files["net.c"]) is there
    folder = compiled.folder()
    for compiler in toolchain.host_compilers()[: None if LONG or features == "all" else 1]:
        files = [folder / "net.c", folder / "examples/main.c"]
        toolchain.check_warnings(files, [folder], compiler=compiler, opt="-O2" if LONG else "-O1")


def test_without_latents_nothing_of_them_is_generated() -> None:
    assert not [name for name, text in made("all").build.compiled.files.items() if "latent" in text.lower()]
