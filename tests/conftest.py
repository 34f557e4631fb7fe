"""What every test can use: the `torch`, `golden` and `cli` fixtures, marks, hypothesis profiles."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

import torch_exports
from builds import built_with
from command_line import Cli, Result
from costs import ALONE, Costs
from mcugrad import progress
from mcugrad.run.emulated import EmulatedDevice
from mcugrad.run.host import HostTwin

GOLDEN = Path(__file__).parent / "golden"

collect_ignore = ["recipe"]  # what test_recipe.py adds to a copy of the repository

# "ci" (the default) draws the same examples in every run, so a red test is red for everybody. "search" looks
# for new ones: HYPOTHESIS_PROFILE=search make test
_quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=_quiet
)
settings.register_profile("search", max_examples=1000, deadline=None, suppress_health_check=_quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden/ anew instead of comparing; read the diff before you commit it",
    )
    parser.addoption(
        "--costs", metavar="FILE", help="write the processor time of each test, show that of files"
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--costs")
    if path is not None:
        worker = os.environ.get("PYTEST_XDIST_WORKER", ALONE)
        config.pluginmanager.register(Costs(config.rootpath / path, worker))


def pytest_report_header() -> list[str]:
    if importlib.util.find_spec("torch") is None:
        return [
            "PyTorch is not installed: tests that compare with it are skipped (pip install torch runs them)"
        ]
    return []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked `torch` needs no fixture to be skipped."""
    if importlib.util.find_spec("torch") is None:
        skip = pytest.mark.skip(reason="PyTorch is not installed")
        for item in items:
            if item.get_closest_marker("torch") is not None:
                item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk() -> Iterator[None]:
    """What tests build need not outlast a power cut; test_cache.py takes this back."""
    from mcugrad.toolchain import cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_sync", lambda path: None)
        yield


@pytest.fixture(autouse=True)
def each_test_may_show_progress() -> Iterator[None]:
    """A command with --json turns progress off for its process, which here goes on to other tests."""
    yield
    progress.show(True)


@pytest.fixture(autouse=True, scope="session")
def what_is_between_stages_is_checked() -> Iterator[None]:
    """Every graph and every program between two stages obeys the rules, whatever a test compiles."""
    from mcugrad.passes.stage import checked

    with checked():
        yield


@pytest.fixture(autouse=True, scope="session")
def builds_take_little_time() -> Iterator[None]:
    """Twins and firmware are built without optimisation where a test does not say otherwise: a fifth of the time.

    Some thousand steps of a small network make up for that: what takes more has `fast_twins`. That every level has the
    same bytes is shown by test_bit_exact.py for networks, by tests/kernels for every kernel, by test_flags.py for what
    build systems pass. What compares counts with committed ones takes `optimised`.
    """
    with built_with("-O0"):
        yield


@pytest.fixture
def optimised() -> Iterator[None]:
    """Firmware as users get it, for what counts instructions, or emulates so many that compiling takes less."""
    with built_with("-O3", EmulatedDevice):
        yield


@pytest.fixture
def fast_twins() -> Iterator[None]:
    """Twins as users get them, ten times as fast: for what trains more steps than compiling takes, as a search does."""
    with built_with("-O3", HostTwin):
        yield


@pytest.fixture(scope="session")
def torch() -> Iterator[ModuleType]:
    """PyTorch on one thread, so that parallel tests do not fight; skips the test where it is absent."""
    module: ModuleType = pytest.importorskip("torch", reason="PyTorch is not installed")
    module.set_num_threads(1)
    with torch_exports.read_once():
        yield module


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with tests/golden/<name>, or writes that file under --update-golden."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        if not path.is_file():
            pytest.fail(
                f"tests/golden/{name} does not exist; pytest --update-golden writes it", pytrace=False
            )
        expected = path.read_bytes().decode()
        if text != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm="", n=2
            )
            diff = [*lines, "if this is meant: pytest --update-golden, and read the diff"]
            pytest.fail("\n".join(diff), pytrace=False)

    return check


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Runs the command line in a folder of its own and gives exit code, stdout and stderr."""
    from mcugrad.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        code = main(arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return Result(code, out, err)

    return call
