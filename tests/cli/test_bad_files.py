"""Bad files on the command line: whatever is handed over, there is a message and exit code 2, never a traceback."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from command_line import Cli, Result, save
from mcugrad.toolchain import build, cache
from mcugrad.zoo import model_path
from networks import Dense, write_onnx
from thoroughness import LONG

TRAINING = ("compile", "train", "run", "report")


def small(path: Path) -> Path:
    """A network for these images that takes little time to compile."""
    return write_onnx(path, (1, 8, 8), (Dense(10),))


def model() -> bytes:
    return model_path("digits_cnn").read_bytes()


def images(path: Path) -> str:
    rng = np.random.default_rng(0)
    return save(path, rng.integers(0, 17, (20, 8, 8)).astype(np.uint8), np.arange(20) % 10)


def member(descr: str, shape: object, content: bytes = b"") -> bytes:
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def with_member(path: Path, content: bytes, name: str = "x_train.npy") -> None:
    np.savez(path, y_train=np.arange(20) % 10)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content)


def encrypted(path: Path) -> None:
    images(path)
    parts = path.read_bytes().replace(b"\0\0\0\0\0\0\x21\0", b"\x01\0\0\0\0\0\x21\0")
    path.write_bytes(parts)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x08\x08")
        file.truncate(1 << 40)


def external(place: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        net = onnx.load_model_from_string(model())
        tensor = net.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)
        path.write_bytes(net.SerializeToString())

    return write


def nothing(path: Path) -> None:
    """No file at all."""


ANY: dict[str, Callable[[Path], object]] = {
    "missing": nothing,
    "a folder": Path.mkdir,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(1000)),
    "text": lambda path: path.write_text("hello, world\n" * 50),
    "brackets": lambda path: path.write_text("[" * 100_000),
    "a terabyte": huge,
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    **({"a pipe": os.mkfifo} if hasattr(os, "mkfifo") else {}),
}
MODELS = ANY | {
    "half": lambda path: path.write_bytes(model()[:2000]),
    "absolute data": external("/etc/passwd"),
    "data above": external("../../etc/passwd"),
    "data missing": external("none.bin"),
    "data is the model": external("bad"),
}
DATA = ANY | {
    "half": lambda path: (images(path), path.write_bytes(path.read_bytes()[:700])),
    "encrypted": encrypted,
    "objects": lambda path: save(path, np.array([{}] * 20, dtype=object), np.arange(20)),
    "structured": lambda path: save(path, np.zeros((20, 8, 8), [("a", "u1")]), np.arange(20) % 10),
    "dates": lambda path: save(path, np.zeros((20, 8, 8), "M8[s]"), np.arange(20) % 10),
    "strings": lambda path: save(path, np.full((20, 8, 8), "a"), np.arange(20) % 10),
    "complex labels": lambda path: save(path, np.zeros((20, 8, 8)), np.arange(20) * 1j),
    "an exabyte": lambda path: with_member(path, member("|u1", (1 << 60,))),
    "nothing, often": lambda path: with_member(path, member("|V0", (1 << 60,))),
    "a negative shape": lambda path: with_member(path, member("|u1", (-20, -8, 8), bytes(1280))),
    "a shape of texts": lambda path: with_member(path, member("|u1", ("20", 8, 8))),
    "no header": lambda path: with_member(path, b"\x93NUMPY\x09\x09"),
    "a member that is none": lambda path: with_member(path, b"x" * 99),
    "another name": lambda path: with_member(path, b"x" * 99, "x_train"),
}
BOARDS = ANY | {
    "infinite": lambda path: path.write_text("core = inf\nflash = nan\nram = -inf\n"),
    "deep": lambda path: path.write_text("a" + ".a" * 20_000 + " = 1\n"),
}


def make(kind: Callable[[Path], object], path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    try:
        kind(path)
    except (OSError, NotImplementedError) as error:
        pytest.skip(f"this system has none: {error}")
    return path


def demand_refused(result: Result, where: str) -> None:
    """A message on stderr, nothing on stdout, exit code 2."""
    assert result.code == 2, result.err
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert where in result.err
    assert len(result.err) < 1500


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("kind", MODELS)
def test_models(cli: Cli, tmp_path: Path, kind: str, suffix: str) -> None:
    path = make(MODELS[kind], tmp_path / f"in/bad{suffix}")
    demand_refused(cli("inspect", str(path)), "bad")
    result = cli("inspect", str(path), "--json")
    assert (result.code, result.err) == (2, "")
    assert result.facts["exit_code"] == 2


@pytest.mark.parametrize("kind", DATA)
def test_data(cli: Cli, tmp_path: Path, kind: str) -> None:
    path = make(DATA[kind], tmp_path / "in/bad.npz")
    good, net = images(tmp_path / "in/good.npz"), str(small(tmp_path / "in/net.onnx"))
    # All verbs read data in one place, so some are enough for most kinds; a state has a reader of its own.
    for verb in TRAINING if kind in ANY else ("train",):
        demand_refused(cli(verb, net, "--data", str(path)), "bad.npz")
    demand_refused(cli("train", net, "--data", good, "--old", str(path)), "bad.npz")
    demand_refused(cli("train", net, "--data", good, "--resume", str(path)), "bad.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


@pytest.mark.parametrize("kind", BOARDS)
def test_boards(cli: Cli, tmp_path: Path, kind: str) -> None:
    path = make(BOARDS[kind], tmp_path / "in/bad.toml")
    demand_refused(cli("inspect", "digits_cnn", "--target", str(path)), "bad.toml")
    demand_refused(cli("compile", "digits_cnn", "--data", "digits", "--target", str(path)), "bad.toml")


@pytest.mark.parametrize("has_folder", [False, True])
@pytest.mark.parametrize(
    "name", ["x" * 300, "x" * 300 + ".onnx", "/dev/zero", "/dev/null", "a\0b", "a\0b.onnx"]
)
def test_names_that_are_none(
    cli: Cli, name: str, has_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCUGRAD_DATA", str(tmp_path) if has_folder else "")
    assert cli("inspect", name).code == 2
    assert cli("compile", "digits_cnn", "--data", name).code == 2
    assert cli("compile", "digits_cnn", "--data", f"{name}.npz").code == 2
    assert cli("inspect", "digits_cnn", "--target", f"{name}.toml").code == 2


# --- names in every language, and locales without them ------------------------------------------------------

PLAIN = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


SEVERAL = """
import sys
from mcugrad.cli import main
ends = [i for i, each in enumerate(sys.argv) if each == ";"]
print([main(sys.argv[first + 1 : end]) for first, end in zip([0, *ends], ends)], file=sys.stderr)
"""
"""Calls one after the other, as starting Python takes longer than each; in the end says their exit codes."""


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
@pytest.mark.parametrize("locale", [{"LC_ALL": "C.UTF-8"}, PLAIN] if LONG else [PLAIN])
def test_any_name_in_any_locale(tmp_path: Path, cli: Cli, locale: dict[str, str]) -> None:
    """Of networks, of folders and of the cache: what is written and said is what this process writes and says."""
    name = "größe µ".encode() + b"\xff.onnx"
    place = os.fsdecode(bytes(tmp_path) + b"/cache" + name)
    small(tmp_path / "net.onnx").rename(os.fsdecode(bytes(tmp_path) + b"/" + name))
    images(tmp_path / "d.npz")
    calls = (
        ["compile", name, "--data", "d.npz", "--no-measure", "--out", b"a" + name, ";"],
        ["train", name, "--data", "d.npz", "--epochs", "1", "--rate", "0.01", ";"],
        ["inspect", b"no" + name, ";"],
    )
    command = [sys.executable, "-c", SEVERAL, *(word for call in calls for word in call)]
    environment = {**os.environ, **locale, "MCUGRAD_CACHE": place}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    *said, codes = done.stderr.decode().splitlines()
    assert codes == "[0, 0, 2]"
    assert said[:2] == [
        "error: the model file does not exist",
        "  where  nogröße µ\N{REPLACEMENT CHARACTER}.onnx",
    ]
    assert list(Path(place).rglob("model.so"))
    here = cli(
        "compile", os.fsdecode(name), "--data", "d.npz", "--no-measure", "--out", os.fsdecode(b"b" + name)
    )
    assert (here.code, here.err) == (0, "")
    for printed in here.out.replace("wrote b", "wrote a").splitlines():
        assert printed in done.stdout.decode(errors="replace")
    written = [
        written_files(Path(os.fsdecode(bytes(tmp_path) + b"/" + each + name))) for each in (b"a", b"b")
    ]
    assert written[0] == written[1]
    assert len(written[0]) > 4


def written_files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such terminals")
def test_a_terminal_without_the_letters(tmp_path: Path) -> None:
    """On a terminal tables are drawn, and one that knows no ± gets something else."""
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, **PLAIN, "TERM": "xterm"}
    code = "from mcugrad.cli import main; from mcugrad.commands.output import Output; main(['--version']);"
    code += "out = Output(False); assert out.pretty; out.table('', ['a'], [['155 pJ \\xb1 40 %']])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, stdout=slave, stderr=subprocess.PIPE, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    said = os.read(master, 10_000)
    os.close(slave)
    os.close(master)
    assert b"155 pJ ? 40 %" in said


# --- places that cannot take what is written ----------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device")
def test_a_full_disk_for_what_is_saved(cli: Cli, tmp_path: Path) -> None:
    images(tmp_path / "d.npz")
    result = cli("train", "digits_cnn", "--data", "d.npz", "--epochs", "1", "--save", "/dev/full")
    assert result.code == 2
    assert "No space left on device\n  where  /dev/full" in result.err


def test_a_full_disk_while_linking(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's own message, or that of the cache: a sentence and exit code 2."""
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(cache.root() / "zig"))
    monkeypatch.setenv("MCUGRAD_CACHE", str(tmp_path / "cache"))
    images(tmp_path / "d.npz")
    small(tmp_path / "net.onnx")
    arguments = ("train", "net.onnx", "--data", "d.npz", "--epochs", "1")

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_seal", full)
        result = cli(*arguments)
        assert result.code == 2
        assert result.err.startswith("error: the cache cannot be written: No space left on device\n  where  ")
    real = build._run

    def killed(command: Sequence[str], *, doing: str) -> str:
        if "linking" in doing:
            command = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"]
        return real(command, doing=doing)

    with monkeypatch.context() as patch:
        patch.setattr(build, "_run", killed)
        result = cli(*arguments)
        assert result.code == 2
        assert "error: linking with zig failed:" in result.err
    assert cli(*arguments).code == 0
    assert not list((tmp_path / "cache").rglob(".new-*"))


def test_a_twin_that_cannot_be_loaded(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a folder that is mounted without the right to execute."""
    import cffi

    def refuse(*_: object) -> None:
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(cffi.FFI, "dlopen", refuse)
    images(tmp_path / "d.npz")
    small(tmp_path / "net.onnx")
    result = cli("train", "net.onnx", "--data", "d.npz", "--epochs", "1")
    assert result.code == 2
    assert result.err.startswith("error: the twin cannot be loaded: failed to map segment")
    assert "MCUGRAD_CACHE" in result.err
