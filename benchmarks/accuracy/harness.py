"""What the accuracy suites share: runs that are kept once made, methods by name, several processes, bars, tables.

A suite is `python benchmarks/accuracy/<name>.py`. A run is one entry of the results, found again by its configuration:
what is there is not run again, so a suite that was stopped goes on where it was. `--again` repeats.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.errors import McugradError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bars import RESULTS, Bar, Results, judge, markdown, origin, read, write

SEEDS = (0, 1, 2)
TUNING_SEED = 100
"""Learning rates are chosen with this one, which no table shows."""
RULES = ("sr8", "sr10", "sr12", "sr16", "standardized", "qas")
"""Update rules of 8-bit networks."""
TRIED_STANDARDIZED = (0.0002, 0.0005, 0.001, 0.002)
"""Rates of `standardized` that `--tune` tries: its gradients have size 1, so its rates are of another order."""
WHAT = {
    "sr8": "8-bit weights",
    "sr10": "10-bit weights",
    "sr12": "12-bit weights",
    "sr16": "16-bit weights",
    "standardized": "the published rule, batch 48",
    "qas": "Lin et al. 2022, batch 8, momentum 0.9",
    "mixed": "float32 where it trains",
    "float32": "generated C",
    "pytorch": "PyTorch, SGD",
    "offline": "PyTorch, whole network",
}


def method(name: str) -> dict[str, Any]:
    """How `mg.compile` is told to train by a method of `WHAT`."""
    if name in ("mixed", "float32"):
        return {"precision": name}
    if name == "standardized":
        return {"rule": mg.Update("standardized", batch=48)}
    if name == "qas":
        return {"rule": mg.Update("qas", batch=8, momentum=0.9)}
    return {"rule": name}


DEFAULT = 0.0
"""In place of a rate: none is named, and no schedule, so that `fit` looks for one."""


def compiled_with(rate: float) -> dict[str, float]:
    """How `mg.compile` is told of a rate."""
    return {} if rate == DEFAULT else {"rate": rate}


def fitted_with(rate: float, schedule: Any = "cosine") -> dict[str, Any]:
    """How `Trainer.fit` is told of a schedule, where a rate is named."""
    return {} if rate == DEFAULT else {"schedule": schedule}


def selection(policy: str, share: float) -> dict[str, Any]:
    """How `mg.compile` is told which structures take part.

    `full` for all; `topk`, `sampled` and `rooted_from` for a share of them at least, more where the loss is high (as
    published, lambda_max = 1); `fixed` and `rooted` for that share always, sampled or by the root of the errors.
    """
    if policy == "full":
        return {}
    if policy in ("fixed", "rooted"):
        return {"sparse": mg.Sparse(share, policy="rooted" if policy == "rooted" else "sampled")}
    return {"sparse": mg.Sparse(share, 1.0, policy="rooted" if policy == "rooted_from" else policy)}


def loaded(source: bytes) -> mg.Model:
    """A network from the bytes of an ONNX file, loaded as a user's file is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(source)
        return mg.load(path)


def fit(
    trainer: mg.Trainer, x: Any, y: Any, *, epochs: int, watch: Callable[[mg.Epoch], None], **options: Any
) -> int:
    """`Trainer.fit`; the number of epochs done, fewer if training diverged. `watch` is called after each."""
    done = 0

    def after(epoch: mg.Epoch) -> None:
        nonlocal done
        done = epoch.epoch
        watch(epoch)

    try:
        trainer.fit(x, y, epochs=epochs, on_epoch=after, **options)
    except mg.UsageError as error:
        if "training diverged" not in error.what:
            raise
    return done


@dataclass(frozen=True)
class Suite:
    """One of the tables.

    Attributes:
        name: of the script and its results.
        about: for `--help`.
        run: dataclass whose fields are a configuration.
        matrix: the runs of the tables; True adds those that only `--all` makes.
        perform: makes a run; what it found, as JSON has it.
        needs: what must have been prepared for a run, None for nothing.
        prepare: does so; called once for each.
        group: runs of one group are made by one process in a row, so that it can keep what they share.
        tables: marker in docs/results.md and what makes its table.
        tuning: the runs that learning rates are chosen by, which the table `<name>-rates` shows; none where there is
            nothing to choose.
        bars: what the results must reach; none where they explain those of another suite.
        plots: file name in docs/images and what draws it there.
    """

    name: str
    about: str
    run: type
    matrix: Callable[[bool], Sequence[Any]]
    perform: Callable[[Any], dict[str, Any]]
    tables: dict[str, Callable[[Results], str]]
    tuning: Callable[[], Sequence[Any]] = lambda: ()
    bars: Callable[[Results], Sequence[Bar]] = lambda results: ()
    plots: dict[str, Callable[[Results, Path], None]] = field(default_factory=dict)
    needs: Callable[[Any], Hashable | None] = lambda run: None
    prepare: Callable[[Any], None] = lambda need: None
    group: Callable[[Any], Hashable] = lambda run: run

    @property
    def results(self) -> Path:
        """Where its results are committed."""
        return RESULTS / f"accuracy_{self.name}.json"


