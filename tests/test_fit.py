"""What fits: the model's RAM with 4 KiB for the stack, and its constants, to the byte."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

import mcugrad as mg
from mcugrad import fit_check, targets
from mcugrad.footprint import Room, flash_consumers, fullest, ram_consumers
from mcugrad.options import Preference
from mcugrad.program import Space
from mcugrad.targets import Target
from mcugrad.training.rules import updates
from mcugrad.ways import Footprints, made_up
from networks import Conv, Dense, Pool, corners, samples, write_onnx
from networks import model as net_of
from thoroughness import LONG

STACK = 4096
"""Bytes kept for the stack, as documented."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> mg.Model:
    path = tmp_path_factory.mktemp("fit") / "tiny.onnx"
    return mg.load(write_onnx(path, (1, 12, 12), (Conv(2), Pool(), Dense(4))))


def board(ram: int, flash: int = 1 << 20, core: str = "cortex-m4f") -> Target:
    """A board with so many bytes, though real memories are whole pages."""
    made = replace(targets.load(core))
    object.__setattr__(made, "ram", replace(made.ram, bytes=ram))
    object.__setattr__(made, "flash", replace(made.flash, bytes=flash))
    return made


@pytest.mark.parametrize("train", ["all", "none"])
def test_ram_and_stack_fit_to_the_byte(model: mg.Model, train: str) -> None:
    x, _ = corners(16)
    need = mg.compile(model, calibration=x, train=train, prefer="ram").ram + STACK
    faster = mg.compile(model, calibration=x, train=train).ram + STACK
    assert need < faster or (train == "none" and need == faster)  # more would make no prediction faster
    assert mg.compile(model, calibration=x, train=train, target=board(need)).ram + STACK == need
    what = "training" if train == "all" else "inference"
    text = f"{need / 1024:.1f} KiB"
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, train=train, target=board(need - 1024))
    assert error.value.what == (
        f"{what} needs {text} of RAM; cortex-m4f has {(need - 1024) / 1024:.1f} KiB (1.0 KiB short)"
    )
    assert error.value.where.startswith("learned state ")
    with pytest.raises(mg.FitError, match=r"\(1 B short\)"):
        mg.compile(model, calibration=x, train=train, target=board(need - 1))


def test_constants_fit_to_the_byte(model: mg.Model) -> None:
    x, _ = corners(16)
    build = mg.compile(model, calibration=x).build
    mg.compile(model, calibration=x, target=board(1 << 18, build.constants))
    with pytest.raises(
        mg.FitError, match=r"constants alone need .* of flash; cortex-m4f has .* \(1 B short\)"
    ):
        mg.compile(model, calibration=x, target=board(1 << 18, build.constants - 1))


def hint(model: mg.Model, ram: int, **options: Any) -> str:
    """What a board with so many bytes is told to try."""
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=corners(16)[0], target=board(ram), **options)
    return error.value.hint


def test_smaller_rules_and_precisions_are_named(model: mg.Model) -> None:
    def need(**options: Any) -> int:
        return mg.compile(model, calibration=corners(16)[0], prefer="ram", **options).ram + STACK

    def said(ram: int) -> str:
        return f"({ram / 1024:.1f} KiB)"

    small, none = need(rule="sr8"), need(train="none")
    assert small < need(rule="sr16")
    assert hint(model, small, rule="sr16") == f"train=all with rule=sr8   {said(small)}"
    last = need(train="last:1", rule="sr8")
    assert hint(model, last, rule="sr8") == f"train=last:1   {said(last)}"
    assert hint(model, none, rule="sr8") == f"train=none   {said(none)}"
    assert small < need(train="none", precision="float32")
    assert (
        hint(model, small, precision="float32")
        == f"precision=int8 with train=all with rule=sr8   {said(small)}"
    )
    tiny = "a smaller input or network: not even inference fits"
    assert hint(model, none - 1, precision="float32") == tiny


