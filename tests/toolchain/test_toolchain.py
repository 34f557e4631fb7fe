"""Toolchain: what is built runs, what was built before is not built again, what is missing is named."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from elftools.elf.relocation import RelocationSection

from mcugrad import emulator, targets, toolchain
from mcugrad.errors import FitError, ToolError, UsageError
from mcugrad.program.reserve import STACK
from mcugrad.targets import Region
from mcugrad.toolchain import build, cache, compilers, size, startup
from mcugrad.toolchain.elf import Image

ADD_C = """\
#include "offset.h"
int add(int a, int b);
int add(int a, int b) { return a + b + OFFSET; }
"""


@pytest.fixture
def add(tmp_path: Path) -> Path:
    """A folder with one C file and the header it includes."""
    (tmp_path / "add.c").write_text(ADD_C)
    (tmp_path / "offset.h").write_text("#define OFFSET 0\n")
    return tmp_path


def call_add(library: Path) -> int:
    return int(ctypes.CDLL(str(library)).add(20, 22))


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
@pytest.mark.parametrize("native", [True, False])
def test_host_library_runs(add: Path, compiler: str, native: bool) -> None:
    assert call_add(toolchain.build_shared([add / "add.c"], compiler=compiler, native=native)) == 42


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_sanitizers_can_be_asked_for(add: Path, compiler: str) -> None:
    trap = {"zig": "-fsanitize-trap=undefined"}.get(compiler, "-fsanitize-undefined-trap-on-error")
    flags = ["-fsanitize=undefined", trap, "-nostdlib"]  # else zig makes libraries of its own first
    library = toolchain.build_shared([add / "add.c"], compiler=compiler, opt="-O0", flags=flags)
    program = f"import ctypes; ctypes.CDLL({str(library)!r}).add(2**31 - 1, 1)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode != 0


def test_same_inputs_same_file(add: Path) -> None:
    first = toolchain.build_shared([add / "add.c"])
    stamp = first.stat().st_mtime_ns
    again = toolchain.build_shared([add / "add.c"])
    assert (again, again.stat().st_mtime_ns) == (first, stamp)


def test_a_model_s_macros_leave_our_own_sources_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(cache.root() / "zig"))
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    target, sources = targets.load("cortex-m4f"), idle("", tmp_path)
    for number in (1, 2):
        toolchain.build_firmware(sources, target, defines={"MCG_SIZE": number})
    objects = [path.name for path in (tmp_path / "cache/builds").glob("*/*/*.o")]
    assert objects.count("mcg_device_startup.o") == 1
    assert {objects.count(source.with_suffix(".o").name) for source in sources} == {2}


ASSEMBLER = """
.section .rodata.value, "a", %progbits
.global mcg_device_value
.type mcg_device_value, %object
mcg_device_value:
    .word VALUE
.size mcg_device_value, 4
"""


def test_assembler_is_compiled_once_for_all_macros_but_those_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A macro may be named by another one's value, or by what is included; C makes names of parts of names."""
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(cache.root() / "zig"))
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    target, sources = targets.load("cortex-m4f"), idle("", tmp_path)
    (tmp_path / "value.S").write_text(ASSEMBLER)
    (tmp_path / "included.S").write_text('#include "value.S"\n')

    def value(name: str, **defines: int | str) -> int:
        files = [*sources, tmp_path / name]
        elf = toolchain.build_firmware(files, target, defines=defines, keep=("mcg_device_value",)).elf
        image = Image(elf)
        return int.from_bytes(image.content(image.symbol("mcg_device_value").address, 4), "little")

    assert value("value.S", VALUE=1, OTHER=1) == 1
    assert value("value.S", VALUE=1, OTHER=2) == 1
    assert value("value.S", VALUE="OTHER", OTHER=3) == 3
    assert value("value.S", VALUE="OTHER", OTHER=4) == 4
    assert value("included.S", VALUE=5, OTHER=1) == 5
    assert value("included.S", VALUE=6, OTHER=1) == 6
    objects = [path.name for path in (tmp_path / "cache/builds").glob("*/*/*.o")]
    assert objects.count("value.o") == 3
    assert objects.count("included.o") == 2


