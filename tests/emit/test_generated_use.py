"""Generated C to those who live with it: whose it is, what it says of itself, raw samples, interrupts and tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

import mcugrad as mg
from generated import ARG, NETWORKS, NULL, OK, Api, built, folder
from mcugrad import toolchain
from mcugrad.abi.records import SCALE
from mcugrad.passes.calibrate import Calibration
from mcugrad.pipeline import build, calibrate
from networks import Dense, model, samples

# --- whose and which it is ------------------------------------------------------------------------------------


def test_every_file_says_whose_it_is() -> None:
    licence = (Path(__file__).parents[2] / "LICENSE").read_text()
    for name in ("one_input", "frozen"):
        files = dict(built(name).build.compiled.files)
        said = files.pop("LICENSE")
        for file, text in files.items():
            yours = f"LicenseRef-{name.replace('_', '-')}"
            both = f"Apache-2.0 AND {yours}" if file.startswith(name) else yours
            assert f"SPDX-License-Identifier: {both} " in text.splitlines()[0] + " ", file
        assert said.endswith(licence)
        assert "is yours" in said


@pytest.mark.parametrize(
    ("name", "source"), [("all_sr8", None), ("real", None), ("frozen", 'a "b" ??/ c\\d %s é.onnx')]
)
def test_a_program_can_ask_what_was_linked(name: str, source: str | None, tmp_path: Path) -> None:
    """Scales, zero points, network and version, in C and as they are in Python."""
    trainer = built(name)
    files = dict(trainer.build.compiled.files)
    if source is not None:
        found = replace(trainer.model, source=source)
        files = dict(
            build(
                found, calibrate(found, samples(found, 32)[0], Calibration()), trainer.options
            ).compiled.files
        )
    for file in (f"{name}.c", f"{name}.h"):
        (tmp_path / file).write_text(files[file])
    upper = name.upper()
    values = [f"{upper}_INPUT_SCALE", f"{upper}_INPUT_ZERO"]
    values += [f"{upper}_OUTPUT_SCALE", f"{upper}_OUTPUT_ZERO"] if name != "real" else []
    (tmp_path / "ask.c").write_text(
        f'#include "{name}.h"\nconst char *info(void) {{ return {name}_info(); }}\n'
        f"float value(int i) {{ const float v[] = {{{', '.join(values)}}}; return v[i]; }}\n"
    )
    library = toolchain.build_shared([tmp_path / f"{name}.c", tmp_path / "ask.c"], [tmp_path], opt="-O0")
    ffi = cffi.FFI()
    ffi.cdef("const char *info(void); float value(int i);")
    c = ffi.dlopen(str(library))
    assert ffi.string(c.info()).decode() == (
        f"{source or trainer.model.source} sha256 {trainer.model.digest} mcugrad {mg.__version__}"
    )
    graph = trainer.build.graph
    quants = [graph[graph.input].quant, *([graph[graph.output].quant] if name != "real" else [])]
    expected = [value for quant in quants for value in (np.float32(quant.scale), quant.zero)]
    assert [c.value(i) for i in range(len(values))] == expected


NAMES = ("yes", 'a "b" ??/\\\\', "größer\n7")


def test_class_names(tmp_path: Path) -> None:
    """What was given, in any letters; they stay with an export for inference and with a state file."""
    net = model((4,), (Dense(3),), name="named")
    x, _ = samples(net, 16)
    assert "class_names" not in mg.compile(net, calibration=x).build.compiled.files["named.h"]
    trainer = mg.compile(net, calibration=x, class_names=NAMES)
    toolchain.check_warnings([trainer.build.compiled.folder() / "named.c"], [trainer.build.compiled.folder()])
    trainer.save(tmp_path / "named.mcgstate", program=True)
    for each in (trainer, trainer.inference(), mg.Trainer.load(tmp_path / "named.mcgstate")):
        place = each.build.compiled.folder()
        ffi = cffi.FFI()
        ffi.cdef("extern const char *const named_class_names[3];")
        c = ffi.dlopen(str(toolchain.build_shared([place / "named.c"], [place], opt="-O0")))
        assert tuple(ffi.string(name).decode() for name in c.named_class_names) == NAMES


@pytest.mark.parametrize(
    ("names", "said"),
    [(("a", "b"), "2 class names for 3 outputs"), ("abc", "1 class names"), ((1, 2, 3), "are no texts")],
)
def test_class_names_that_are_not_the_outputs(names: Any, said: str) -> None:
    net = model((4,), (Dense(3),))
    with pytest.raises(mg.UsageError, match=said):
        mg.compile(net, calibration=samples(net, 8)[0], class_names=names)


# --- raw samples ----------------------------------------------------------------------------------------------

ADC = np.dtype([("scale", SCALE), ("middle", "<i4")])


@pytest.mark.parametrize("kind", [np.int16, np.uint16])
@pytest.mark.parametrize("unit", [1 / 32768, 0.0003, 3.3 / 4096, 0.02, 1.0, 30.0])
def test_raw_samples_are_quantized_as_real_ones(kind: type[Any], unit: float) -> None:
    """Equal to the float quantizer, but within 1/100 step of a tie, where it is one of the two neighbours."""
    name, bits = "linear", "s16" if kind is np.int16 else "u16"
    api = Api(name)
    ffi = cffi.FFI()
    ffi.cdef(
        f"int {name}_adc_init(void *how, float unit, int32_t middle);"
        f"int {name}_quantize_{bits}(const void *how, const void *raw, int8_t *x);"
    )
    library = toolchain.build_shared([folder(name) / f"{name}.c"], [folder(name)], opt="-O0")
    c = ffi.dlopen(str(library))
    quantize = getattr(c, f"{name}_quantize_{bits}")
    how = np.zeros(1, ADC)
    place = ffi.from_buffer(how)
    x = np.zeros(5, np.int8)
    graph = api.trainer.build.graph
    quant = graph[graph.input].quant
    limits = np.iinfo(kind)
    for middle in (0, 2048, 32768 if kind is np.uint16 else -300):
        assert c.linear_adc_init(place, unit, middle) == OK
        spread = min(40_000, int(300 * quant.scale / unit) + 5)
        near = np.arange(middle - spread, middle + spread, max(1, spread // 1500))
        values = np.unique(np.clip(np.concatenate([near, [limits.min, limits.max]]), limits.min, limits.max))
        raw = np.resize(values, (-(-len(values) // 5), 5)).astype(kind)
        found = np.empty(raw.shape, np.int8)
        for row, out in zip(raw, found, strict=True):
            assert quantize(place, ffi.from_buffer(row), ffi.from_buffer(x)) == OK
            out[:] = x
        real = (raw.astype(np.float32) - np.float32(middle)) * np.float32(unit)
        wanted = np.empty(raw.shape, np.int8)
        for row, out in zip(real, wanted, strict=True):
            assert api.quantize(api.ffi.from_buffer("float[]", row), api.x) == OK
            out[:] = np.frombuffer(api.ffi.buffer(api.x), np.int8)
        exact = (raw.astype(float) - middle) * float(np.float32(unit)) / float(np.float32(quant.scale))
        tie = np.abs(exact - np.floor(exact) - 0.5) < 0.01
        assert (found == wanted)[~tie].all()
        assert np.abs(found.astype(int) - wanted).max() <= 1
        assert np.unique(found).size > 1


def test_what_no_converter_is_like_is_refused() -> None:
    name = "linear"
    ffi = cffi.FFI()
    ffi.cdef(
        "int linear_adc_init(void *how, float unit, int32_t middle);"
        "int linear_quantize_s16(const void *how, const void *raw, int8_t *x);"
    )
    library = toolchain.build_shared([folder(name) / f"{name}.c"], [folder(name)], opt="-O0")
    c, how, raw, x = (
        ffi.dlopen(str(library)),
        ffi.new("uint32_t[2]"),
        ffi.new("int16_t[5]"),
        ffi.new("int8_t[5]"),
    )
    inf, nan = float("inf"), float("nan")
    wrong = [(0.0, 0), (-1.0, 0), (nan, 0), (inf, 0), (1e9, 0), (0.1, 65537), (0.1, -65537)]
    assert [c.linear_adc_init(how, *each) for each in wrong] == [ARG] * len(wrong)
    assert list(how) == [0, 0]
    assert c.linear_quantize_s16(how, raw, x) == ARG
    assert [c.linear_adc_init(ffi.NULL, 0.1, 0), c.linear_adc_init(how, 0.1, 0)] == [NULL, OK]
    calls = (ffi.NULL, raw, x), (how, ffi.NULL, x), (how, raw, ffi.NULL), (how, raw, x)
    assert [c.linear_quantize_s16(*each) for each in calls] == [NULL] * 3 + [OK]
    how[0] = 0xFFFFFFFF
    assert c.linear_quantize_s16(how, raw, x) == ARG


# --- interrupts and tasks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_code_has_no_variables(name: str) -> None:
    """All that changes is what the caller passes, so that calls on different models can overlap."""
    assert writable(folder(name) / f"{name}.c", folder(name)) == []


def writable(source: Path, include: Path) -> list[str]:
    """Names of the variables of a C file, which without optimisation are all there."""
    library = toolchain.build_shared([source], [include], opt="-O0")
    with library.open("rb") as file:
        elf = ELFFile(file)
        table = elf.get_section_by_name(".symtab")
        if table is None:
            pytest.skip("this computer's libraries have no symbols in ELF")
        objects = [s for s in table.iter_symbols() if s["st_info"]["type"] == "STT_OBJECT" and s["st_size"]]
        assert objects
        return [
            s.name
            for s in objects
            if isinstance(s["st_shndx"], int)
            and is_writable(elf.get_section(s["st_shndx"]))
            and not s.name.startswith("_")
        ]


def is_writable(section: Section) -> bool:
    """Not where constants are that hold addresses: what loads a library writes these, and then closes it."""
    return bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE) and not section.name.startswith(".data.rel.ro")


def test_a_variable_would_be_seen(tmp_path: Path) -> None:
    text = (folder("linear") / "linear.c").read_text()
    here = "mcg_status_t linear_init(linear_t *m)\n{\n"
    assert here in text
    source = tmp_path / "linear.c"
    source.write_text(text.replace(here, f"{here}    static volatile int32_t calls;\n    calls += 1;\n"))
    assert [name.split(".")[-1] for name in writable(source, folder("linear"))] == ["calls"]


def test_two_models_learn_at_the_same_time() -> None:
    """Two threads, each with a model of the same network: the bytes of one after the other."""

    def learn(seed: int) -> bytes:
        api = Api("all_sr16")
        assert api.init(api.memory) == OK
        for step in range(150):
            api.sample(1000 * seed + step)
            assert api.step(api.memory, api.x, step % 3, api.null) == OK
        return api.params()

    alone = [learn(seed) for seed in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(learn, (1, 2))) == alone
    assert alone[0] != alone[1]


def test_a_snapshot_beside_a_prediction_is_whole() -> None:
    """What is said to only read, reads only; what a prediction changes is the arena alone."""
    header = built("all_sr8").build.compiled.files["all_sr8.h"]
    assert "all_sr8_snapshot(const all_sr8_t *m" in header
    assert "all_sr8_check(const all_sr8_t *m" in header
    api = Api("all_sr8")
    assert [api.init(api.memory), api.step(api.memory, api.x, 1, api.null)] == [OK, OK]
    before = api.all()
    api.sample(3)
    assert api.predict(api.memory, api.x, api.y) == OK
    place = api.layout.arena_offset
    assert api.all()[:place] == before[:place]
    assert api.all()[place:] != before[place:]