def main(suite: Suite) -> int:
    """The command line of a suite; its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python benchmarks/accuracy/{suite.name}.py", description=suite.about
    )
    parser.add_argument(
        "--json", type=Path, default=suite.results, metavar="FILE", help="where results are kept"
    )
    parser.add_argument("--check", action="store_true", help="judge the results in FILE, run nothing")
    parser.add_argument("--list", action="store_true", help="say what would be run, run nothing")
    parser.add_argument(
        "--again", action="store_true", help="forget what is there of these runs, make them anew"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes")
    parser.add_argument(
        "--all", action="store_true", help="also the runs that the time of one hour leaves out"
    )
    parser.add_argument("--tune", action="store_true", help=f"runs over learning rates, seed {TUNING_SEED}")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        type=_condition(suite.run),
        metavar="FIELD=VALUE,...",
        help=f"a part of the runs; fields are {', '.join(f.name for f in fields(suite.run))}",
    )
    options = parser.parse_args()
    results = read(options.json)
    if not options.check:
        chosen = suite.tuning() if options.tune else suite.matrix(options.all)
        wanted = [run for run in chosen if all(str(getattr(run, f)) in values for f, values in options.only)]
        if not wanted:
            none = (
                "this suite has nothing to tune" if options.tune and not chosen else "no run has these values"
            )
            parser.error(f"{none}; --list shows all runs")
        if options.again and not options.list:
            results = _without(results, wanted)
            write(options.json, results)
        have = {key(run) for run in results.get("runs", [])}
        missing = [run for run in wanted if key(run) not in have]
        print(f"{len(wanted)} runs, {len(wanted) - len(missing)} of them done", flush=True)
        if options.list:
            if hasattr(signal, "SIGPIPE"):  # `--list | head` is no error
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            for run in missing:
                print("  ", describe(run))
            return 0
        refused = _perform(suite, missing, options)
        results = read(options.json)
        if options.tune:
            print(f"\n{suite.tables[f'{suite.name}-rates'](results)}")
            return 1 if refused else 0
    elif not results:
        print(f"error: there are no results in {options.json}", file=sys.stderr)
        return 1
    for table in suite.tables.values():
        print(f"\n{table(results)}")
    return judge(suite.bars(results))


def _condition(run: type) -> Callable[[str], tuple[str, list[str]]]:
    names = [field.name for field in fields(run)]

    def parse(text: str) -> tuple[str, list[str]]:
        name, sign, values = text.partition("=")
        if not sign or name not in names:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not FIELD=VALUE with a field of {', '.join(names)}"
            )
        return name, values.split(",")

    return parse


def key(run: Any) -> tuple[tuple[str, Any], ...]:
    """What a run is found again by: its configuration. Of a dataclass, or an entry of the results."""
    return tuple(sorted((asdict(run) if is_dataclass(run) else run["run"]).items()))


def describe(run: Any) -> str:
    """One line."""
    return "  ".join(f"{name} {value}" for name, value in asdict(run).items())


def _perform(suite: Suite, missing: Sequence[Any], options: argparse.Namespace) -> int:
    """Makes runs and keeps each as soon as it is there. The number of those that were refused."""
    if not missing:
        return 0
    # Threads of libraries would only fight with the other processes.
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    refused = 0
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        needs = list(dict.fromkeys(need for run in missing if (need := suite.needs(run)) is not None))
        unmet: dict[Hashable | None, str] = {}
        for need, why in zip(needs, pool.map(partial(_attempt, suite.prepare), needs), strict=True):
            if isinstance(why, str):
                unmet[need] = why
                print(f"refused: {need}\n{why}", file=sys.stderr, flush=True)
            else:
                print(f"ready: {need}", flush=True)
        groups: dict[Hashable, list[Any]] = {}
        for run in missing:
            if suite.needs(run) in unmet:
                refused += 1
            else:
                groups.setdefault(suite.group(run), []).append(run)
        started = {pool.submit(_perform_group, suite.perform, runs): runs for runs in groups.values()}
        count = 0
        for done in as_completed(started):
            for run, found in zip(started[done], done.result(), strict=True):
                count += 1
                if isinstance(found, str):
                    refused += 1
                    print(f"refused: {describe(run)}\n{found}", file=sys.stderr, flush=True)
                    continue
                _keep(options.json, {"run": asdict(run), **found})
                print(f"{count}/{len(missing)}  {describe(run)}: {_short(found)}", flush=True)
    if refused:
        print(f"{refused} of {len(missing)} runs were refused", file=sys.stderr)
    return refused


def _perform_group(
    perform: Callable[[Any], dict[str, Any]], runs: Sequence[Any]
) -> list[dict[str, Any] | str]:
    """What each of the runs found, or why it was refused."""
    found: list[dict[str, Any] | str] = []
    for run in runs:
        start = time.perf_counter()
        result = _attempt(perform, run)
        if isinstance(result, str):
            found.append(result)
        else:
            found.append({**result, "seconds": round(time.perf_counter() - start, 1)})
    return found


def _attempt(function: Callable[[Any], Any], argument: Any) -> Any:
    """What a function gives, or a text that says why it refuses."""
    try:
        return function(argument)
    except McugradError as error:
        return str(error)
    except ImportError as error:
        return f"{error.name} is not installed\n  try    pip install -e '.[accuracy]'"


def _without(results: Results, runs: Sequence[Any]) -> Results:
    """Results less those of some runs."""
    gone = {key(run) for run in runs}
    return results | {"runs": [run for run in results.get("runs", []) if key(run) not in gone]}


def _short(found: dict[str, Any]) -> str:
    value = found["accuracy"]
    last = value[-1] if isinstance(value, list) else value
    return f"{100 * last:.2f} % in {found['seconds']:.0f} s{'  DIVERGED' if found.get('diverged') else ''}"


def _keep(path: Path, entry: dict[str, Any]) -> None:
    """Adds a run to the results as they are in the file now, so that entries can be deleted meanwhile."""
    where = origin()
    results = read(path)
    runs = [run for run in results.get("runs", []) if key(run) != key(entry)]
    runs.append({**entry, "commit": where["commit"], "machine": where["machine"]})
    runs.sort(key=lambda run: str(key(run)))
    write(path, {"command": where["command"], "runs": runs})


# -- reading results -----------------------------------------------------------------------------------------------


def select(results: Results, seeds: Sequence[int] = SEEDS, **wanted: Any) -> list[dict[str, Any]]:
    """Entries of these seeds whose configuration has these values, by seed."""
    found = [
        entry
        for entry in results.get("runs", [])
        if entry["run"]["seed"] in seeds and all(entry["run"].get(k) == v for k, v in wanted.items())
    ]
    return sorted(found, key=lambda entry: entry["run"]["seed"])


def final(entry: dict[str, Any], name: str = "accuracy") -> float:
    """Test accuracy in percent after the last epoch."""
    value = entry[name]
    return 100 * (value[-1] if isinstance(value, list) else value)


def mean(values: Sequence[float]) -> float | None:
    """None if there are none."""
    return float(np.mean(values)) if values else None


def error(values: Sequence[float]) -> float:
    """Standard error of their mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def spread(values: Sequence[float]) -> str:
    """Mean and largest minus smallest, as a table has it; - if there is nothing."""
    if not values:
        return "-"
    return f"{np.mean(values):.2f}" + (f" ± {(max(values) - min(values)) / 2:.2f}" if len(values) > 1 else "")