def test_every_input_counts(add: Path) -> None:
    source, compiler = [add / "add.c"], toolchain.host_compilers()[-1]
    built = {
        toolchain.build_shared(source, compiler=compiler),
        toolchain.build_shared(source, compiler=compiler, opt="-O0"),
        toolchain.build_shared(source, compiler=compiler, native=False),
        toolchain.build_shared(source, compiler=compiler, defines={"X": 1}),
        toolchain.build_shared(source, compiler=compiler, defines={"X": None}),
        toolchain.build_shared(source, compiler=compiler, flags=["-g"]),
    }
    assert len(built) == 6


def test_a_changed_header_is_noticed(add: Path) -> None:
    folder = add / "include"
    folder.mkdir()
    (add / "add.c").write_text(ADD_C.replace('"offset.h"', "OFFSET_HEADER"))
    (folder / "far.h").write_text('#include "near.h"\n')
    results = []
    for offset in (1, 2):
        (folder / "near.h").write_text(f"#define OFFSET {offset}\n")
        library = toolchain.build_shared([add / "add.c"], [folder], defines={"OFFSET_HEADER": '"far.h"'})
        results.append(call_add(library))
    assert results == [43, 44]


def test_concurrent_builds_agree(add: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(cache.root() / "zig"))
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    compiler = toolchain.host_compilers()[0]
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: toolchain.build_shared([add / "add.c"], compiler=compiler), range(4)))
    assert len(paths) == 1
    assert call_add(paths.pop()) == 42
    assert not list((tmp_path / "cache").rglob(".new-*")), "private folders are gone"


def test_unusable_cache_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(cache.sys, "platform", "linux")
    assert cache.root() == tmp_path / "other" / "mcugrad"