def test_a_smaller_rule_is_named_without_what_takes_a_plane(model: mg.Model) -> None:
    """On the command line options stand beside the rule, where they would stay."""
    small = mg.compile(model, calibration=corners(16)[0], prefer="ram", rule="sr8").ram + STACK
    said = hint(model, small, rule=mg.Update("sr16", batch=4, momentum=0.9, velocity_bits=8, clip=0.1))
    assert said.startswith(
        "train=all with rule=sr8 with no batch= with no momentum= with no velocity_bits= with no clip=   ("
    )
    assert " no " not in hint(model, small, rule=mg.Update("sr16"))


CORES = ("cortex-m4f", "cortex-m0plus")
WAYS = (("all", "sr16"), ("all", "sr8"), ("last:1", "sr12"), ("none", "sr8"))
MORE = (0, 300, 1500, 1 << 18)
PREFERRED: tuple[Preference, ...] = ("balanced", "ram", "speed")


@pytest.mark.parametrize(
    ("core", "prefer", "first"),
    [(core, prefer, 3 * i + j) for i, core in enumerate(CORES) for j, prefer in enumerate(PREFERRED)],
)
def test_sizes_are_said_before_there_is_a_build(
    model: mg.Model, core: str, prefer: Preference, first: int
) -> None:
    """To the byte, whatever the samples, and where a target leaves little for kernels to be faster.

    Each way meets each room for more, in turn.
    """
    x, _ = corners(16)
    for i, (train, rule) in enumerate(WAYS):
        least = mg.compile(model, calibration=x, train=train, rule=rule, prefer="ram", target=core)
        for more in MORE if LONG else (MORE[(first + i) % len(MORE)],):
            goal = board(least.ram + STACK + more, core=core)
            made = mg.compile(model, calibration=x, train=train, rule=rule, prefer=prefer, target=goal)
            sizes = Footprints(model, made_up(model), replace(made.options, train="all"))
            found = sizes.of(train, updates(rule))
            assert (found.ram, found.need) == (made.ram, made.build.footprint.need)
            assert found.fits(Room.of(goal))


@pytest.mark.parametrize(
    "options", [{}, {"rule": "sr8"}, {"precision": "float32"}, {"train": "none"}], ids=str
)
@pytest.mark.parametrize("prefer", ["ram", "speed"])
def test_consumers_are_all_there_is(model: mg.Model, options: dict[str, Any], prefer: Preference) -> None:
    """Every byte of RAM and of constants once, the largest first."""
    made = mg.compile(model, calibration=corners(16)[0], prefer=prefer, **options).build
    compiled = made.compiled
    found = ram_consumers(compiled.program, compiled.plan)
    assert sum(each.bytes for each in found) == made.footprint.need
    assert [each.bytes for each in found] == sorted((each.bytes for each in found), reverse=True)
    assert all(0 < each.most_bytes <= each.bytes for each in found if each.most)
    tables = flash_consumers(compiled.program)
    assert sum(each.bytes for each in tables) == made.constants
    named = {each.what: each.bytes for each in found}
    assert named["stack and caller"] == STACK
    assert named["one sample"] == 144
    for kind, note in (("weights that train", "weights"), ("residual planes", "residual bits")):
        size = sum(b.size for b in compiled.program.in_space(Space.STATE) if b.note.startswith(note))
        assert named.get(kind, 0) == size


def test_working_memory_is_told_by_what_it_is_for() -> None:
    """At the fullest moment, found here without the planner: what a call needs, and what others left for later."""
    net = net_of((3, 10, 10), (Conv(6, pads=(1, 1, 1, 1)), Conv(6, pads=(1, 1, 1, 1)), Conv(8), Dense(4)))
    made = mg.compile(net, calibration=samples(net, 8)[0], rule="sr8", prefer="ram").build.compiled
    time, there = fullest(made.program, made.plan)
    kinds = {kind: sum(size for k, size in there.values() if k == kind) for kind, _ in there.values()}
    assert sum(kinds.values()) <= made.plan.size
    touched = {
        name: [
            number
            for segment, begin in made.program.begins.items()
            for number, call in enumerate(made.program.segments[segment].calls, begin)
            if name in call.buffers
        ]
        for name in made.program.buffers
    }
    now = {name for name, times in touched.items() if times and times[0] <= time <= times[-1]}
    kept = {name for name in now if made.program.buffers[name].note == "activation"}
    assert kept == {"conv1_y", "conv2_y"}
    assert kinds["stored activations"] == sum(made.program.buffers[name].size for name in kept)
    assert kinds["error maps"] == sum(made.program.buffers[n].size for n in now if n.endswith("_e"))
    text = "; ".join(each.text for each in ram_consumers(made.program, made.plan))
    assert re.search(r"stored activations 1,200 B, conv[12]_y 600 B of it", text)


