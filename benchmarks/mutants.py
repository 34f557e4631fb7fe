"""Are the tests awake? Breaks the arithmetic, the planner, the guard, the schedules and verify, and runs their tests.

Each mutant is one small change of one file (`mutations.py`): a comparison, a sum, a constant, an `and`, a statement
that is gone. The tests named for the file run against it, in a process of their own, until one fails: the mutant is
killed. One that survives is a hole in the tests, or changes nothing that could be seen; those are listed in
`equivalent.toml`, with the reason.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import re
import resource
import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bars import ROOT, Bar, Results, arguments, main, markdown, origin, read, write
from mutations import Mutation, of_c, of_python

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
LIMIT = 60
"""Seconds of its own time after which a mutant's tests count as failed: it runs for ever. What it takes to build the
kernels and twins, which happens when the tests run on the file as it is, does not count."""


@dataclass(frozen=True)
class Subject:
    """A file to break.

    Attributes:
        path: within `src/mcugrad`.
        tests: files and options for pytest.
        functions: pattern of the functions to break; all of a file in Python if empty.
    """

    path: str
    tests: tuple[str, ...]
    functions: str = ""

    def mutations(self, text: str) -> Iterator[Mutation]:
        """All changes, in the order of the text."""
        if not self.path.endswith(".py"):
            return of_c(text, self.functions)
        return (m for m in of_python(text) if re.search(self.functions, m.name.split(":")[0]))


def kernel(name: str) -> str:
    """The test that compares a kernel with its reference."""
    return f"tests/kernels/test_kernels.py::test_c_equals_reference[{name}]"


QUICK = ("-m", "not mcu and not slow")
GUARD = ("tests/run/test_replay_and_guard.py", *QUICK)
IN_C = (kernel("mcg_guard_error"), kernel("mcg_guard"), "tests/run/test_life_misuse.py", *QUICK)
SCHEDULES = ("tests/run/test_schedules.py", kernel("mcg_begin_step"), *QUICK)
PASSES = "tests/passes/program/test_program_passes.py"
PLANS = ("tests/plan/test_plan.py", "tests/plan/test_sharing.py", *QUICK, "-k", "not rubbish")
SUBJECTS = (
    Subject("verification.py", ("tests/test_verify.py", "tests/emit/test_tiny.py")),
    Subject(
        "plan/plan.py", PLANS, "live_of|end_of|peak"
    ),  # how well it searches is what benchmarks/memory.py shows
    Subject("plan/lifetimes.py", PLANS),
    Subject("plan/sharing.py", PLANS),
    Subject("plan/verify.py", PLANS),
    Subject("passes/program/fold_constants.py", (PASSES,)),
    Subject("passes/program/drop_unused.py", (PASSES,)),
    Subject("passes/program/split_frozen.py", (PASSES,)),
    Subject("training/guard.py", GUARD),
    Subject("ops/life/guard.py", (*IN_C[:2], *GUARD), "guard|_error"),
    Subject("runtime/src/life/mcg_guard.c", IN_C, "."),
    Subject("runtime/src/life/mcg_guard_error.c", IN_C, "."),
    Subject("training/schedules.py", SCHEDULES),
    Subject("program/reserve.py", ("tests/program/test_reserve.py", *QUICK)),
    Subject("fit_check.py", ("tests/test_fit.py", *QUICK), "check_fit|ways"),
    Subject("training/replay.py", GUARD),
    Subject("runtime/src/life/mcg_begin_step.c", SCHEDULES, "."),
    Subject("arithmetic.py", ("tests/test_arithmetic.py", *QUICK)),
)
UNTRIED = {
    "plan/sharing.py",
    "ops/life/guard.py",
    "runtime/src/life/mcg_guard.c",
    "runtime/src/life/mcg_guard_error.c",
    "program/reserve.py",
}
"""Files that no run has broken yet where they are now: no bar is about them until one has. It only gets shorter."""


def run(options: argparse.Namespace) -> None:
    """Breaks and tests, file by file; what is known of other files is kept."""
    chosen = [s for s in SUBJECTS if not options.only or s.path in options.only]
    results, source = options.json.resolve(), origin()
    known = read(results).get("files", {})
    with tempfile.TemporaryDirectory() as folder:
        for name in ("src", "tests"):  # so that a long run is not changed by whoever goes on working
            shutil.copytree(ROOT / name, Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        os.chdir(folder)
        copy = Path(folder, "src")
        compileall.compile_dir(copy, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        _prepare(copy, Path(folder, "cache"))
        for subject in chosen:
            alike = equivalent().get(subject.path, {})
            again = {*known.get(subject.path, {}).get("survivors", ()), *alike} if options.again else None
            found = _judged(subject, copy / "mcugrad" / subject.path, again)
            known[subject.path] = {**source, **found}
            files = {s.path: known[s.path] for s in SUBJECTS if s.path in known}
            write(results, {"files": files})


def _judged(subject: Subject, path: Path, again: set[str] | None) -> Results:
    """What becomes of a file's mutants; of those named only, if any are."""
    text = path.read_text(encoding="utf-8")
    if _outcome(subject.tests) != "survived":
        raise SystemExit(
            f"error: the tests of {subject.path} fail as it is: pytest {' '.join(subject.tests)}"
        )
    survivors, count, endless = [], 0, 0
    for mutation in subject.mutations(text):
        count += 1
        if again is not None and mutation.name not in again:
            continue
        path.write_text(mutation.text, encoding="utf-8")
        outcome = _outcome(subject.tests)
        endless += outcome == "endless"
        if outcome == "survived":
            survivors.append(mutation.name)
            print(f"{subject.path}  {mutation.name}", flush=True)
    path.write_text(text, encoding="utf-8")
    return {"tests": list(subject.tests), "mutants": count, "endless": endless, "survivors": survivors}


