"""Instructions per multiply-accumulate of the kernels of layers: forward, input gradient, weight gradient with update.

Counted under emulation, one call of a kernel by itself: packing, outputs, shifts, peaks and updates included; calls
beside it, which prepare factors, are in benchmarks/steps.py. Layers are lowered as in any network, and every call must
give what its reference gives. MACs are those of the layer, products with padding included. Built by zig and by gcc,
-O3; bars are for the worse of the two. For the Cortex-M7 cycles are in the bars: estimated from executed instructions
and public timings at zero wait states, not measured. A Cortex-M55 runs in QEMU, where that is installed: its
instructions are counted to within a few, and nothing is said of cycles and stack. `--check-fresh` counts again, by zig,
and fails where a kernel takes over 2 % more than committed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from bars import WORSE, Bar, Results, arguments, main, markdown, origin, read, told_worse, write
from kernel_calls import TOGETHER
from layer_calls import ERROR, FORWARD, UPDATE, Layer, LayerCall

from mcugrad import targets, toolchain
from mcugrad.emulator.kernels import KernelsOnCore
from mcugrad.emulator.qemu import INSTALL, PROGRAM, KernelsInQemu, is_installed
from mcugrad.measure.cycles import CycleModel
from mcugrad.program import Kernel
from mcugrad.program.kernel import ROOM
from mcugrad.zoo.nets import Net

COMPILERS = ("zig", "arm-none-eabi-gcc")
CORES = ("cortex-m4f", "cortex-m0plus", "cortex-m7", "cortex-m33", "cortex-m55")
RULES = ("sr8", "sr12", "sr16")
PASSES = (FORWARD, ERROR, *RULES)
"""Columns: the weight gradient with its update by each rule."""


def conv(out: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> partial[Net]:
    """Adds a convolution with padding that keeps the size at stride 1."""
    return partial(Net.conv, out=out, kernel=kernel, stride=stride, depthwise=depthwise)


POINTWISE, CONV, FC = "pointwise 64->64, 8x8", "conv3x3 16->32, 14x14", "fully connected 512->64"
STRIDED, SMALL = "conv3x3/2 16->32, 14x14", "pointwise 64->64, 4x4"
GREY, COLOUR = "first conv3x3/2 1->16, 28x28", "first conv3x3 3->16, 32x32"
DEPTHWISE = "depthwise 3x3, 64 channels, 8x8"
ODD = {
    "conv3x3 15->31, 13x13": CONV,
    "pointwise 62->62, 8x8": POINTWISE,
    "pointwise 64->64, 8x8, unaligned": POINTWISE,
    "fully connected 511->63": FC,
}
"""Odd widths, sums whose length is no multiple of 4, unaligned buffers; and what they should cost hardly more than."""
LAYERS = (
    Layer(POINTWISE, (64, 8, 8), conv(64, 1)),
    Layer(CONV, (16, 14, 14), conv(32, 3)),
    Layer(STRIDED, (16, 14, 14), conv(32, 3, 2)),
    Layer(SMALL, (64, 4, 4), conv(64, 1)),
    Layer("conv3x3 32->64, 4x4", (32, 4, 4), conv(64, 3)),
    Layer(GREY, (1, 28, 28), conv(16, 3, 2), first=True),
    Layer(COLOUR, (3, 32, 32), conv(16, 3), first=True),
    Layer(DEPTHWISE, (64, 8, 8), conv(64, 3, depthwise=True)),
    Layer(FC, (512,), partial(Net.fc, out=64)),
    Layer("conv3x3 15->31, 13x13", (15, 13, 13), conv(31, 3)),
    Layer("pointwise 62->62, 8x8", (62, 8, 8), conv(62, 1)),
    Layer("pointwise 64->64, 8x8, unaligned", (64, 8, 8), conv(64, 1), shift=1),
    Layer("fully connected 511->63", (511,), partial(Net.fc, out=63)),
)


@dataclass(frozen=True)
class Limit:
    """What a kernel must reach, and what it might, per MAC."""

    required: float
    stretch: float | None = None

    def __str__(self) -> str:
        """`0.95; 0.87`."""
        return f"{self.required:.3g}" + ("" if self.stretch is None else f"; {self.stretch:.3g}")


def limits(required: Sequence[float], stretch: Sequence[float] = ()) -> dict[str, Limit]:
    """Limits of passes in their order: forward, input gradient, and by the rules."""
    return {
        which: Limit(most, stretch[i] if i < len(stretch) else None)
        for i, (which, most) in enumerate(zip(PASSES, required, strict=False))
    }


def first(required: tuple[float, float], stretch: tuple[float, float]) -> dict[str, Limit]:
    """Likewise of a layer whose input has no error."""
    return {FORWARD: Limit(required[0], stretch[0]), "sr8": Limit(required[1], stretch[1])}


M4F = {
    POINTWISE: limits((0.95, 1.00, 1.08, 1.16, 1.10), (0.87, 0.90, 0.96)),
    CONV: limits((0.88, 0.91, 0.95), (0.80, 0.83, 0.87)),
    STRIDED: limits((1.00, 1.25, 1.25), (0.92, 1.05, 1.05)),
    SMALL: limits((1.08, 1.20, 1.75), (0.98, 1.05, 1.45)),
    GREY: first((3.2, 3.5), (2.2, 2.5)),
    COLOUR: first((1.8, 1.9), (1.45, 1.5)),
    DEPTHWISE: limits((2.6, 2.7, 2.4), (2.3, 2.3, 2.0)),
    FC: limits((1.35, 1.9, 11.5, 18, 12.5), (1.25, 1.6, 9.9, 14, 9.5)),
}
LIMITS = {
    "cortex-m4f": M4F,
    "cortex-m0plus": {
        POINTWISE: limits((3.0, 2.9, 3.5)),
        FC: {rule: Limit(most) for rule, most in zip(RULES, (26, 30, 28), strict=True)},
    },
    "cortex-m7": {POINTWISE: limits((0.72, 0.78, 0.85))},
    "cortex-m55": {POINTWISE: limits((0.30, 0.30, 0.38), (0.20, 0.20, 0.28))},
    "cortex-m33": {
        layer: {which: Limit(round(1.03 * limit.required, 4)) for which, limit in found.items()}
        for layer, found in M4F.items()
    },
}
"""By core and layer: instructions per MAC, but for the Cortex-M7, where it is cycles."""
IN_CYCLES = ("cortex-m7",)
TIMES = Limit(1.3, 1.15)
"""Of an odd layer: instructions per MAC in those of its even neighbour, on the core below."""
TIMES_ON = "cortex-m4f"

Case = dict[str, str | int | float | None]


def called(layers: Iterable[Layer], *, in_turn: bool = False) -> list[tuple[Layer, str, LayerCall]]:
    """Layer, column and call for all that is counted; what does not depend on the rule is there once.

    A layer has all rules, or one of them in turn.
    """
    found = []
    for i, layer in enumerate(layers):
        rules = RULES[i % len(RULES) :][:1] if in_turn else RULES
        for rule in rules:
            for each in layer.calls(rule):
                if each.which == UPDATE:
                    found.append((layer, rule, each))
                elif rule == rules[0]:
                    found.append((layer, each.which, each))
    return found


Counted = Callable[[Kernel, dict[str, Any], int], Case]
"""Runs a kernel with arguments that lie so many bytes off: instructions, cycles, stack."""


def in_unicorn(kernels: Sequence[Kernel], core: str, compiler: str, timed: bool) -> Counted:
    """Kernels on an emulated core; cycles, which take as long as all else, where they are asked for."""
    on = KernelsOnCore(kernels, targets.load(core), compiler=compiler)
    timing = CycleModel(on.emulator.image, on.emulator.target.core)

    def run(kernel: Kernel, given: dict[str, Any], shift: int) -> Case:
        on.emulator.forget_blocks()
        instructions = on.run(kernel, given, shift)
        cycles = timing.estimate(on.emulator.blocks()).cycles if timed else None
        return {"instructions": instructions, "cycles": cycles, "stack": on.emulator.last_stack}

    return run


def in_qemu(kernels: Sequence[Kernel], core: str, compiler: str, timed: bool) -> Counted:
    """Kernels in QEMU, which says nothing of cycles and stack, whatever is asked for."""
    on = KernelsInQemu(kernels, targets.load(core), compiler=compiler)

    def run(kernel: Kernel, given: dict[str, Any], shift: int) -> Case:
        return {"instructions": on.run(kernel, given, shift), "cycles": None, "stack": None}

    return run


def there() -> list[str]:
    """The cores that can be counted on here; says so of the others."""
    found = []
    for core in CORES:
        if targets.load(core).core.is_emulated or is_installed():
            found.append(core)
        else:
            print(f"{core}: not counted: {PROGRAM} is not installed; {INSTALL}", file=sys.stderr)
    return found


def counted(
    calls: Sequence[tuple[Layer, str, LayerCall]],
    core: str,
    compiler: str,
    *,
    timed: bool = True,
    together: Sequence[Kernel] = (),
) -> list[Case]:
    """Every call on a core.

    A kernel is built by itself, for what else there is may change what compilers inline, unless all are built together.
    """
    run = in_unicorn if targets.load(core).core.is_emulated else in_qemu
    cores: dict[str, Counted] = {}
    cases: list[Case] = []
    for layer, which, each in calls:
        kernel = each.call.kernel
        if kernel.name not in cores:
            built = together or [kernel]
            cores |= dict.fromkeys((each.name for each in built), run(built, core, compiler, timed))
        given = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in each.given.items()}
        found = cores[kernel.name](kernel, given, layer.shift)
        wrong = [name for name, value in each.changed.items() if (given[name] != value).any()]
        if wrong:
            raise SystemExit(
                f"error: {layer.name}, {which} on {core}: {', '.join(wrong)} is not as by the reference"
            )
        cases.append(
            {
                "layer": layer.name,
                "pass": which,
                "core": core,
                "compiler": compiler,
                "kernel": kernel.name,
                "scratch": int(each.given.get(ROOM, 0)),
                "macs": layer.macs,
                **found,
            }
        )
    return cases


def wanted(options: argparse.Namespace) -> list[Layer]:
    """Those that are to be counted."""
    return [layer for layer in LAYERS if options.only is None or layer.name in options.only]


def run(options: argparse.Namespace) -> None:
    calls = called(wanted(options))
    cores = [core for core in there() if options.cores is None or core in options.cores]
    found = [case for core in cores for compiler in COMPILERS for case in counted(calls, core, compiler)]
    again = {(case["layer"], case["core"]) for case in found}
    kept = [c for c in read(options.json).get("cases", []) if (c["layer"], c["core"]) not in again]
    order = {layer.name: i for i, layer in enumerate(LAYERS)}
    cases = sorted(kept + found, key=lambda case: (CORES.index(case["core"]), order[case["layer"]]))
    versions = {name: toolchain.find_compiler(name).version for name in COMPILERS}
    write(options.json, {**origin(), "compilers": versions, "cases": cases})


def per_mac(results: Results, core: str, layer: str, which: str, compiler: str = "") -> float | None:
    """What a kernel takes for each MAC, by the compiler, or by the worst; None where nothing was counted."""
    unit = "cycles" if core in IN_CYCLES else "instructions"
    found = [
        case[unit] / case["macs"]
        for case in results.get("cases", [])
        if (case["core"], case["layer"], case["pass"]) == (core, layer, which)
        and compiler in ("", case["compiler"])
    ]
    return max(found, default=None)


def table(results: Results) -> str:
    """For each core what every layer takes, by zig and by gcc, and what it must reach."""
    return "\n\n".join(_table(results, core) for core in CORES)


def _table(results: Results, core: str) -> str:
    rows = []
    for layer in LAYERS:
        limit = LIMITS[core].get(layer.name, {})
        cells = []
        for which in PASSES:
            found = [per_mac(results, core, layer.name, which, compiler) for compiler in COMPILERS]
            text = " / ".join("-" if each is None else f"{each:.2f}" for each in found)
            must = f" ({limit[which]})" if which in limit else ""
            cells.append("" if found == [None] * len(COMPILERS) else text + must)
        if any(cells):
            rows.append((layer.name, *cells))
    unit = "cycles per MAC, estimated" if core in IN_CYCLES else "instructions per MAC"
    head = (
        f"{core}: {unit}, zig / gcc (at most; might be)",
        FORWARD,
        ERROR,
        *(f"`{rule}`" for rule in RULES),
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    found = []
    for core, layers in LIMITS.items():
        unit = "cycles" if core in IN_CYCLES else "instructions"
        for layer, passes in layers.items():
            for which, limit in passes.items():
                value = per_mac(results, core, layer, which)
                claim = f"{core}, {layer}, {which}: {unit} per MAC"
                found.append(Bar(claim, value, limit.required, at_least=False))
    return found + [times(results, layer, like, which) for layer, like in ODD.items() for which in PASSES]


def times(results: Results, layer: str, like: str, which: str) -> Bar:
    """How much more a layer takes than its even neighbour, by the worse compiler."""
    pairs = [
        (per_mac(results, TIMES_ON, layer, which, each), per_mac(results, TIMES_ON, like, which, each))
        for each in COMPILERS
    ]
    ratios = [odd / even for odd, even in pairs if odd is not None and even is not None]
    claim = f"{TIMES_ON}, {layer}, {which}: times {like}"
    return Bar(claim, max(ratios, default=None), TIMES.required, at_least=False)


def check_fresh(
    results: Results, layers: Iterable[Layer], cores: Sequence[str], *, in_turn: bool = False
) -> int:
    """Counts by zig again, on those of the cores that are there; 1 where a kernel takes more than it did.

    With `in_turn` kernels are built together: in a third of the time, and to the same instructions.
    """
    layers = [*layers]
    calls, worse = called(layers, in_turn=in_turn), []
    together: Sequence[Kernel] = ()
    if in_turn:
        few = {each.call.kernel.name: each.call.kernel for _, _, each in calls}
        together = TOGETHER if len(layers) == len(LAYERS) else [*few.values()]
    for core in (core for core in there() if core in cores):
        for case in counted(calls, core, COMPILERS[0], timed=False, together=together):
            same = ("layer", "pass", "core", "compiler")
            kept = next(c for c in results["cases"] if all(c[key] == case[key] for key in same))
            change = float(case["instructions"]) / kept["instructions"] - 1
            line = f"{core}, {case['layer']}, {case['pass']}: {change:+.2%} instructions"
            if change > WORSE:
                worse.append(line)
        print(f"{core}: {len(calls)} calls", flush=True)
    return told_worse(worse, "kernels")


if __name__ == "__main__":
    parser = arguments("kernels", __doc__)
    names = [layer.name for layer in LAYERS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="LAYER", help="layers to count")
    parser.add_argument("--cores", nargs="+", choices=CORES, metavar="CORE", help="cores to count on")
    parser.add_argument("--check-fresh", action="store_true", help="count again by zig and compare")
    parser.add_argument(
        "--in-turn",
        action="store_true",
        help="with --check-fresh: each layer by one rule, not by all, and all kernels in one build",
    )
    options = parser.parse_args()
    if options.check_fresh:
        kept, cores = read(options.json), options.cores or CORES
        raise SystemExit(check_fresh(kept, wanted(options), cores, in_turn=options.in_turn))
    raise SystemExit(main(options, run, table, bars))