def test_what_takes_most_is_said(model: mg.Model) -> None:
    """Of RAM, of flash, and where `ram=` is the limit; with bytes, and for programs as numbers."""
    x, _ = corners(16)
    large = mg.compile(model, calibration=x, prefer="ram").build
    for options in ({"target": board(large.footprint.need - 1)}, {"ram": large.footprint.need - 1}):
        with pytest.raises(mg.FitError) as error:
            mg.compile(model, calibration=x, **options)
        told = error.value
        found = ram_consumers(large.compiled.program, large.compiled.plan)
        assert told.largest == found[:3]
        assert told.largest[0].text == "stack and caller 4,096 B"
        most = next(line for line in str(told).splitlines() if line.startswith("  most   "))
        assert most == "  most   " + "; ".join(each.text for each in found[:3])
        assert (
            "residual planes 218 B, fc1_w_residual 200 B of it; weights that train 218 B, fc1_w 200 B" in most
        )
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, target=board(1 << 18, large.constants - 1))
    assert [each.text for each in error.value.largest] == [
        each.text for each in flash_consumers(large.compiled.program)[:3]
    ]


def test_ram_that_is_named_is_refused_as_a_target_is(model: mg.Model) -> None:
    x, _ = corners(16)
    need = mg.compile(model, calibration=x, rule="sr16", prefer="ram").build.footprint.need
    small = mg.compile(model, calibration=x, rule="sr8", prefer="ram").build.footprint.need
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, rule="sr16", ram=small)
    short = f"{need - small} B short" if need - small < 1024 else f"{(need - small) / 1024:.1f} KiB short"
    assert error.value.what == (
        f"training needs {need / 1024:.1f} KiB of RAM; ram={small} allows {small / 1024:.1f} KiB ({short})"
    )
    assert error.value.hint == f"ram={need} or more;  train=all with rule=sr8   ({small / 1024:.1f} KiB)"
    mg.compile(model, calibration=x, rule="sr8", ram=small)


RECOMPUTED = (*[Conv(6, pads=(1, 1, 1, 1))] * 5, Dense(4))
"""All layers take less where calls run again, by sr8 and a little less by fewer of them."""


def test_recomputing_is_named_where_it_makes_the_chosen_way_fit_or_more_layers() -> None:
    """With what it takes; what is named is what compiles, to the byte and to the instruction."""
    net = net_of((3, 10, 10), RECOMPUTED)
    x, _ = samples(net, 8)

    def least(**options: Any) -> int:
        return mg.compile(net, calibration=x, prefer="ram", **options).build.footprint.need

    def ways(ram: int, **options: Any) -> list[str]:
        with pytest.raises(mg.FitError) as error:
            mg.compile(net, calibration=x, ram=ram, **options)
        return error.value.hint.split(";  ")[1:]

    def text(ram: int, **options: Any) -> str:
        made = mg.compile(net, calibration=x, ram=ram, recompute=True, **options).build
        again = made.compiled.plan.again
        assert again is not None
        which = "more" if again.more > 0 else "less"
        return (
            f"recompute=True   ({made.footprint.need / 1024:.1f} KiB; {abs(again.more):,.0f} instructions {which} "
            f"({abs(100 * again.part):.1f} %), estimated)"
        )

    enough = least(rule="sr16", recompute=True)
    plain = "train=all with rule=sr8"
    for ram in (enough, enough + 300):
        found = ways(ram, rule="sr16")
        assert found[0] == text(ram, rule="sr16")
        assert found[1].startswith(plain)
    assert ways(enough - 1, rule="sr16")[0].startswith(plain)
    most, more = least(train="last:3", rule="sr8"), least(train="last:5", rule="sr8", recompute=True)
    assert most < more < least(train="last:4", rule="sr8")
    fewer, again = ways(more, rule="sr8")
    assert re.fullmatch(r"train=last:3   \([\d.]+ KiB\)", fewer)
    assert again == f"train=last:5 with {text(more, train='last:5', rule='sr8')}"
    assert len(ways(more - 1, rule="sr8")) == 2  # last:4 with recompute
    assert len(ways(most - 1, rule="sr8")) == 1
    assert len(ways(more - 1, rule="sr8", recompute=True)) == 1