def _prepare(source: Path, cache: Path) -> None:
    """What all mutants share: where they are imported from, and what is imported already."""
    os.environ.update(
        {"PYTHONPATH": str(source), "MCUGRAD_CACHE": str(cache), "HYPOTHESIS_PROFILE": "mutants"}
    )
    sys.path.insert(0, str(source))
    sys.dont_write_bytecode = True
    import hypothesis
    import numpy
    import onnx
    import onnxruntime
    import pytest

    del numpy, onnx, onnxruntime, pytest
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # a failure needs not be made small
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        deadline=None,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def _outcome(tests: Sequence[str]) -> str:
    """`survived`, `killed` or `endless`, by the tests in a process of their own."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _test(tests)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "endless" if os.WTERMSIG(status) == signal.SIGXCPU else "killed"
    return "survived" if os.WEXITSTATUS(status) == 0 else "killed"


def _test(tests: Sequence[str]) -> None:
    """Ends the process with pytest's exit code."""
    import pytest

    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 10))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:faulthandler")
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def equivalent() -> dict[str, dict[str, str]]:
    """Mutants that no test can tell from the original, with the reason, by file and name."""
    with EQUIVALENT.open("rb") as file:
        return tomllib.load(file)


def table(results: Results) -> str:
    """Mutants by file, and the survivors."""
    known, rows, lines = equivalent(), [], []
    for path, found in results["files"].items():
        alike = known.get(path, {})
        new = [name for name in found["survivors"] if name not in alike]
        lines += [f"{path}  {name}" for name in new]
        killed = found["mutants"] - len(found["survivors"])
        rows.append((f"`{path}`", found["mutants"], killed, len(found["survivors"]) - len(new), len(new)))
    heads = ("file", "mutants", "killed", "equivalent", "survived")
    return "\n".join([markdown(heads, rows), *(["", "survivors:", *lines] if lines else [])])


def bars(results: Results) -> list[Bar]:
    """Nobody survives but by changing nothing, and the list of those is true."""
    known, found = equivalent(), []
    for subject in SUBJECTS:
        if subject.path in UNTRIED:
            continue
        survivors = results["files"].get(subject.path, {}).get("survivors")
        alike = known.get(subject.path, {})
        left = None if survivors is None else len([name for name in survivors if name not in alike])
        gone = len([name for name in alike if name not in (survivors or ())])
        found.append(Bar(f"{subject.path}: mutants that no test kills", left, 0, at_least=False))
        if alike:
            found.append(
                Bar(f"{subject.path}: listed as equivalent, but killed or gone", gone, 0, at_least=False)
            )
    return found


def _options() -> argparse.Namespace:
    parser = arguments("mutants", __doc__)
    parser.add_argument(
        "--only", action="append", metavar="FILE", help="this file of src/mcugrad; several times"
    )
    parser.add_argument(
        "--again", action="store_true", help="only those that survived last time or are listed"
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main(_options(), run, table, bars))