def behind(reference: Sequence[float], values: Sequence[float]) -> float | None:
    """By how many points the mean of values is lower than that of the reference."""
    return float(np.mean(reference) - np.mean(values)) if len(reference) and len(values) else None


def rates_table(results: Results, runs: Sequence[Any], by: str = "accuracy") -> str:
    """What each learning rate gave for each configuration, %, the highest bold; what all have in common is left out.

    Where several seeds tried it, their mean.
    """
    entries = {key(entry): entry for entry in results.get("runs", [])}
    made = [(asdict(run), final(entries[key(run)], by)) for run in runs if key(run) in entries]
    fields = [f for f in made[0][0] if f not in ("rate", "seed")] if made else []
    told = [f for f in fields if len({run[f] for run, _ in made}) > 1]
    found_by: dict[tuple[str, ...], dict[float, list[float]]] = {}
    for run, accuracy in made:
        tried = found_by.setdefault(tuple(_told(run[f]) for f in told), {})
        tried.setdefault(run["rate"], []).append(accuracy)
    groups = {
        name: {rate: float(np.mean(each)) for rate, each in tried.items()} for name, tried in found_by.items()
    }
    rates = sorted({rate for tried in groups.values() for rate in tried})
    rows = []
    for name, means in groups.items():
        best = max(means.values())
        found = (("-" if r not in means else f"{means[r]:.2f}", means.get(r) == best) for r in rates)
        rows.append((", ".join(name), *(f"**{text}**" if bold else text for text, bold in found)))
    return markdown((", ".join(told), *(f"{rate:g}" for rate in rates)), rows)


def _told(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def svg(path: Path, draw: Callable[[Any], None], *, columns: int = 1, height: float = 3.6) -> None:
    """A figure with axes side by side, the same bytes each time."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update({"svg.hashsalt": "mcugrad", "font.family": "sans-serif", "font.size": 9})
    figure, axes = plt.subplots(1, columns, figsize=(7 if columns < 3 else 10, height), squeeze=False)
    for each in axes[0]:
        each.spines[["top", "right"]].set_visible(False)
        each.grid(axis="y", alpha=0.3)
    draw(axes[0] if columns > 1 else axes[0][0])
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


COLOURS = {
    "float32": "#59636e",
    "pytorch": "#9aa4af",
    "mixed": "#7a5195",
    "sr16": "#0a7d68",
    "sr12": "#1f6fb2",
    "sr10": "#c2571a",
    "sr8": "#8a6d1f",
    "standardized": "#b3261e",
    "qas": "#d46ab0",
}
