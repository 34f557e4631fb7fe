"""RAM of whole training steps, where it goes, and how near each plan comes to what no plan can do without.

* `cases`: networks beside published figures, with the least RAM that can be: `prefer="ram"`. Counted on the firmware
  that zig links for a Cortex-M4F, -O3: the model's struct (`sizeof`, asserted by the compiler), sample, code and
  constants; stack is the deepest of a prediction and a training step under emulation. `weights` are what trains, at
  the bytes in which it trains: no plan gets below them.
* `plans`: every network of the zoo, predicting and with all layers training by sr8: working memory as planned, and the
  bytes that are needed at the fullest moment; `buys` is the part of the instructions of convolutions and fully
  connected layers on a Cortex-M4F, estimated, that so many more KB of it save. No C is built for them.

`--exact` plans with a solver what takes more than the bound, says what it finds, and writes nothing (extra `plan`).
`--recompute` says what running calls of the forward pass again would save of each, likewise.
`--channels` says what they take where a fixed part of the channels trains, likewise.
`--check-fresh` plans all of it again, without C, and fails where working memory takes over 1 % more than committed.
`--only NAME ...` builds some cases and keeps the results of the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bars import Bar, Results, arguments, main, markdown, origin, read, told_worse, write
from steps import mlp, two_convolutions, written, zoo

import mcugrad as mg
from mcugrad import targets, toolchain
from mcugrad.commands.inspect import drawn
from mcugrad.emit import layout
from mcugrad.footprint import Footprint
from mcugrad.measure.cost import measure
from mcugrad.measure.memory import largest_scratch
from mcugrad.options import Budget, Options
from mcugrad.passes.assign_precision import Wanted
from mcugrad.passes.calibrate import Calibration
from mcugrad.pipeline import calibrate, spent
from mcugrad.plan import Planned, RunsAgain, bound, choices, exact_plan, verify
from mcugrad.program import Space
from mcugrad.training.rules import updates
from mcugrad.ways import planned_sizes
from mcugrad.zoo import nets
from networks import fashion_cnn

TARGET = "cortex-m4f"
RULE = "sr8"
KB = 1024
WORSE = 0.01
"""By how much working memory may grow."""
BUYS = (1, 4, 16)
"""KB of working memory beyond the least, of which is said what they save."""
OURS = 1.15
"""Times the working memory of a prediction that a training step of MCUNet's last two blocks may take."""


@dataclass(frozen=True)
class Network:
    """A network and what its training step may take.

    Attributes:
        model: loads it.
        train: what trains.
        most: bytes of RAM, model, sample and stack together; None where `besides` is what counts.
        published: the same of others, as they say it; empty where nobody has.
        precision: what it trains in.
        besides: bytes of the model beside one for each weight; None where `most` is what counts.
        over: times the working memory of a prediction that a step may take; None if nothing is asked of it.
        share: of the channels of each layer but the last that trains, a fixed part: rows of the others are in flash.
    """

    model: Callable[[], mg.Model]
    train: str
    most: int | None
    published: str = ""
    precision: Wanted = "int8"
    besides: int | None = None
    over: float | None = None
    share: float = 1.0

    @property
    def sparse(self) -> mg.Static | None:
        """Which channels train; None for all."""
        return None if self.share == 1 else mg.Static({"*": self.share})

    @property
    def options(self) -> Options:
        """What it is planned with."""
        return Options(
            self.train, updates(RULE), seed=0, rate=0.01, precision=self.precision, sparse=self.sparse
        )


AIFES, TINY_ENGINE, DEUTEL = "AIfES", "TinyEngine", "Deutel et al."
MBEDNET = zoo("mbednet")
MCUNET = zoo("mcunet", classes=10)
SPEECH = zoo("mbednet", input_shape=(49, 40, 1), classes=12)