def test_failed_build_shows_the_compilers_words(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("int f(void) { return nothing; }\n")
    with pytest.raises(
        ToolError, match=r"compiling bad.c with zig failed:\n.*undeclared identifier 'nothing'"
    ):
        toolchain.build_shared([tmp_path / "bad.c"])


def test_a_build_that_fails_on_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.c").write_text("int f(void) { return nothing; }\n")
    for free, hint in ((1 << 30, ""), (5 << 10, f"free some space: {cache.root()} has 5 KiB left")):
        monkeypatch.setattr(build.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with pytest.raises(ToolError) as caught:
            toolchain.build_shared([tmp_path / "bad.c"])
        assert caught.value.hint.partition(";")[0] == hint


def test_failed_link_names_the_symbol(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("void far(void);\nvoid mcg_device_main(void) { far(); }\n")
    with pytest.raises(ToolError, match=r"linking for cortex-m3 with zig failed:\n.*undefined symbol: far"):
        toolchain.build_firmware([tmp_path / "main.c"], targets.load("cortex-m3"))


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot read the source"):
        toolchain.build_shared([tmp_path / "none.c"])


@pytest.mark.parametrize(
    ("name", "advice"),
    [("zig", "pip install ziglang"), ("gcc", "C compiler"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi")],
)
def test_missing_compiler(name: str, advice: str, add: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_command", lambda _: None)
    with pytest.raises(ToolError, match=f"the compiler {name} is not installed") as caught:
        toolchain.find_compiler(name)
    assert advice in caught.value.hint
    with pytest.raises(ToolError, match="the compiler gcc is not installed"):
        toolchain.build_shared([add / "add.c"], compiler="gcc")
    with pytest.raises(ToolError, match="the compiler zig is not installed"):
        toolchain.build_firmware([add / "add.c"], targets.load("cortex-m3"))
    assert toolchain.host_compilers() == toolchain.firmware_compilers() == ()


def test_wrong_use(add: Path) -> None:
    target = targets.load("cortex-m3")
    with pytest.raises(UsageError, match="'icc' does not build libraries"):
        toolchain.build_shared([add / "add.c"], compiler="icc")
    with pytest.raises(UsageError, match="'gcc' does not build firmware"):
        toolchain.build_firmware([add / "add.c"], target, compiler="gcc")
    with pytest.raises(UsageError, match="'O3'"):
        toolchain.build_shared([add / "add.c"], opt="O3")
    with pytest.raises(UsageError, match="no source"):
        toolchain.build_shared([])
    with pytest.raises(UsageError, match="stack of 100 B"):
        toolchain.build_firmware([add / "add.c"], target, stack_bytes=100)


def idle(extra: str, folder: Path) -> list[Path]:
    (folder / "extra.c").write_text(extra)
    return [folder / "extra.c", startup.source(startup.IDLE_MAIN)]


def test_sizes_leave_the_harness_out(tmp_path: Path) -> None:
    sources = idle(
        "const char table[1000] = {1}; int start = 7; char room[300];\n"
        "int use(int i) { return table[i] + start + room[i]; }\n",
        tmp_path,
    )
    firmware = toolchain.build_firmware(sources, targets.load("cortex-m4f"), keep=["use"])
    sizes = firmware.sizes
    assert (sizes.rodata, sizes.data, sizes.bss) == (1000, 4, 300)
    assert 10 < sizes.text < 60
    assert sizes.flash == sizes.text + 1004
    assert (sizes.vectors, sizes.stack) == (64, STACK)
    assert sizes.ram_image == 4 + 300 + sizes.harness_ram + sizes.stack
    placed = {(s.section, s.name): s.bytes for s in size.placed(firmware.elf)}
    assert (placed[".rodata", "table"], placed[".data", "start"], placed[".bss", "room"]) == (1000, 4, 300)
    assert sum(n for (section, _), n in placed.items() if section == ".text") == sizes.text
    assert [count for _, count in size.initial(firmware.elf)] == [4]


def test_too_large_for_the_target(tmp_path: Path) -> None:
    small = replace(
        targets.load("nrf52840"),
        ram=Region(0x2000_0000, 16384),
        flash=Region(0x0000_0000, 8192),
        name="small",
    )
    sources = idle("char room[20000]; char *use(void) { return room; }\n", tmp_path)
    with pytest.raises(FitError, match=r"needs 22\.5 KiB of RAM; small has 16\.0 KiB \(6\.5 KiB short\)"):
        toolchain.build_firmware(sources, small, keep=["use"])
    sources = idle("const char rom[20000] = {1}; const char *use(void) { return rom; }\n", tmp_path)
    with pytest.raises(FitError, match=r"KiB of flash; small has 8\.0 KiB"):
        toolchain.build_firmware(sources, small, keep=["use"])


def test_wrong_flags_stop_the_build(tmp_path: Path) -> None:
    m4 = targets.load("cortex-m4f")
    without_fpu = replace(
        m4, core=replace(m4.core, zig_target="thumb-freestanding-eabi", zig_cpu="cortex_m4")
    )
    with pytest.raises(ToolError, match="the target has an FPU but the compiler was not told"):
        toolchain.build_firmware(idle("", tmp_path), without_fpu)
    m33 = targets.load("cortex-m33")
    without_dsp = replace(m33, core=replace(m33.core, zig_cpu="cortex_m33+fp_armv8d16sp"))
    with pytest.raises(ToolError, match="the DSP extension of the target and of the compiler differ"):
        toolchain.build_firmware(idle("", tmp_path), without_dsp)


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_strict_warnings(tmp_path: Path, compiler: str) -> None:
    (tmp_path / "narrow.c").write_text("signed char f(int a);\nsigned char f(int a) { return a; }\n")
    with pytest.raises(ToolError, match=r"narrow.c:2:.*conversion"):
        toolchain.check_warnings([tmp_path / "narrow.c"], compiler=compiler)


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
@pytest.mark.parametrize("at", [0, 1, 2])
def test_each_of_several_files_is_looked_at_alone(tmp_path: Path, compiler: str, at: int) -> None:
    good = [tmp_path / f"{name}.c" for name in ("first", "second")]
    for file in good:
        file.write_text("typedef signed char own;\nint f(void);\nint f(void) { return (own)1; }\n")
    toolchain.check_warnings(good, compiler=compiler)
    bad = tmp_path / "needy.c"
    for text, said in (("int g(own a);\n", "own"), ("static int g(void) { return 1; }\n", "unused")):
        bad.write_text(text)
        with pytest.raises(ToolError, match=rf"3 files with {compiler}[^$]*needy\.c:1:.*{said}"):
            toolchain.check_warnings([*good[:at], bad, *good[at:]], compiler=compiler)


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_headers_are_read_as_cpp(tmp_path: Path, compiler: str) -> None:
    (tmp_path / "bad.h").write_text("int f(int class);\n")
    toolchain.check_warnings([tmp_path / "bad.h"], compiler=compiler)
    with pytest.raises(ToolError):
        toolchain.check_warnings([tmp_path / "bad.h"], compiler=compiler, language="c++")


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
@pytest.mark.parametrize("name", ["cortex-m0plus", "cortex-m4f"])
def test_device_code_has_no_warnings(tmp_path: Path, compiler: str, name: str) -> None:
    (tmp_path / "tiny.h").write_text(
        "typedef enum { MCG_OK } mcg_status_t;\n"
        "typedef struct { int w; } tiny_t;\ntypedef struct { int n; } tiny_step_t;\n"
        "mcg_status_t tiny_init(tiny_t *m);\n"
        "mcg_status_t tiny_predict(tiny_t *m, const int8_t *x, int8_t *y);\n"
        "mcg_status_t tiny_train_step(tiny_t *m, const int8_t *x, uint32_t label, tiny_step_t *info);\n"
    )
    target = targets.load(name)
    defines = {
        "MCG_MODEL": "tiny",
        "MCG_MODEL_HEADER": '"tiny.h"',
        "MCG_INPUT_SIZE": 4,
        "MCG_OUTPUT_SIZE": 2,
        "MCG_OUTPUT_TYPE": "int8_t",
        "MCG_EXPECT_FPU": int(target.core.has_fpu),
        "MCG_EXPECT_DSP": int(target.core.has_dsp),
        "MCG_EXPECT_MVE": int(target.core.has_mve),
    }
    own = (startup.STARTUP, startup.IDLE_MAIN, startup.GCC_MEMORY)
    files = [*map(startup.source, own), emulator.source("mcg_device_harness.c")]
    toolchain.check_warnings(files, [tmp_path], compiler=compiler, target=target, defines=defines)


@pytest.mark.parametrize("compiler", toolchain.host_compilers())
def test_host_hooks_have_no_warnings(compiler: str) -> None:
    files = [emulator.source(emulator.HOST_COUNTER), emulator.source(emulator.HOST_ALIGNMENT)]
    toolchain.check_warnings(files, compiler=compiler)


@pytest.mark.skipif(
    "arm-none-eabi-gcc" not in toolchain.firmware_compilers(), reason="arm-none-eabi-gcc is not installed"
)
@pytest.mark.parametrize("name", targets.cores())
def test_arm_gcc_builds_for_every_core(tmp_path: Path, name: str) -> None:
    sources = idle("float use(float a, int n) { return a / (float)n; }\n", tmp_path)
    firmware = toolchain.build_firmware(
        sources, targets.load(name), compiler="arm-none-eabi-gcc", keep=["use"]
    )
    assert firmware.sizes.text > 0


def test_doctor_lists_what_is_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilers, "_PACKAGES", compilers._PACKAGES[:1])
    found = {tool.name: tool for tool in toolchain.doctor()}
    assert found["unicorn"].found
    assert found["unicorn"].version
    monkeypatch.setattr(compilers, "_command", lambda _: None)
    missing = {tool.name: tool for tool in toolchain.doctor()}["zig"]
    assert (missing.found, missing.version, missing.install) == (False, "", "pip install ziglang")
    assert "every core" in missing.unlocks


@pytest.mark.parametrize("compiler", toolchain.firmware_compilers())
def test_symbols_and_sections_are_those_that_pyelftools_reads(compiler: str) -> None:
    firmware = toolchain.build_firmware(
        [startup.source(startup.IDLE_MAIN)], targets.load("cortex-m4f"), compiler=compiler
    )
    with size.open_elf(firmware.elf) as image:
        wanted = image.get_section_by_name(".symtab")
        kinds, binds = {"STT_OBJECT": size.OBJECT, "STT_FUNC": size.FUNC}, {"STB_GLOBAL": size.GLOBAL}
        found = size.entries(image)
        assert found is not None
        for each, symbol in zip(found, wanted.iter_symbols(), strict=True):
            assert (each.name, each.value, each.bytes) == (symbol.name, symbol["st_value"], symbol["st_size"])
            kind, bind, section = symbol["st_info"]["type"], symbol["st_info"]["bind"], symbol["st_shndx"]
            assert (each.kind in kinds.values()) == (kind in kinds)
            assert each.kind == kinds.get(kind, each.kind)
            assert (each.bind == size.GLOBAL) == (bind in binds)
            assert each.section == section or (isinstance(section, str) and not 0 < each.section < 0xFF00)
        sections = [
            (s.header["sh_flags"], s.header["sh_info"], isinstance(s, RelocationSection))
            for s in image.iter_sections()
        ]
        assert [(h.flags, h.info, h.type in (4, 9)) for h in size.headers(image)] == sections
