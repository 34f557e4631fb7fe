"""What kernels cost on each core: factors fitted to instructions that were counted, and how far off they are.

A kernel says how often each part of its work is done (`Price.work`); this counts calls of many shapes under emulation,
built by zig -O3, finds the instructions of each part by least squares of the relative error, and writes them to
src/mcugrad/program/prices.json. Other shapes than those it was fitted to tell how good it is: 5 % off at most.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from bars import ROOT, WORSE, Bar, Results, arguments, main, markdown, origin, read, write
from kernel_calls import MORE, SHAPES, TOGETHER, Shape, calls, struct

from mcugrad import targets, toolchain
from mcugrad.emulator.kernels import KernelsOnCore
from mcugrad.program import Kernel
from mcugrad.program.kernel import OnCore, prices

PRICES = ROOT / "src/mcugrad/program/prices.json"
MOST = 5.0
"""Percent that a price may be off."""


Case = tuple[Shape, int, int]
"""A shape, bytes of scratch, and the instructions of such a call."""


def counted(on: KernelsOnCore, kernel: Kernel, shapes: list[Shape], *, in_turn: bool = False) -> list[Case]:
    """Every shape with each size of scratch, or with the most and, every second one, with another in turn."""
    found = []
    for i, shape in enumerate(shapes):
        every = [*calls(kernel.name, shape)]
        if in_turn:
            *others, most = every
            every = [*(others[i // 2 % len(others) :][:1] if others and i % 2 == 0 else ()), most]
        found += [(shape, room, on.run(kernel, given)) for room, given in every]
    return found


def has_own(kernel: Kernel, core: str) -> bool:
    """Whether the body that a core takes has work of its own."""
    assert kernel.price is not None
    return kernel.price.armv6m is not None and targets.load(core).core.architecture == "armv6-m"


def fit_to(kernel: Kernel, core: str) -> list[Shape]:
    """Shapes that the price on a core is fitted to."""
    return SHAPES[kernel][0] + (MORE.get(kernel, []) if has_own(kernel, core) else [])


def fitted(kernel: Kernel, core: str, cases: list[Case]) -> OnCore:
    """Instructions of each part, to a hundredth; whether scratch makes a difference."""
    assert kernel.price is not None
    body = "armv6m" if has_own(kernel, core) else ""
    without = {shape: count for shape, room, count in cases if not room}
    scratch = any(count != without[shape] for shape, _, count in cases)
    work = [
        np.asarray(kernel.price.of(body)(struct(kernel.name, shape), room if scratch else None)) / count
        for shape, room, count in cases
    ]
    found, *_ = np.linalg.lstsq(np.asarray(work), np.ones(len(cases)), rcond=None)
    return OnCore(scratch, tuple(round(float(each), 2) for each in found), body)


def furthest(kernel: Kernel, core: str, cases: list[Case]) -> float:
    """By how many percent the price of a case is off at most."""
    off = (
        kernel.instructions(core, struct(kernel.name, shape), room) / count - 1
        for shape, room, count in cases
    )
    return 100 * max(map(abs, off))


def written(on: OnCore) -> dict[str, object]:
    """As it is in the file: a body is named where it has work of its own."""
    return {key: value for key, value in asdict(on).items() if value != ""}


def run(options: argparse.Namespace) -> None:
    found = {name: dict(cores) for name, cores in prices().items()}
    kept = [row for row in read(options.json).get("prices", []) if row["core"] not in options.cores]
    others: list[tuple[Kernel, str, list[Case]]] = []
    for kernel, (_, held_out) in SHAPES.items():
        for core in options.cores:
            on = KernelsOnCore([kernel], targets.load(core))
            found.setdefault(kernel.name, {})[core] = fitted(
                kernel, core, counted(on, kernel, fit_to(kernel, core))
            )
            others.append((kernel, core, counted(on, kernel, held_out)))
    text = ",\n".join(
        f' "{name}": {{\n'
        + ",\n".join(f'  "{core}": {json.dumps(written(each))}' for core, each in cores.items())
        + "\n }"
        for name, cores in sorted(found.items())
    )
    PRICES.write_text(f"{{\n{text}\n}}\n", encoding="utf-8")
    prices.cache_clear()
    rows = [
        {
            "kernel": kernel.name,
            "core": core,
            "shapes": len(fit_to(kernel, core)),
            "others": len(SHAPES[kernel][1]),
            "off": furthest(kernel, core, cases),
            "without": sum(count for _, room, count in cases if not room),
            "with": sum({shape: count for shape, _, count in cases}.values()),
        }
        for kernel, core, cases in others
    ]
    compiler = f"zig {toolchain.find_compiler('zig').version}"
    cores, names = targets.emulated(), [kernel.name for kernel in SHAPES]
    rows = sorted(kept + rows, key=lambda row: (names.index(row["kernel"]), cores.index(row["core"])))
    write(options.json, {**origin(), "compiler": compiler, "prices": rows})


def table(results: Results) -> str:
    """How far off the prices are, and what scratch saves."""
    rows = [
        (
            f"`{row['kernel']}`, {row['core']}",
            row["shapes"],
            row["others"],
            f"{row['off']:.1f} %",
            f"{1 - row['with'] / row['without']:.1%}",
        )
        for row in results["prices"]
    ]
    head = ("kernel, core", "shapes it was fitted to", "others", "off at most", "the most scratch saves")
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    return [
        Bar(f"price of {row['kernel']} on {row['core']}: off at most, %", row["off"], MOST, at_least=False)
        for row in results["prices"]
    ]


def check_fresh(results: Results, cores: Sequence[str], *, in_turn: bool = False) -> int:
    """Counts the other shapes again; 1 where a price is too far off by now, or a kernel takes more than it did.

    With `in_turn` kernels are built together: in a third of the time, and to the same instructions.
    """
    wrong = []
    for core in cores:
        built = KernelsOnCore(TOGETHER, targets.load(core)) if in_turn else None
        for kernel, (_, held_out) in SHAPES.items():
            on = built or KernelsOnCore([kernel], targets.load(core))
            cases = counted(on, kernel, held_out, in_turn=in_turn)
            off, with_most = furthest(kernel, core, cases), sum({shape: n for shape, _, n in cases}.values())
            kept = next(r for r in results["prices"] if (r["kernel"], r["core"]) == (kernel.name, core))
            line = f"{kernel.name} {core}: {off:.1f} % off, {with_most / kept['with'] - 1:+.2%} instructions"
            print(line)
            if off > MOST or with_most > (1 + WORSE) * kept["with"]:
                wrong.append(line)
    if wrong:
        print(
            f"more than {MOST:g} % off, or worse by more than {WORSE:.0%}: {'; '.join(wrong)}",
            file=sys.stderr,
        )
        print("if this is meant: python benchmarks/prices.py, and commit what it writes", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = arguments("prices", __doc__)
    parser.add_argument("--check-fresh", action="store_true", help="count again and compare")
    cores = targets.emulated()
    parser.add_argument("--cores", nargs="+", choices=cores, default=cores, help="cores to count on: all")
    parser.add_argument(
        "--in-turn",
        action="store_true",
        help="with --check-fresh: shapes with the most scratch, every second one with another size in turn; "
        "all kernels in one build",
    )
    options = parser.parse_args()
    if options.check_fresh:
        raise SystemExit(check_fresh(read(options.json), options.cores, in_turn=options.in_turn))
    raise SystemExit(main(options, run, table, bars))