NETWORKS = {
    "scratch CNN": Network(lambda: fashion_cnn(0), "all", None, besides=10 * KB),
    "MLP 784-64-10": Network(written("mlp", mlp), "all", 56 * KB, f"612 KB, {AIFES}"),
    "conv8-pool-conv16-pool-fc10, 28x28": Network(
        written("convolutions", two_convolutions), "all", 18 * KB, f"201 KB, {AIFES}"
    ),
    "MCUNet 128x128x3, last two blocks and head": Network(
        MCUNET, "last:7", 160 * KB, f"226 KB, {TINY_ENGINE}", over=OURS
    ),
    "MbedNet 32x32x3, last 5": Network(MBEDNET, "last:5", 110 * KB, f"340 KB, {DEUTEL}"),
    "MbedNet 32x32x3, last 5, mixed": Network(MBEDNET, "last:5", 300 * KB, f"378 KB, {DEUTEL}", "mixed"),
    "MbedNet 32x32x3, last 5, float32": Network(MBEDNET, "last:5", 420 * KB, f"800 KB, {DEUTEL}", "float32"),
    "MbedNet 49x40x1, last 5": Network(SPEECH, "last:5", 120 * KB, f"560 KB, {DEUTEL}"),
    "MbedNet 49x40x1, last 5, mixed": Network(SPEECH, "last:5", 320 * KB, f"604 KB, {DEUTEL}", "mixed"),
    "MbedNet 49x40x1, last 5, float32": Network(SPEECH, "last:5", 470 * KB, f"1725 KB, {DEUTEL}", "float32"),
    "WDCNN 1024x1, last 5": Network(zoo("vibration_cnn"), "last:5", 12 * KB, f"17.2 KB, {DEUTEL}"),
    "MbedNet 32x32x3, last 5, 12 % of the channels": Network(MBEDNET, "last:5", 110 * KB, share=0.12),
    "MCUNet 128x128x3, last two blocks and head, 25 % of the channels": Network(
        MCUNET, "last:7", 160 * KB, over=OURS, share=0.25
    ),
}

PARTLY = ("MCUNet 128x128x3, last two blocks and head", "MbedNet 32x32x3, last 5")
SHARES = (1.0, 0.5, 0.25, 0.12)
"""What fixed parts of the channels are tried on."""

Case = dict[str, Any]


# -- without C -------------------------------------------------------------------------------------------------------


def noise(model: mg.Model, count: int) -> np.ndarray:
    """Samples that mean nothing: sizes do not depend on them."""
    shape = model.input_shape
    return np.random.default_rng(3).normal(size=(count, *shape)).astype(np.float32)


def programs_of(model: mg.Model, options: Options) -> tuple[Planned, ...]:
    """Programs for a network, planned, the smallest first."""
    scales = calibrate(model, noise(model, 2), Calibration("minmax"), options.precision, options.train)
    return planned_sizes(model, scales, options)


def plan_of(programs: tuple[Planned, ...]) -> Case:
    """What the smallest of them takes, without C."""
    program, plan = programs[0]
    place = layout(program, plan)
    return {
        "arena": plan.size,
        "bound": bound(program),
        "ram": Footprint.of(program, place).ram,
    }


def buys(programs: tuple[Planned, ...]) -> dict[str, float]:
    """Part of the instructions that some KB beyond the smallest arena save, and that any number of them does."""
    points = choices(programs, TARGET).curve.points
    least = points[0]
    within = {str(more): [p for p in points if p.size <= least.size + more * KB] for more in BUYS}
    return {
        more: 1 - found[-1].instructions / least.instructions
        for more, found in {**within, "any": points}.items()
    }


def case_plan(network: Network) -> Case:
    """The same of a case, and of a prediction by the same network."""
    model = network.model()
    alone = plan_of(programs_of(model, replace(network.options, train="none", sparse=None)))
    return {**plan_of(programs_of(model, network.options)), "predict_arena": alone["arena"]}


def zoo_plan(name: str) -> Case:
    """Working memory and bound of a network of the zoo, predicting and training."""
    model = zoo(name)()
    options = Options("all", updates(RULE), seed=0, rate=0.01)
    ways = {"predict": replace(options, train="none"), "train": options}
    found = {way: programs_of(model, how) for way, how in ways.items()}
    return {
        "network": name,
        **{way: {**plan_of(programs), "buys": buys(programs)} for way, programs in found.items()},
    }


# -- with C ----------------------------------------------------------------------------------------------------------


