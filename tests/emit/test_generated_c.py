"""Generated C: it compiles everywhere without a warning, says no to bad calls, and is the same every time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.emulator.firmware import DeviceModel
from mcugrad.trainer import Trainer
from mcugrad.training.rules import RuleChoice
from networks import Conv, Dense, Layer, Pool, model, samples, write_onnx

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33")
HOSTS = ("zig", "gcc")

ALL = (
    Conv(5, (3, 2), (2, 1), (1, 0, 1, 1)),
    Pool(),
    Conv(6, (2, 2), act="relu6"),
    Dense(7, "relu"),
    Dense(3),
)
PER_LAYER = {"conv2": mg.Sparse(0.2, policy="topk"), "*": mg.Sparse(0.2, 1.0)}
NETWORKS: dict[str, tuple[tuple[int, ...], tuple[Layer, ...], dict[str, Any]]] = {
    "all_sr8": ((2, 9, 9), ALL, {"rule": "sr8"}),
    "all_sr16": ((2, 9, 9), ALL, {"rule": "sr16"}),
    "head": ((2, 9, 9), ALL, {"train": "last:1"}),
    "middle": ((2, 9, 9), ALL, {"train": "conv2", "rule": "sr8"}),
    "biases": ((2, 9, 9), ALL, {"train": "bias"}),
    "real": ((2, 9, 9), ALL, {"precision": "float32"}),
    "mixed": ((2, 9, 9), ALL, {"precision": "mixed", "train": "last:2"}),
    "part": ((2, 9, 9), ALL, {"sparse": mg.Sparse(0.2, 1.0)}),
    "real_part": ((2, 9, 9), ALL, {"precision": "mixed", "train": "last:3", "sparse": PER_LAYER}),
    "frozen": ((2, 9, 9), ALL, {"train": "none"}),
    "linear": ((5,), (Dense(2),), {}),
    "one_input": ((1,), (Dense(1, "relu"), Dense(2)), {"rule": "sr8"}),
}


@cache
def built(name: str) -> Trainer:
    shape, layers, options = NETWORKS[name]
    net = model(shape, layers, name=name)
    return mg.compile(net, calibration=samples(net, 32)[0], **options)


def folder(name: str) -> Path:
    return built(name).build.compiled.folder()


def need(compiler: str) -> None:
    if compiler not in toolchain.host_compilers():
        pytest.skip(f"{compiler} is not installed")


# --- it compiles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compiler", HOSTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_no_warning_on_this_computer(name: str, compiler: str) -> None:
    need(compiler)
    files = [folder(name) / file for file in ("host.c", "examples/main.c")]
    toolchain.check_warnings(files, [folder(name)], compiler=compiler)


@pytest.mark.parametrize("core", CORES)
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
    toolchain.check_warnings([place / f"{net.name}.c", place / "examples/main.c"], [place])
    assert trainer.twin.predict(trainer.quantize(samples(net, 1)[0])).shape == (1, 3)


def test_only_freestanding_headers() -> None:
    for name in NETWORKS:
        for file, text in built(name).build.compiled.files.items():
            for_devices = re.sub(r"#elif MCG_HAS_AVX2\n.*?\n#else\n", "", text, flags=re.DOTALL)
            included = set(re.findall(r"#include\s*<([^>]+)>", for_devices))
            assert included <= {"stdbool.h", "stddef.h", "stdint.h"}, file
            code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
            assert "double" not in code or file == "README.md", file


def test_symbols(tmp_path: Path) -> None:
    """What is exported carries the model's name; what is missing is what every compiler brings along."""
    zig = toolchain.find_compiler("zig")
    command = [*zig.command, "cc", "-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus", "-Os", "-c"]
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