@pytest.mark.parametrize("train", [["conv1", "fc1"], "bias", "last:2"], ids=str)
def test_any_way_that_is_chosen_is_told_what_fits(model: mg.Model, train: Any) -> None:
    need = mg.compile(model, calibration=corners(16)[0], train=train, prefer="ram").build.footprint.need
    assert "train=" in hint(model, need - 1, train=train)


def test_calls_that_run_again_are_looked_at_where_they_could_help(
    model: mg.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are planned several times: not for flash, where they are asked for already, or where nothing trains."""
    x, _ = corners(16)
    looked: list[bool] = []

    def footprints(*given: Any, **more: Any) -> Footprints:
        looked.append(given[2].recompute)
        return Footprints(*given, **more)

    made = mg.compile(model, calibration=x, prefer="ram").build
    least = mg.compile(model, calibration=x, prefer="ram", train="none").build.footprint.need
    monkeypatch.setattr(fit_check, "Footprints", footprints)
    for options, asked in (
        ({"ram": made.footprint.need - 1}, [False, True]),
        ({"ram": least, "recompute": True}, [True]),
        ({"ram": least - 1}, [False]),
        ({"target": board(1 << 18, made.constants - 1)}, [False]),
    ):
        with pytest.raises(mg.FitError):
            mg.compile(model, calibration=x, **options)
        assert looked == asked
        looked.clear()
    monkeypatch.setattr(fit_check, "DEEP", 1)
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, ram=made.footprint.need - 1)
    assert looked == [False]
    assert "recompute=True, which may take less" in error.value.hint


def test_instructions_that_no_price_tells_are_no_number() -> None:
    net = net_of((3, 10, 10), RECOMPUTED)
    x, _ = samples(net, 8)
    need = mg.compile(
        net, calibration=x, precision="float32", prefer="ram", recompute=True
    ).build.footprint.need
    with pytest.raises(mg.FitError) as error:
        mg.compile(net, calibration=x, precision="float32", ram=need)
    text = f"recompute=True   ({need / 1024:.1f} KiB; more instructions, which no price tells)"
    assert error.value.hint.split(";  ")[1] == text


def test_what_nothing_fits_says_so(model: mg.Model) -> None:
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=corners(16)[0], ram=100)
    assert error.value.hint.endswith(" or more;  a smaller input or network: not even inference fits")


@pytest.mark.parametrize("sparse", [mg.Static({"conv1": 0.5}), mg.Sparse(0.5, policy="split")])
def test_a_way_out_that_leaves_no_layer_to_update_in_part_says_so(model: mg.Model, sparse: Any) -> None:
    x, _ = corners(16)
    least = mg.compile(model, calibration=x, rule="sr8", train="last:1", prefer="ram").build.footprint.need
    with pytest.raises(mg.FitError) as error:
        mg.compile(model, calibration=x, rule="sr8", sparse=sparse, ram=least)
    assert "train=last:1 with sparse=None" in error.value.hint
    made = mg.compile(model, calibration=x, rule="sr8", train="last:1", sparse=None, ram=least)
    assert made.build.footprint.need <= least