def case(name: str) -> Case:
    """A row of the results."""
    network = NETWORKS[name]
    model = network.model()
    x = noise(model, 8)
    how = {} if network.precision == "float32" else {"rule": RULE}
    how = {
        **how,
        "train": network.train,
        "precision": network.precision,
        "rate": 0.01,
        "sparse": network.sparse,
    }
    made = mg.compile(model, calibration=x, prefer="ram", **how)
    compiled = made.build.compiled
    program, place = compiled.program, compiled.layout
    cost = measure(made.build, targets.load(TARGET), made.quantize(x[:1]), np.zeros(1, np.uint32), 0.01)
    trained = [b for b in place.params if b.name.endswith(("_w", "_residual"))]
    peak = program.at(compiled.plan.peak)
    constants = sum(b.size for b in program.in_space(Space.CONST))
    return {
        "network": name,
        "ram": cost.ram + cost.sample + cost.stack,
        "model": cost.ram,
        "arena": compiled.plan.size,
        "state": place.params_size,
        "weights": sum(b.size for b in trained),
        "weight_count": sum(b.count for b in trained if b.name.endswith("_w")),
        "scratch": largest_scratch(program),
        "sample": cost.sample,
        "stack": cost.stack,
        "flash": cost.flash,
        "constants": constants,
        "initial_state": sum(b.size for b in program.in_space(Space.STATE)),
        "peak": f"{peak.kernel.name} of {peak.node}",
        "plan": case_plan(network),
    }


def run(options: argparse.Namespace) -> None:
    results = read(options.json)
    compiler = f"zig {toolchain.find_compiler('zig').version}"
    for name in options.only or NETWORKS:
        found = case(name)
        print(f"{name}: {found['ram']:,} B of RAM, {found['arena']:,} of them working memory", flush=True)
        cases = [c for c in results.get("cases", []) if c["network"] != name] + [found]
        results["cases"] = sorted(cases, key=lambda c: list(NETWORKS).index(c["network"]))
    results["plans"] = [zoo_plan(name) for name in nets.names()]
    write(
        options.json, {**origin(), "compiler": compiler, "cases": results["cases"], "plans": results["plans"]}
    )


# -- what comes of it ------------------------------------------------------------------------------------------------


def kb(size: float) -> str:
    """`17.2`."""
    return f"{size / KB:,.1f}"


def gap(plan: Case) -> str:
    """By how much a plan is larger than what is needed."""
    return f"{plan['arena'] / plan['bound'] - 1:.1%}"


def table(results: Results) -> str:
    """RAM of training steps in three parts, and the gaps of plans."""
    return f"{case_table(results)}\n\n{plan_table(results)}"


def case_table(results: Results) -> str:
    """RAM of training steps, in parts, beside what was published."""
    rows = []
    for c in results["cases"]:
        network = NETWORKS[c["network"]]
        rows.append(
            (
                c["network"],
                kb(c["ram"]),
                kb(network.most) if network.most is not None else "",
                network.published,
                kb(c["arena"] + c["sample"]),
                kb(c["state"]),
                kb(c["weights"]),
                kb(c["stack"]),
                kb(c["flash"]),
                kb(c["flash"] - c["constants"] - c["initial_state"]),
                c["peak"],
            )
        )
    head = (
        "training step, `sr8` unless it says otherwise, KB of 1,024 B",
        "RAM in all",
        "at most",
        "published",
        "maps: working memory and sample",
        "weights and what else is learned",
        "weights alone",
        "stack",
        "flash",
        "code of it",
        "working memory is fullest in",
    )
    return markdown(head, rows)


def plan_table(results: Results) -> str:
    """Working memory of the zoo's networks, and by how much it is more than what is needed."""
    rows = [
        (
            f"`{c['network']}`",
            *(cell for way in ("predict", "train") for cell in (f"{c[way]['arena']:,}", gap(c[way]))),
        )
        for c in results["plans"]
    ]
    head = (
        "network",
        "prediction: working memory, B",
        "over the bound",
        "training, all layers, `sr8`: working memory, B",
        "over the bound",
    )
    return markdown(head, rows)


def buys_table(results: Results) -> str:
    """What more working memory than the least saves, for the zoo's networks."""
    rows = [
        (
            f"`{c['network']}`",
            "prediction" if way == "predict" else "training step",
            f"{c[way]['arena']:,}",
            *(f"{part:.1%}" for part in c[way]["buys"].values()),
        )
        for c in results["plans"]
        for way in ("predict", "train")
    ]
    head = ("network", "", "least working memory, B", *(f"{more} KB more" for more in BUYS), "any")
    return markdown(head, rows)


DRAWN = "ds_cnn"
"""Whose working memory the README shows."""


def picture() -> str:
    """The text of an SVG: working memory over time, of a prediction and of a training step of all layers."""
    return drawn(zoo(DRAWN)(), None)[1]


