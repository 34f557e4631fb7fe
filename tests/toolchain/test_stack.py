"""The most stack that firmware takes, by its calls: what is followed, what is refused, what compilers say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mcugrad import targets, toolchain
from mcugrad.errors import ToolError
from mcugrad.toolchain import startup
from mcugrad.toolchain.stack import POINTERS, Calls
from networks import Conv, Dense, trainer

COMPILERS = toolchain.firmware_compilers()
CORES = ("cortex-m0plus", "cortex-m4f")
Read = Callable[..., Calls]

KEEP = "__attribute__((noinline)) "
USE = "void use(volatile char *room);\n" + KEEP + "void use(volatile char *room) { room[0] = 1; }\n"


@pytest.fixture(params=[(c, core) for c in COMPILERS for core in CORES], ids="-".join)
def read(request: pytest.FixtureRequest, tmp_path: Path) -> Read:
    """Builds some C, of which `f` is kept, and reads its calls."""
    compiler, core = request.param

    def build(text: str, *keep: str, opt: str = "-O2") -> Calls:
        (tmp_path / "some.c").write_text(USE + text)
        sources = [tmp_path / "some.c", startup.source(startup.IDLE_MAIN)]
        built = toolchain.build_firmware(
            sources, targets.load(core), compiler=compiler, opt=opt, keep=keep or ("f",)
        )
        return Calls(built.elf)

    return build


def test_the_deepest_path_counts(read: Read) -> None:
    calls = read(
        KEEP + "int deep(void) { volatile char room[400]; use(room); return room[0]; }\n"
        "int f(int i) { volatile char room[100]; use(room); return (i ? deep() : 1) + room[0]; }\n",
        "f",
        "deep",
    )
    found = calls.bound("f")
    assert found.path == ("f", "deep", "use") or found.path == ("f", "deep")
    assert found.reaches == {"f", "deep", "use"}
    assert 500 + 4 < found.bytes < 600
    assert 400 < calls.bound("deep").bytes < found.bytes - 100
    assert str(found).startswith(f"{found.bytes:,} B in f > deep")


def test_what_is_called_through_constants_counts(read: Read) -> None:
    calls = read(
        "static int small(int i) { return i + 1; }\n"
        "static int large(int i) { volatile char room[300]; use(room); return room[i]; }\n"
        "typedef struct { int (*run)(int); } way_t;\n"
        "extern const way_t ways[2]; const way_t ways[2] = {{small}, {large}};\n"
        "int f(int i) { return ways[i & 1].run(i) + 1; }\n"
    )
    found = calls.bound("f")
    assert "large" in found.path
    assert {"small", "large"} <= found.reaches
    assert found.bytes > 300


def test_what_is_chosen_in_code_counts(read: Read) -> None:
    calls = read(
        KEEP
        + "static int small(int i) { use((volatile char *)i); return i + 1; }\n"
        + KEEP
        + "static int large(int i) { volatile char room[300]; use(room); return room[i]; }\n"
        "int f(int i, int n) { int (*const run)(int) = i > 3 ? small : large; int sum = 0;\n"
        "  for (int k = 0; k < n; ++k) { sum += run(k); } return sum; }\n"
    )
    assert calls.bound("f").bytes > 300
    assert {"small", "large"} <= calls.bound("f").reaches


RECURSIVE = {
    "itself": KEEP + "int f(int i) { volatile char r[8]; use(r); return i > 0 ? f(i - 1) + r[0] : 0; }\n",
    "through another": KEEP
    + "int g(int i);\nint f(int i) { volatile char r[8]; use(r); return i > 0 ? g(i - 1) + r[0] : 0; }\n"
    + KEEP
    + "int g(int i) { volatile char r[8]; use(r); return f(i - 2) + r[0]; }\n",
    "through a constant": "int f(int i);\ntypedef struct { int (*run)(int); } way_t;\n"
    "extern const way_t ways[2]; const way_t ways[2] = {{f}, {f}};\n"
    "int f(int i) { return i > 0 ? ways[i & 1].run(i - 1) + 1 : 0; }\n",
}


@pytest.mark.parametrize("way", RECURSIVE)
def test_recursion_is_refused(read: Read, way: str) -> None:
    calls = read(RECURSIVE[way], opt="-O0")
    with pytest.raises(ToolError, match=r"there is no most of stack: f calls (g calls )?f\n"):
        calls.bound("f")
    with pytest.raises(ToolError, match="there is no most of stack"):
        calls.bound("f")


def test_what_cannot_be_followed_is_refused(read: Read) -> None:
    calls = read(
        "int f(int n) { volatile char *room = __builtin_alloca((unsigned)n); use(room); return room[1]; }\n"
        "int g(int (*run)(int)) { return run(1) + 1; }\n",
        "f",
        "g",
    )
    with pytest.raises(
        ToolError, match=r"of f cannot be bounded: .*moves the stack pointer by what is known only"
    ):
        calls.bound("f")
    with pytest.raises(ToolError, match=r"of g cannot be bounded: .*nobody knows where its address is from"):
        calls.bound("g")
    with pytest.raises(ToolError, match="has no symbol h"):
        calls.bound("h")


def test_large_frames_and_jumps_by_tables(read: Read) -> None:
    cases = "".join(f"case {i}: use(room + {i}); return room[{7 * i}] * {i + 3};\n" for i in range(12))
    calls = read(
        f"int f(int i) {{ volatile char room[5000]; switch (i) {{ {cases} default: return i; }} }}\n"
    )
    assert 5000 < calls.bound("f").bytes < 5100


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compilers_say_the_same_of_each_function(compiler: str, tmp_path: Path) -> None:
    """`-fstack-usage` of generated code: what it says of functions in C is what is read from their instructions."""
    folder = trainer((1, 6, 6), (Conv(3), Dense(3)), rule="sr8").build.compiled.folder()
    where = ["-dumpdir", f"{tmp_path}/"]
    if compiler == "zig":
        where = ["-Xclang", "-stack-usage-file", "-Xclang", str(tmp_path / "net.su")]
    entries = ("net_init", "net_predict", "net_train_step", "net_guard")
    built = toolchain.build_firmware(
        [folder / "net.c", startup.source(startup.IDLE_MAIN)],
        targets.load("cortex-m4f"),
        compiler=compiler,
        opt="-Os",
        include_dirs=[folder],
        flags=["-fstack-usage", *where],
        keep=entries,
    )
    calls = Calls(built.elf)
    for entry in entries:
        calls.bound(entry)
    said = {}
    for line in (tmp_path / "net.su").read_text(encoding="utf-8").splitlines():
        place, size, kind = line.split("\t")
        assert kind in ("static", "ignoring_inline_asm"), line
        said[re.sub(r".*:", "", place)] = int(size)
    frames = {name: frame.own for name, frame in calls.frames.items() if name in said}
    assert len(frames) > 20
    assert {name: own for name, own in frames.items() if own != said[name] and said[name]} == {}
    lines = built.elf.with_name(POINTERS).read_text(encoding="utf-8").splitlines()
    assert "mcg_rule_sr8 mcg_sr8_step" in lines