@pytest.mark.parametrize("compiler", HOSTS)
def test_two_models_in_one_program(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    both = tmp_path / "both.c"
    both.write_text(
        '#include "all_sr8.h"\n#include "all_sr16.h"\n'
        "static all_sr8_t one;\nstatic all_sr16_t two;\n"
        "int both(const int8_t *x, uint32_t label)\n{\n"
        "    return all_sr8_init(&one) + all_sr16_init(&two) + all_sr8_train_step(&one, x, label, 0)\n"
        "        + all_sr16_train_step(&two, x, label, 0);\n}\n"
    )
    places = [folder("all_sr8"), folder("all_sr16")]
    sources = [places[0] / "all_sr8.c", places[1] / "all_sr16.c", both]
    library = toolchain.build_shared(sources, places, compiler=compiler, opt="-O1")
    ffi = cffi.FFI()
    ffi.cdef("int both(const int8_t *x, uint32_t label);")
    assert ffi.dlopen(str(library)).both(bytes(162), 2) == 0


# --- the same every time ------------------------------------------------------------------------------------

REPEAT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_generated_c import NETWORKS, built
for name in ("all_sr8", "all_sr16", "middle"):
    compiled = built(name).build.compiled
    for file, text in (*sorted(compiled.files.items()), ("host.c", compiled.host)):
        print(name, file, hashlib.sha256(text.encode()).hexdigest())
"""


def test_same_bytes_in_every_process() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", REPEAT, str(Path(__file__).parent)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = run("1")
    assert first.count("\n") == 18
    assert run("2") == first


def test_nothing_of_this_machine_or_moment() -> None:
    for text in built("all_sr8").build.compiled.files.values():
        assert str(Path.home()) not in text
        assert str(Path(mg.__file__).parent) not in text
        assert not re.search(r"\b20\d\d-\d\d|\d\d:\d\d", text)


def test_golden(golden: Callable[[str, str], None], tmp_path: Path) -> None:
    """A tiny network as it is delivered; the runtime is tested for itself."""
    path = write_onnx(tmp_path / "tiny.onnx", (1, 4, 4), (Conv(2, (2, 2)), Dense(3)), grid=1 / 64)
    net = mg.load(path)
    x = np.round(samples(net, 16)[0] * 8) / 8  # with the grid above: every sum is exact on every computer
    kept = mg.Update("sr12", momentum=0.9, batch=8, weight_decay=1e-3, clip=0.02)
    ways: dict[str, tuple[str, RuleChoice]] = {
        "sr8": ("all", "sr8"),
        "sr16": ("last:1", "sr16"),
        "kept": ("all", {"conv1": kept, "*": "sr10"}),
    }
    for folder, (train, rule) in ways.items():
        files = mg.compile(net, calibration=x, rule=rule, train=train).build.compiled.files
        for name, text in sorted(files.items()):
            if folder == "kept" and name not in ("tiny.c", "tiny.h"):
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
            golden(f"{folder}/{name}", without_runtime(text) if name == "tiny.c" else text)


def without_runtime(text: str) -> str:
    head = '#include "tiny.h"\n\n'
    return text[: text.index(head) + len(head)] + "<runtime>\n" + text[text.index("/* ---- constants") :]


# --- it says no to bad calls ----------------------------------------------------------------------------------


class Api:
    """The five functions of a model on this computer, and its memory."""

    def __init__(self, name: str, *, flags: tuple[str, ...] = ()) -> None:
        self.trainer = built(name)
        self.layout = self.trainer.build.compiled.layout
        library = toolchain.build_shared([folder(name) / f"{name}.c"], [folder(name)], opt="-O1", flags=flags)
        ffi = cffi.FFI()
        ffi.cdef(
            f"int {name}_init(void *m); int {name}_predict(void *m, const int8_t *x, int8_t *y);"
            f"int {name}_quantize(const float *real, int8_t *x); int {name}_set_rate(void *m, float rate);"
            f"int {name}_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
        )
        loaded = ffi.dlopen(str(library))
        self.null = ffi.NULL
        self.ffi, self.init, self.predict = (
            ffi,
            getattr(loaded, f"{name}_init"),
            getattr(loaded, f"{name}_predict"),
        )
        self.quantize, self.set_rate = (
            getattr(loaded, f"{name}_quantize"),
            getattr(loaded, f"{name}_set_rate"),
        )
        self.step = getattr(loaded, f"{name}_train_step")
        self.memory = ffi.new("uint32_t[]", self.layout.size // 4)
        program = self.trainer.build.compiled.program
        self.x = ffi.new("int8_t[]", program.buffers[program.input].count)
        self.y = ffi.new("int8_t[]", program.classes)

    def all(self) -> bytes:
        return bytes(self.ffi.buffer(self.memory))

    def params(self) -> bytes:
        return self.all()[4 : 4 + self.layout.params_size]

    def sample(self, seed: int) -> None:
        random = np.random.default_rng(seed).integers(-128, 128, len(self.x)).astype(np.int8)
        self.ffi.buffer(self.x)[:] = random.tobytes()


OK, NULL, LABEL, STATE, RATE, ARG = 0, -1, -2, -3, -4, -5


def test_bad_calls_change_nothing() -> None:
    api = Api("all_sr8")
    api.sample(0)
    m, x, y, null = api.memory, api.x, api.y, api.null
    for content in (b"\0", b"\xc5", b"\xff"):  # memory before init may hold anything
        api.ffi.buffer(m)[:] = content * api.layout.size
        before = api.all()
        assert [api.predict(m, x, y), api.step(m, x, 0, null), api.set_rate(m, 0.1)] == [STATE] * 3
        assert api.all() == before
    assert [api.init(null), api.init(m), api.step(m, x, 1, null)] == [NULL, OK, OK]
    before = api.all()
    assert [api.predict(null, x, y), api.predict(m, null, y), api.predict(m, x, null)] == [NULL] * 3
    assert [api.step(null, x, 0, null), api.step(m, null, 0, null), api.set_rate(null, 0.1)] == [NULL] * 3
    assert [api.quantize(null, x), api.quantize(api.ffi.new("float[]", len(x)), null)] == [NULL] * 2
    assert [api.step(m, x, label, null) for label in (3, 4, 2**31, 2**32 - 1)] == [LABEL] * 4
    assert [api.set_rate(m, rate) for rate in (-1e-30, -1.0, float("nan"), float("inf"), -float("inf"))] == [
        RATE
    ] * 5
    assert api.all() == before
    assert [api.set_rate(m, rate) for rate in (0.0, 1e-38, 3e38)] == [OK] * 3


def test_predicting_changes_nothing_that_was_learned() -> None:
    api, other = Api("all_sr16"), Api("all_sr16")
    for each in (api, other):
        assert each.init(each.memory) == OK
    for step in range(20):
        for each in (api, other):
            each.sample(step)
            assert each.step(each.memory, each.x, step % 3, each.null) == OK
        before = api.params()
        api.sample(100 + step)
        assert api.predict(api.memory, api.x, api.y) == OK
        assert api.params() == before == other.params()


def test_rate_zero_stops_weights_and_biases() -> None:
    api = Api("all_sr8")
    assert [api.init(api.memory), api.set_rate(api.memory, 0.0)] == [OK, OK]
    place = api.layout.offsets
    kept = [b for b in api.layout.params if re.fullmatch(r"\w+_[wb]", b.name)]
    assert len(kept) == 8

    def values() -> list[bytes]:
        return [api.all()[place[b.name] :][: b.size] for b in kept]

    before = values()
    for step in range(10):
        api.sample(step)
        assert api.step(api.memory, api.x, step % 3, api.null) == OK
    assert values() == before


def test_quantizing_on_the_device_is_quantizing_here() -> None:
    api = Api("linear")
    random = np.random.default_rng(0)
    scale = api.trainer.build.graph[api.trainer.build.graph.input].quant.scale
    rows = [
        *random.normal(0, 1, (200, 5)).astype(np.float32),
        *(np.arange(-150, 150).reshape(-1, 5) + 0.5).astype(np.float32) * np.float32(scale),
        np.asarray([3e38, -3e38, 1e-40, -0.0, 0.0], np.float32),
    ]
    for row in rows:
        assert api.quantize(api.ffi.cast("float *", row.ctypes.data), api.x) == OK
        np.testing.assert_array_equal(
            np.frombuffer(api.ffi.buffer(api.x), np.int8), api.trainer.quantize(row[None])[0]
        )


# --- undefined behaviour ----------------------------------------------------------------------------------------

# zig would link libc and build it first, which takes long; nothing here calls it.
TRAP = {
    "zig": ("-fsanitize=undefined", "-fsanitize-trap=undefined", "-nostdlib"),
    "gcc": ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
}
STEPS = """
import sys, cffi, numpy as np
library, name, size, inputs, classes, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
ffi = cffi.FFI()
ffi.cdef(f"int {name}_init(void *m); int {name}_predict(void *m, const int8_t *x, int8_t *y);"
         f"int {name}_train_step(void *m, const int8_t *x, uint32_t label, void *step);"
         f"int {name}_set_rate(void *m, float rate);"
         f"int {name}_train_soft(void *m, const int8_t *x, const uint8_t *soft, void *step);"
         f"int {name}_replay_init(void *r, uint32_t *memory, uint32_t words, uint32_t seed);"
         f"int {name}_replay_remember(void *m, void *r);"
         f"int {name}_train_replay(void *m, void *r, const int8_t *x, uint32_t label, void *step);"
         f"int {name}_augment(void *how, const int8_t *x, int8_t *y);")
c = ffi.dlopen(library)
m, y = ffi.new("uint32_t[]", size // 4), ffi.new("int8_t[]", classes)
random = np.random.default_rng(0)
how, changed, replay, memory = (ffi.new(f"{t}[]", n) for t, n in
                                (("int32_t", 7), ("int8_t", inputs), ("uint64_t", 99), ("uint32_t", 5000)))
status = getattr(c, f"{name}_init")(m) | getattr(c, f"{name}_replay_init")(replay, memory, 5000, 1)
for step in range(steps):
    x = random.integers(-128, 128, inputs).astype(np.int8)
    x[random.random(inputs) < 0.3] = [-128, 127, 0][step % 3]
    if step % 50 == 49:  # rates from sensible to absurd: weights and scales reach every bound
        status |= getattr(c, f"{name}_set_rate")(m, 10.0 ** (step // 50 * 4 - 6))
    status |= getattr(c, f"{name}_train_step")(m, x.tobytes(), step % classes, ffi.NULL)
    for place, most in ((2, 65536), (3, 65280), (4, 65280)):
        how[place] = random.choice([0, 1, most // 9, most])
    status |= getattr(c, f"{name}_augment")(how, x.tobytes(), changed)
    soft = random.choice([0, 1, 128, 255], classes).astype(np.uint8)
    soft[step % classes] = 255
    status |= getattr(c, f"{name}_train_soft")(m, ffi.buffer(changed)[:], soft.tobytes(), ffi.NULL)
    if step % 20 == 19:
        status |= getattr(c, f"{name}_replay_remember")(m, replay)
    status |= getattr(c, f"{name}_train_replay")(m, replay, x.tobytes(), step % classes, ffi.NULL)
    status |= getattr(c, f"{name}_predict")(m, x.tobytes(), y)
sys.exit(status)
"""


@pytest.mark.parametrize("compiler", HOSTS)
@pytest.mark.parametrize("name", ["all_sr8", "all_sr16", "middle", "biases", "one_input"])
def test_no_undefined_behaviour(name: str, compiler: str) -> None:
    """Hundreds of steps with traps at every overflow, bad shift and access out of bounds or alignment."""
    need(compiler)
    library = toolchain.build_shared(
        [folder(name) / f"{name}.c"], [folder(name)], compiler=compiler, opt="-O1", flags=TRAP[compiler]
    )
    compiled = built(name).build.compiled
    program = compiled.program
    sizes = compiled.layout.size, program.buffers[program.input].count, program.classes, 500
    command = [sys.executable, "-c", STEPS, str(library), name, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"


@pytest.mark.parametrize("compiler", HOSTS)
def test_undefined_behaviour_would_be_seen(compiler: str, tmp_path: Path) -> None:
    need(compiler)
    source = tmp_path / "wrong.c"
    source.write_text("int wrong(int a);\nint wrong(int a) { return a + 2147483647; }\n")
    library = toolchain.build_shared([source], compiler=compiler, opt="-O1", flags=TRAP[compiler])
    command = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1]).wrong(1)", str(library)]
    assert subprocess.run(command, capture_output=True, check=False).returncode < 0


@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m7"])
@pytest.mark.parametrize("name", ["all_sr8", "all_sr16"])
def test_no_unaligned_access_on_a_core(name: str, core: str) -> None:
    pytest.importorskip("unicorn", reason="the emulator is not installed")
    program = built(name).build.compiled.program
    device = DeviceModel(
        [folder(name) / f"{name}.c"],
        name,
        targets.load(core),
        input_size=program.buffers[program.input].count,
        output_size=program.classes,
        include_dirs=[folder(name)],
        check_alignment=True,
    )
    device.init()
    random = np.random.default_rng(0)
    for step in range(3):
        x = random.integers(-128, 128, program.buffers[program.input].count).astype(np.int8)
        assert device.train_step(x, step % 3)[0] == 0
        device.predict(x)