def bars(results: Results) -> list[Bar]:
    cases = {c["network"]: c for c in results.get("cases", [])}
    found = []
    for name, network in NETWORKS.items():
        c = cases.get(name)
        if network.besides is not None:
            value = None if c is None else c["model"] - c["weight_count"]
            claim = f"{name}: RAM of the model besides one byte for each weight, B"
            found.append(Bar(claim, value, network.besides, at_least=False))
        if network.most is not None:
            claim = f"{name}: RAM of a training step, KB"
            found.append(Bar(claim, None if c is None else c["ram"] / KB, network.most / KB, at_least=False))
        if network.over is not None:
            value = None if c is None else c["plan"]["arena"] / c["plan"]["predict_arena"]
            claim = f"{name}: working memory, times that of a prediction"
            found.append(Bar(claim, value, network.over, at_least=False))
    return found


def grown(results: Results) -> list[str]:
    """What takes over `WORSE` more working memory than is committed, planned again, each with both numbers."""
    pairs: list[tuple[str, Case, Case]] = []
    for c in results["cases"]:
        pairs.append((c["network"], c["plan"], case_plan(NETWORKS[c["network"]])))
    for c in results["plans"]:
        fresh = zoo_plan(c["network"])
        pairs += [(f"{c['network']}, {way}", c[way], fresh[way]) for way in ("predict", "train")]
    found = []
    for name, kept, fresh in pairs:
        for key in ("arena", "ram", "predict_arena"):
            if key in kept and fresh[key] > (1 + WORSE) * kept[key]:
                found.append(f"{name}: {key} {kept[key]:,} -> {fresh[key]:,} B")
    return found


def exact() -> None:
    """What the solver finds where the plan of a network of the zoo takes more than is needed at once."""
    for name in nets.names():
        model = zoo(name)()
        for train in ("none", "all"):
            options = Options(train, updates(RULE), seed=0, rate=0.01)
            program, plan = programs_of(model, options)[0]
            if plan.size > bound(program):
                better = exact_plan(program, plan)
                verify(program, better)
                assert better.least is not None
                print(f"{name}, {train}: {plan.size:,} B by greedy plans; {better.least.text}", flush=True)


def saved() -> None:
    """What running calls again saves: working memory with none, and as little of it as there can be."""
    ways = [*((name, zoo(name), "all", "int8") for name in nets.names())]
    ways += [(name, each.model, each.train, each.precision) for name, each in NETWORKS.items()]
    rows = []
    for name, load, train, precision in ways:
        model = load()
        options = Options(train, updates(RULE), seed=0, rate=0.01, precision=precision, budget=Budget("ram"))
        (_, kept), (_, least) = (
            spent(programs_of(model, replace(options, recompute=recompute)), options.budget)
            for recompute in (False, True)
        )
        runs = least.again or RunsAgain(0, 0.0, 0.0)
        part = f"{runs.part:.1%}" if precision == "int8" else ""
        less = f"{1 - least.size / kept.size:.1%}"
        rows.append((name, train, f"{kept.size:,}", f"{least.size:,}", less, str(runs.calls), part))
        print(rows[-1], flush=True)
    print(
        markdown(("network", "trains", "kept, B", "run again, B", "less", "calls", "instructions more"), rows)
    )


def by_channels() -> None:
    """What steps take where a fixed part of the channels trains: RAM, weights in it that train, working memory."""
    rows = []
    for name in PARTLY:
        network = NETWORKS[name]
        model = network.model()
        for share in SHARES:
            options = replace(network, share=share).options
            program, plan = programs_of(model, options)[0]
            place = layout(program, plan)
            weights = sum(b.size for b in place.params if b.name.endswith("_w"))
            sizes = Footprint.of(program, place).ram, weights, plan.size
            rows.append((name, f"{share:.0%}", *(f"{size:,}" for size in sizes)))
    print(markdown(("network", "channels that train", "RAM, B", "weights that train, B", "arena, B"), rows))


if __name__ == "__main__":
    parser = arguments("memory", __doc__)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, metavar="NETWORK", help="cases to build")
    parser.add_argument("--exact", action="store_true", help="plan with a solver where there is a gap")
    parser.add_argument("--recompute", action="store_true", help="what running calls again saves")
    parser.add_argument("--channels", action="store_true", help="what fixed parts of the channels take")
    parser.add_argument("--check-fresh", action="store_true", help="plan again and compare")
    options = parser.parse_args()
    if options.exact:
        raise SystemExit(exact())
    if options.recompute:
        raise SystemExit(saved())
    if options.channels:
        raise SystemExit(by_channels())
    if options.check_fresh:
        raise SystemExit(told_worse(grown(read(options.json)), "memory", WORSE))
    raise SystemExit(main(options, run, table, bars))
