"""The wheel: everything the compiler needs at run time is inside, and it works from there."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/mcugrad"


def build(kind: str, folder: Path) -> Path:
    """Builds a wheel or an sdist and gives its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def inside(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_file_of_the_package(inside: set[str]) -> None:
    source = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in inside if not name.startswith("mcugrad-")}
    assert packed == source


@pytest.mark.parametrize(
    ("pattern", "at_least"),
    [
        ("py.typed", 1),
        ("runtime/include/mcugrad/*.h", 2),
        ("runtime/src/*/*.c", 5),
        ("targets/**/*.toml", 2),
        ("zoo/models/*.onnx", 1),
        ("emulator/c/*", 1),
        ("toolchain/c/*", 1),
    ],
)
def test_wheel_holds_the_data_files(inside: set[str], pattern: str, at_least: int) -> None:
    files = [path for path in PACKAGE.glob(pattern) if path.is_file()]
    assert len(files) >= at_least
    assert {path.relative_to(PACKAGE.parent).as_posix() for path in files} <= inside


def test_wheel_metadata(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folder = f"mcugrad-{project['version']}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        scripts = archive.read(f"{folder}/entry_points.txt").decode()
        licence = archive.read(f"{folder}/licenses/LICENSE").decode()
    assert metadata["Name"] == "mcugrad"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "mcugrad = mcugrad.cli:main" in scripts
    assert "Apache License" in licence
    core = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert not [need for need in core if need.startswith(("torch", "scikit-learn", "scipy", "tensorflow"))]
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "accuracy",
        "board",
        "demo",
        "dev",
        "plan",
        "report",
        "tflite",
        "torch",
    }


def test_same_source_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert build("wheel", tmp_path).read_bytes() == wheel.read_bytes()


def test_wheel_works_without_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site')\n"
        "import mcugrad.zoo, mcugrad.zoo.data\n"
        "path = mcugrad.zoo.model_path('digits_cnn')\n"
        "assert path.is_relative_to(sys.argv[1]), path\n"
        "assert path.stat().st_size > 10_000\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path)], cwd=tmp_path, check=True, timeout=60)


def test_licence_is_in_every_kernel() -> None:
    files = [path for path in (PACKAGE / "runtime").rglob("*") if path.suffix in {".c", ".h", ".s", ".S"}]
    assert files
    without = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if "SPDX-License-Identifier: Apache-2.0" not in path.read_text(encoding="utf-8")[:300]
    ]
    assert without == []
