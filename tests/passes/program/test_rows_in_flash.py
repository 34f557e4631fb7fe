"""Rows that a fixed part of a layer leaves as they are stay in flash: the same is learned, to the last bit."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import mcugrad as mg
from mcugrad import pipeline
from mcugrad.footprint import ram_consumers
from mcugrad.measure import memory as linked
from mcugrad.ops.update.rows import GATHER_ROWS_F32, GATHER_ROWS_S8, SCATTER_ROWS_F32, SCATTER_ROWS_S8
from mcugrad.passes.program.rows_in_flash import parts, rows_in_flash, saved
from mcugrad.pipeline import lowered
from mcugrad.plan import planned
from mcugrad.plan.rows import frozen_rows_in_flash
from mcugrad.program import Program, Space
from mcugrad.program.segment import BACKWARD, FORWARD
from mcugrad.program.spec import violations
from mcugrad.run.host import HostTwin
from mcugrad.run.reference import ReferenceRunner
from mcugrad.run.runner import differences
from mcugrad.trainer import Trainer
from mcugrad.training.rules import updates
from mcugrad.ways import Footprints
from networks import Conv, Dense, Pool, corners, model, samples
from partly import FIXED, all_of, learned, network, part, whole
from shape_nets import SIZE, Net
from thoroughness import LONG, turns

mcu = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the emulator is not installed")

GATHER = (GATHER_ROWS_S8, GATHER_ROWS_F32)
SCATTER = (SCATTER_ROWS_S8, SCATTER_ROWS_F32)
WAYS: dict[str, dict[str, Any]] = {
    **{rule: {"rule": rule} for rule in ("sr8", "sr16", "qas", *(("sr10", "sr12") if LONG else ()))},
    "momentum": {"rule": mg.Update("sr10", momentum=0.9, clip=0.5)},
    "8 bits of momentum": {"rule": mg.Update("sr8", momentum=0.5, velocity_bits=8)},
    "batches": {"rule": mg.Update("sr12", batch=3, momentum=0.9, clip=1.0)},
    "decay": {"rule": mg.Update("sr16", weight_decay=2.0)},
    "decay of batches": {"rule": mg.Update("qas", weight_decay=2.0, batch=2)},
    "standardized": {"rule": mg.Update("standardized", batch=4)},
    "float32": {"precision": "float32"},
    "mixed": {"precision": "mixed", "train": "last:3", "sparse": mg.Static({"fc1": (0, 3, 5), "conv3": 0.4})},
}


PLANES = ("_w", "_w_residual", "_w_change", "_w_change_residual")
FOUR = ("conv1", "conv2", "conv3", "fc1")
LAYERS = {"mixed": ("conv3", "fc1")}
"""Of which a part trains; all four where nothing else is said."""
STEPS = 10
"""Two batches and a part of one, of four steps."""


def assert_same(first: Trainer, second: Trainer, x: np.ndarray, y: np.ndarray) -> None:
    """By the references of one, and by references and the twin of the other."""
    few = x[:STEPS], y[:STEPS]
    expected = learned(first, ReferenceRunner(first.build.compiled), *few)
    for runner in (ReferenceRunner(second.build.compiled), HostTwin(second.build.compiled)):
        found = learned(second, runner, *few)
        assert differences(expected[1], found[1]) == []
        assert (expected[0], expected[2]) == (found[0], found[2])


@pytest.mark.parametrize("way", WAYS)
def test_what_is_learned_is_the_same(way: str) -> None:
    net, x, y = network()
    one, other = whole(net, x, **WAYS[way]), part(net, x, **WAYS[way])
    kept = {
        name for name in one.state if name.endswith(PLANES) and name.split("_")[0] in LAYERS.get(way, FOUR)
    }
    quantized_anew = {f"{name}_w" for name in FOUR if way == "standardized"}
    assert other.build.compiled.program.in_flash.keys() == kept - quantized_anew
    assert one.build.compiled.layout.params_size > other.build.compiled.layout.params_size
    assert one.build.constants == other.build.constants, "rows in flash are what training began with"
    assert one.build.compiled.fingerprint != other.build.compiled.fingerprint
    assert_same(one, other, x, y)


def shapes() -> mg.Model:
    """Depthwise with two outputs per channel, grouped, transposed, and layers of one channel."""
    net = Net()
    x = net.conv("input", 4, dilation=(2, 1), padding=(2, 1, 2, 1))
    x = net.depthwise(x, 2, stride=(2, 2), low=0.0)
    x = net.grouped(x, 6, 2, low=0.0)
    x = net.transposed(x, 5, stride=(2, 2), padding=(1, 1, 0, 1), output_padding=(0, 1))
    x = net.conv(x, 1)
    return net.model(net.conv(x, 3))


CHANNELS: dict[str, Any] = {
    "one row": dict.fromkeys(("conv1", "depthwise2", "grouped3", "transposed4", "conv5", "conv6"), (0,)),
    "all but one": {
        "conv1": (3, 0, 1),
        "depthwise2": range(1, 8),
        "grouped3": (0, 5, 4, 3, 2),
        "transposed4": (0, 1, 3, 4),
        "conv6": (1, 2),
    },
    "half": {"*": 0.5},
}


@pytest.mark.parametrize(
    ("precision", "channels"),
    turns(("int8", "float32"), CHANNELS)
    if LONG
    else [("int8", "one row"), ("int8", "all but one"), ("float32", "half")],
)
def test_every_kind_of_convolution(precision: str, channels: str) -> None:
    x, y = corners(STEPS, SIZE)
    rule = {} if precision == "float32" else {"rule": "sr12"}
    how = {"sparse": mg.Static(CHANNELS[channels]), "precision": precision, **rule}
    one, other = whole(shapes(), x, **how), part(shapes(), x, **how)
    named = {name.split("_")[0] for name in other.build.compiled.program.in_flash}
    assert named == {"conv1", "depthwise2", "grouped3", "transposed4", "conv6"}, "one channel of one stays"
    assert_same(one, other, x, y)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize(
    ("way", "core"),
    turns(
        ("standardized", "batches", *(("momentum",) if LONG else ()), "float32"),
        ("cortex-m4f", "cortex-m0plus", "cortex-m0plus"),
    ),
)
def test_cores_learn_the_same(way: str, core: str) -> None:
    net, x, y = network()
    trainer = part(net, x, **WAYS[way])
    trainer.verify(x[:7], y[:7], on=["reference", core], rate=0.03)


@mcu
@pytest.mark.mcu
@pytest.mark.parametrize("core", ["cortex-m4f", *(["cortex-m0plus"] if LONG else [])])
def test_cores_learn_every_kind_of_convolution(core: str) -> None:
    """On the core that has bodies of its own for them."""
    x, y = corners(4, SIZE)
    trainer = part(shapes(), x, rule="sr16", sparse=mg.Static({"*": 0.5}))
    trainer.verify(x, y, on=core, rate=0.03)


# -- the program ---------------------------------------------------------------------------------------------------


def plain(**options: Any) -> Program:
    """The program of the network as it was lowered, all rows in RAM."""
    return _lowered(**options) if options else _usual()


@cache
def _usual() -> Program:
    return _lowered()


def _lowered(**options: Any) -> Program:
    net, x, _ = network()
    trainer = mg.compile(net, calibration=x, **{"sparse": FIXED, "rule": "sr12", **options})
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(pipeline, "frozen_rows_in_flash", lambda program: program)
        return lowered(trainer.build.graph, trainer.options)


def test_rows_are_put_together_where_a_segment_begins_to_need_them_and_go_back_behind_it() -> None:
    program = all_of(plain())
    assert violations(program) == []
    w, bits = program.buffers["fc1_w"], program.buffers["fc1_w_residual"]
    assert (w.shape[0], bits.shape[0], w.space) == (3, 3, Space.STATE)
    rest = program.buffers[program.in_flash["fc1_w"].frozen]
    assert (rest.shape, rest.space) == ((8, *w.shape[1:]), Space.CONST)
    for name in (FORWARD, BACKWARD):
        calls = program.segments[name].calls
        moving = [call for call in calls if call.kernel in GATHER and call.given["trained"].buffer == "fc1_w"]
        back = [call for call in calls if call.kernel in SCATTER and call.given["trained"].buffer == "fc1_w"]
        assert len(moving) == 1
        assert len(back) == (name == BACKWARD)
        assert bool(moving[0].given["residual"].buffer) == (name == BACKWARD), (
            "a prediction reads no residual bits"
        )
        whole = moving[0].given["w"].buffer
        touching = [i for i, call in enumerate(calls) if whole in call.buffers]
        assert calls[touching[0]] is moving[0]
        if back:
            assert calls[touching[-1]] is back[0]
    forward, backward = (
        {b for call in program.segments[name].calls for b in call.buffers if b.startswith("fc1_w_")}
        & {b.name for b in program.in_space(Space.ARENA)}
        for name in (FORWARD, BACKWARD)
    )
    assert not forward & backward, "else it would be there from the forward pass on"


def test_what_one_layer_reads_twice_is_put_together_once() -> None:
    """As where two layers share their weights."""
    program = plain()
    forward = program.segments[FORWARD]
    twice = tuple(call for call in forward.calls for _ in range(1 + ("fc1_w" in call.buffers)))
    program = replace(program, segments={**program.segments, FORWARD: replace(forward, calls=twice)})
    calls = all_of(program).segments[FORWARD].calls
    moving = [call for call in calls if call.kernel in GATHER and call.given["trained"].buffer == "fc1_w"]
    reading = [call for call in calls if moving[0].given["w"].buffer in call.buffers]
    assert (len(moving), len(reading)) == (1, 3)


@pytest.mark.parametrize(
    "sparse",
    [
        None,
        mg.Sparse(0.25, policy="split"),
        mg.Sparse(0.3, policy="topk"),
        mg.Static({"conv1": 1.0, "fc1": tuple(range(11))}),
    ],
)
def test_what_trains_whole_or_is_chosen_by_samples_stays(sparse: Any) -> None:
    program = plain(sparse=sparse)
    assert parts(program) == []
    assert frozen_rows_in_flash(program) is program
    assert rows_in_flash(program, ()) is program


def test_layers_by_a_mapping_are_looked_at_one_by_one() -> None:
    program = plain(sparse={"conv1": (2, 5), "*": mg.Sparse(0.5, policy="split")})
    assert [part.data for part in parts(program)] == ["conv1_w"]


def test_what_is_quantized_anew_stays_and_its_changes_do_not() -> None:
    found = parts(plain(rule=mg.Update("standardized", batch=4)))
    assert {part.data for part in found} == {
        f"{name}_w_change" for name in ("conv1", "conv2", "conv3", "fc1")
    }
    assert {part.residual for part in found} == {f"{part.data}_residual" for part in found}


def test_a_plane_that_somebody_else_writes_stays() -> None:
    program = plain()
    backward = program.segments[BACKWARD]
    index = next(
        i for i, call in enumerate(backward.calls) if "fc1_w" in call.written and "active" in call.given
    )
    call = backward.calls[index]
    at = [param.name for param in call.kernel.params].index("active")
    arguments = list(call.arguments)
    arguments[at] = replace(arguments[at], buffer="")
    calls = list(backward.calls)
    calls[index] = replace(call, arguments=tuple(arguments))
    changed = replace(program, segments={**program.segments, BACKWARD: replace(backward, calls=tuple(calls))})
    assert {part.data for part in parts(program)} - {part.data for part in parts(changed)} == {"fc1_w"}


def test_bytes_that_are_saved() -> None:
    program = plain()
    found = all_of(program)
    state = [sum(b.size for b in each.in_space(Space.STATE)) for each in (program, found)]
    assert state[0] - state[1] == sum(saved(program, part) for part in parts(program))
    sizes = [sum(b.size for b in each.buffers.values() if b.value is not None) for each in (program, found)]
    assert sizes[0] == sizes[1]


# -- where it pays ---------------------------------------------------------------------------------------------------


def total(program: Program) -> int:
    return sum(b.size for b in program.in_space(Space.STATE)) + planned(program)[0][1].size


def test_it_is_done_where_the_model_takes_less_for_it() -> None:
    program = plain()
    found = frozen_rows_in_flash(program)
    assert found.in_flash
    assert total(found) < total(program)


def large(*layers: int, share: float) -> Trainer:
    """Fully connected layers of so many channels behind a map of 36 values, of which a share trains."""
    net = model((1, 8, 8), (Conv(4), Pool(), *(Dense(out, "relu") for out in layers), Dense(3)))
    names = (f"fc{i}" for i in range(1, len(layers) + 1))
    return mg.compile(
        net,
        calibration=samples(net, 16)[0],
        rule="sr8",
        sparse=mg.Static(dict.fromkeys(names, share)),
        prefer="ram",
    )


def test_one_layer_larger_than_all_maps_stays_where_nothing_is_won() -> None:
    """Part of its rows would be in RAM, and all of them while it is computed."""
    for share in (0.5, 0.05):
        assert not large(80, share=share).build.compiled.program.in_flash


def test_of_several_large_layers_one_at_a_time_is_there() -> None:
    """Neither would pay alone."""
    trainer = large(80, 36, share=0.05)
    assert {*trainer.build.compiled.program.in_flash} == {"fc1_w", "fc2_w"}
    more, less = large(80, 36, share=1.0).build.ram, trainer.build.ram
    assert less < more - 36 * 80 // 2


def test_a_layer_that_would_need_most_stays_alone() -> None:
    trainer = large(120, 24, 24, 24, 24, share=0.6)
    assert {*trainer.build.compiled.program.in_flash} == {"fc3_w", "fc4_w", "fc5_w"}


def test_sizes_alone_decide() -> None:
    net, x, _ = network()
    trainer = mg.compile(net, calibration=x, rule="sr12", sparse=FIXED)
    sizes = lowered(trainer.build.graph, trainer.options, sizes_only=True)
    built = trainer.build.compiled.program
    assert sizes.in_flash == built.in_flash
    for prefer in ("ram", "speed"):
        other = mg.compile(net, calibration=x, rule="sr12", sparse=FIXED, prefer=prefer)
        assert other.build.compiled.fingerprint == trainer.build.compiled.fingerprint


# -- what else there is ---------------------------------------------------------------------------------------------


def test_with_calls_that_run_again() -> None:
    net, x, y = network()
    how = {"rule": "sr12", "recompute": True, "prefer": "ram"}
    assert_same(whole(net, x, **how), part(net, x, **how), x, y)


def test_with_latents() -> None:
    net, x, y = network()
    how = {"rule": "sr8", "train": "last:2", "sparse": mg.Static({"fc1": (2, 7)})}
    inputs, latents = (part(net, x, replay_of=of, **how) for of in ("inputs", "latents"))
    assert latents.build.compiled.program.stores_latents
    found = []
    for trainer in (inputs, latents):
        for runner in (ReferenceRunner(trainer.build.compiled), HostTwin(trainer.build.compiled)):
            runner.begin_replay(8, 1, True, 7)
            found.append(learned(trainer, runner, x[:STEPS], y[:STEPS]))
    assert all(one[0] == found[0][0] and differences(found[0][1], one[1]) == [] for one in found)


@mcu
@pytest.mark.mcu
def test_memory_is_counted_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    for what in ("_all_calls", "_depths"):  # stack, for which firmware is linked once more
        monkeypatch.setattr(linked, what, lambda *_: ())
    net, x, _ = network()
    trainer = part(net, x, rule="sr12")
    found = linked.memory(trainer.build, trainer.emulate("cortex-m4f").device)
    ram, flash = ({p.key: p.bytes for p in parts_} for parts_ in (found.ram, found.flash))
    program, place = trainer.build.compiled.program, trainer.build.compiled.layout
    own = sum(b.size for b in program.in_space(Space.STATE) if b.name.endswith("_w"))
    assert ram["weights"] == own
    assert ram["weights"] + ram["learned"] + ram["state"] + ram["arena"] == place.size
    assert flash["initial"] == place.params_size
    assert flash["frozen"] == sum(program.buffers[each.frozen].size for each in program.in_flash.values())


def test_what_takes_most_is_said_of_it() -> None:
    """By kind, each byte once: what trains, its residual bits, and what is put together at the fullest moment."""
    net, x, _ = network()
    trainer = part(net, x, rule="sr16", prefer="ram")
    program, plan = trainer.build.compiled.program, trainer.build.compiled.plan
    found = {each.what: each.bytes for each in ram_consumers(program, plan)}
    sizes = {b.name: b.size for b in program.in_space(Space.STATE)}
    assert found["weights that train"] == sum(n for name, n in sizes.items() if name.endswith("_w"))
    assert found["residual planes"] == sum(n for name, n in sizes.items() if name.endswith("_residual"))
    assert found["weights of a layer, from flash and RAM"] == 2 * 6 * 42, "of conv3"
    assert sum(found.values()) == trainer.build.footprint.need


def test_other_rules_are_told_what_they_would_take() -> None:
    """Which rows are in flash depends on residual planes, so that no rule is told from another."""
    net, x, _ = network()
    made = {rule: mg.compile(net, calibration=x, rule=rule, sparse=FIXED) for rule in ("sr8", "sr12", "sr16")}
    sizes = Footprints(net, made["sr8"].build.scales, made["sr8"].options)
    for rule, trainer in made.items():
        assert sizes.of("all", updates(rule)) == trainer.build.footprint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: {"in_flash": {"nobody": p.in_flash["fc1_w"]}}, "nobody is none"),
        (lambda p: {"in_flash": {"fc1_b": p.in_flash["fc1_w"]}}, "fc1_b has rows of"),
        (
            lambda p: {"in_flash": {"fc1_w": replace(p.in_flash["fc1_w"], active="fc1_w")}},
            "listed by fc1_w of int8_t",
        ),
        (
            lambda p: {"in_flash": {"fc1_w": replace(p.in_flash["conv1_w"], frozen="fc1_w_frozen")}},
            "rows of fc1_w",
        ),
    ],
)
def test_rows_that_do_not_fit_break_a_rule(change: Callable[[Program], dict[str, Any]], said: str) -> None:
    program = all_of(plain())
    (found,) = violations(replace(program, **change(program)))
    assert said in found
