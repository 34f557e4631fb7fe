"""compile: a loaded network, and what is wanted of it, become a Trainer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mcugrad import concerns
from mcugrad.advice import as_one
from mcugrad.errors import DataError, UsageError
from mcugrad.fit_check import check_fit
from mcugrad.footprint import Room, limit
from mcugrad.given import demand_seed, is_whole
from mcugrad.graph import ActivationScale
from mcugrad.model import Model
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.options import Budget, Options, Preference
from mcugrad.passes.alike import drifting
from mcugrad.passes.assign_precision import Wanted
from mcugrad.passes.backward import enlarged
from mcugrad.passes.calibrate import Calibration, Method
from mcugrad.passes.freeze import Train
from mcugrad.passes.quantize import affine
from mcugrad.pipeline import Build, build, calibrate
from mcugrad.plan import Planning
from mcugrad.program import Program
from mcugrad.state import defect
from mcugrad.targets import Target, kib
from mcugrad.targets import load as load_target
from mcugrad.trainer import Trainer
from mcugrad.training.features import OF_PREDICTION
from mcugrad.training.features import features as features_named
from mcugrad.training.losses import LabelKind, Loss
from mcugrad.training.rate_grid import usual
from mcugrad.training.replay import ReplayOf
from mcugrad.training.rules import RuleChoice, Updates, updates
from mcugrad.training.schedules import Kind, Schedule, named, rate_given
from mcugrad.training.sparse import Choice

SMALLEST = 255e-30
"""Range of labels from which on they have a scale: `passes.quantize.affine`."""
_log = logging.getLogger(__name__)


def compile(  # noqa: A001  (mcugrad.compile, as torch.compile)
    model: Model,
    *,
    calibration: NDArray[Any] | None = None,
    train: Train = "all",
    rule: RuleChoice = "sr16",
    sparse: Choice | None = None,
    loss: str | Loss = "cross_entropy",
    typical_labels: NDArray[Any] | None = None,
    target: str | Target | None = None,
    rate: float | Literal["auto"] | None = None,
    schedule: Kind | Schedule = "constant",
    steps: int | None = None,
    seed: int = 0,
    calibration_method: Method = "mse",
    percentile: float = 99.99,
    precision: Wanted = "int8",
    class_names: Sequence[str] | None = None,
    prefer: Preference = "balanced",
    ram: int | str | None = None,
    features: str | Sequence[str] = "all",
    replay_of: ReplayOf = "inputs",
    plan: Planning = "greedy",
    recompute: bool = False,
) -> Trainer:
    """Turn a model into firmware that learns.

    Args:
        model: from `load`.
        calibration: a few hundred typical inputs in real units, (n, *input shape); not needed for a model that is
            int8 in the file, nor in float32 for one whose input is.
        train: `all`, `last:N`, `bias`, `none`, or names of layers.
        loss: `cross_entropy`, `binary_cross_entropy`, `mse`, `mae`, `huber`, or a Loss with options.
        typical_labels: some labels in real units, (n, outputs): their range is what the device's int8 labels span;
            for losses on values.
        rule: how weights are stored and updated: `sr16` (2 bytes a weight), `sr12` (1.5), `sr10` (1.25), `sr8`
            (1), `qas`, `standardized`; or an Update, which is a rule with options; or either of them by layer,
            `{"fc2": "sr8", "*": mg.Update("sr12", momentum=0.9)}`, sr16 for layers not named.
        sparse: update a part of each layer's channels: `Sparse(0.1, 1.0)` chooses for every sample, `Static` once;
            or one of these per layer.
        target: a board or core, checked for fit; None checks nothing.
        rate: learning rate at delivery, finite and not negative. Not given, or `auto`: `fit` looks for one, and a
            device begins with the usual one, 0.01 * (1 - momentum) * batch (sqrt(8 * batch) for batches above 8), and
            0.001 with `standardized`.
        schedule: how the rate runs on a device from delivery on: `constant`, `cosine`, `linear`, or a Schedule, with a
            warm-up or a decay; `fit` has one of its own.
        steps: training steps that `cosine` and `linear` span, the warm-up included.
        seed: of the device's random numbers, 32 bits.
        calibration_method: `mse` for the least squared error, `minmax` to take all values in, or `percentile`.
        percentile: kept on each side, for `percentile`.
        precision: `int8`; `mixed`, in which layers that train, and what follows them, are float32 and learn by plain
            SGD; or `float32` for the whole network. `rule` is for int8 layers.
        class_names: what the outputs are called, one name each, for generated code.
        prefer: how much memory kernels get to be faster, beside what is free in between: with `balanced` a little, at
            most a 16th of all RAM or 4 KiB, as long as each per cent saves a per cent of the instructions; with `speed`
            all that saves any; with `ram` none. None of them changes a byte of what is computed.
        ram: bytes that model, sample, stack and caller may take together, as a number or as `64K`; those of the target
            if not given.
        plan: how places in the working memory are looked for: `greedy`, or `exact`, where the solver CP-SAT looks for a
            smaller plan, or the proof that there is none, wherever more is taken than is needed at once. It needs the
            extra `plan`, takes up to half a minute, and changes not a byte of what is computed.
        recompute: let calls of the forward pass run again in the backward pass, so that what they make need not be
            kept: with `prefer="balanced"` as far as RAM in all times instructions gets smaller, with `ram` as far as
            RAM does, with `speed` no further than `ram=` or the target asks. Same learned bytes and fingerprint.
        features: what the generated code has beside predictions and training steps: `all`, `none`, or names of
            some; docs/device.md lists them and says what each takes. A linker that drops what is never called, as all
            for microcontrollers can, makes this a matter of how much there is to read.
        replay_of: what replay buffers hold of samples, on the device and in `fit`: `inputs`, or `latents`, what the
            layers that do not train make of them, so that a step on a stored sample skips these layers. The learned
            bytes are the same. What a sample takes is `trainer.build.compiled.program.stored`.

    Raises:
        DataError: the samples cannot be used.
        UsageError: an option makes no sense.
        ModelError: a layer is too large for exact 32-bit sums.
        FitError: RAM or flash does not suffice.
    """
    if not isinstance(model, Model):
        raise UsageError(
            f"compile takes a loaded network, not {type(model).__name__}",
            where="model",
            hint="mg.compile(mg.load(...), ...)",
        )
    demand_seed(seed)
    given = rate_given(rate)
    goal = target_given(target)
    course = _course(schedule)
    length = _steps(course, steps)
    wanted, chosen = _loss(loss, model.classes), updates(rule)
    _demand_precision(precision, chosen)
    if isinstance(train, str) and train == "none":
        _demand_no_training(sparse=sparse, schedule=schedule, steps=steps, rate=given)
    names, values = _names(class_names, model.classes), _label_scale(wanted, typical_labels, model.classes)
    options = Options(
        train,
        chosen,
        seed,
        usual((chosen.rest, *(each for _, each in chosen.named))) if given is None else given,
        wanted,
        values,
        precision,
        sparse,
        class_names=names,
        rate_given=given is not None,
        schedule=course,
        steps=length,
        budget=_budget(prefer, ram, goal),
        features=_features(features, train, wanted),
        replay_of=_replay_of(replay_of, train),
        plan=_planning(plan),
        recompute=_recompute(recompute, train),
    )
    method = Calibration(calibration_method, percentile)
    scales = calibrate(model, calibration, method, options.precision, options.train)
    with defect.told(model, scales, options):
        result = build(model, scales, options)
    if replay_of == "latents":
        _demand_latents(result.compiled.program, len(model.layers))
    if (room := _room(goal, ram)) is not None:
        check_fit(model, scales, options, result, room)
    concerns.warn(_concerns(model, result, options, goal))
    needed = result.footprint
    _log.info(
        "%s needs %s of RAM, %d bytes kept for stack and caller", model.name, kib(needed.ram), needed.reserve
    )
    return Trainer(model, result, goal, options)


def _concerns(model: Model, result: Build, options: Options, goal: Target | None) -> list[str]:
    """What a user should know of what was compiled."""
    program = result.compiled.program
    found = [] if goal is None else concerns.of_flash(result.constants, program.trains, goal)
    if program.trains:
        found = [
            *found,
            *concerns.of_loss(options.loss, model.input_shape, _outputs(model)),
            *concerns.of_policies(*enlarged(result.graph)),
            *drifting(model.layers, result.graph, weights=options.train != "bias"),
            *concerns.of_latents(program),
        ]
    return found


def _demand_precision(precision: Any, chosen: Updates) -> None:
    """Raises UsageError for what is no precision, and for options of rules where weights are float32."""
    if precision not in get_args(Wanted):
        raise UsageError(
            f"unknown precision {precision!r}",
            where="precision",
            hint=f"one of {', '.join(get_args(Wanted))}",
        )
    if precision != "int8" and not chosen.are_plain:
        raise UsageError(
            f"options of update rules do not apply to precision={precision!r}: weights in float32 train by SGD",
            where="rule",
            hint="precision='int8', or no momentum, batch, weight_decay and clip",
        )


def target_given(target: str | Target | None) -> Target | None:
    """A board or core by its name or as it is. Raises UsageError for what is none."""
    found = load_target(target) if isinstance(target, str) else target
    if not isinstance(found, Target | None):
        raise UsageError(
            f"target={target!r} is no board or core", where="target", hint="its name: target='nrf52840'"
        )
    return found


def _demand_no_training(
    *, sparse: Choice | None, schedule: Kind | Schedule, steps: int | None, rate: float | None
) -> None:
    """Raises UsageError for options of a training where there is none."""
    given = {
        "sparse": sparse is not None,
        "schedule": schedule not in ("constant", Schedule()),
        "steps": steps is not None,
        "rate": rate is not None,
    }
    named = [f"{name}=" for name, is_there in given.items() if is_there]
    if named:
        raise UsageError(
            f"nothing trains, so that {' and '.join(named)} {'has' if len(named) == 1 else 'have'} no effect",
            where=named[0].rstrip("="),
            hint=f"train='last:1' or another that trains, or no {' and no '.join(named)}",
        )


def _features(wanted: str | Sequence[str], train: Train, loss: Loss) -> frozenset[str]:
    """What a firmware has. Raises UsageError for what it cannot have."""
    found = features_named(wanted)
    if wanted == "all":
        return found
    if train == "none" and (names := sorted(found - OF_PREDICTION)):
        raise UsageError(
            f"nothing trains, so that there is no {' or '.join(names)} to have",
            where="features",
            hint=f"some of {', '.join(sorted(OF_PREDICTION))}, or train='last:1'",
        )
    if "soft" in found and loss.label_kind is not LabelKind.CLASS:
        raise UsageError(
            f"the loss {loss.name} has no classes that a distribution could be about",
            where="features",
            hint="features without soft",
        )
    return found


def _replay_of(wanted: Any, train: Train) -> ReplayOf:
    """What replay buffers hold. Raises UsageError for what there is not."""
    if wanted not in get_args(ReplayOf):
        raise UsageError(
            f"a replay buffer holds no {wanted!r}",
            where="replay_of",
            hint=f"one of {', '.join(get_args(ReplayOf))}",
        )
    if wanted == "latents" and isinstance(train, str) and train == "none":
        raise UsageError(
            "nothing trains, so that nothing is replayed",
            where="replay_of",
            hint="train='last:1' or another that trains, or no replay_of=",
        )
    found: ReplayOf = wanted
    return found


def _planning(wanted: Any) -> Planning:
    """How to plan. Raises UsageError for what is no way to."""
    if wanted not in get_args(Planning):
        raise UsageError(
            f"plan={wanted!r} is no way to look for places in the working memory",
            where="plan",
            hint=" or ".join(map(repr, get_args(Planning))),
        )
    found: Planning = wanted
    return found


def _recompute(wanted: Any, train: Train) -> bool:
    """Whether calls may run again. Raises UsageError where there is no backward pass to do it in."""
    if not isinstance(wanted, bool):
        raise UsageError(
            f"recompute={wanted!r} is neither yes nor no", where="recompute", hint="True or False"
        )
    if wanted and isinstance(train, str) and train == "none":
        raise UsageError(
            "nothing trains, so that nothing is kept for a backward pass",
            where="recompute",
            hint="train='last:1' or another that trains, or no recompute=",
        )
    return wanted


def _demand_latents(program: Program, layers: int) -> None:
    """Raises UsageError where no layer is frozen in front of the first that trains."""
    if not program.stores_latents:
        raise UsageError(
            "there are no latents: the first layer of the network trains, so that all of it runs for each step",
            where="replay_of",
            hint=f"train='last:{max(layers // 2, 1)}' or fewer of the {layers} layers, or replay_of='inputs'",
        )


def _course(schedule: Any) -> Schedule:
    """The schedule of a firmware."""
    if callable(schedule):
        raise UsageError(
            "a firmware cannot follow a function of Python as its schedule",
            where="schedule",
            hint="a name or mg.Schedule(...) here; fit(schedule=) takes functions, and <name>_set_rate any rate",
        )
    return named(schedule)


def _steps(course: Schedule, steps: Any) -> int:
    """Steps of a schedule at delivery; 0 where it has no end."""
    if steps is None and course.kind in ("cosine", "linear"):
        raise UsageError(
            f"a {course.kind} ends after some steps, and how many a device will take is not said",
            where="schedule",
            hint="steps=5000, or schedule='constant'",
        )
    if steps is not None and not (is_whole(steps) and 0 <= steps < 2**32):
        raise UsageError(
            f"steps={steps!r} is no number of steps that a device can count",
            where="steps",
            hint=f"5000; at most {2**32 - 1}",
        )
    return 0 if steps is None else int(steps)


def _budget(prefer: Any, ram: Any, goal: Target | None) -> Budget:
    """Memory that kernels may have to be faster."""
    if prefer not in get_args(Preference):
        raise UsageError(
            f"prefer={prefer!r} is no way to spend memory",
            where="prefer",
            hint=" or ".join(map(repr, get_args(Preference))),
        )
    allowed = limit("ram", ram, goal)
    if ram is not None and prefer == "ram":
        raise UsageError(
            "ram= says how much all may take; with prefer='ram' that is as little as can be",
            where="ram",
            hint="prefer='balanced' or prefer='speed', or no ram=",
        )
    found = Budget.on(goal, prefer)
    return found if allowed is None else replace(found, ram=allowed)


def _room(goal: Target | None, ram: Any) -> Room | None:
    """The memory that there is; None where nobody says."""
    room = None if goal is None else Room.of(goal)
    allowed = limit("ram", ram, goal)
    if allowed is None:
        return room
    return Room(allowed, None if room is None else room.flash, f"ram={ram} allows", goal)


def _outputs(model: Model) -> tuple[int, ...]:
    """Shape of the outputs, before they are made a vector."""
    name = model.graph.output
    while isinstance(node := model.graph.producer(name), Flatten):
        name = node.x
    return model.graph[name].shape


def _names(names: Sequence[str] | None, outputs: int) -> tuple[str, ...]:
    found = () if names is None else (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in found):
        raise UsageError(f"class_names={names!r} are no texts", where="class_names", hint="['yes', 'no']")
    if names is not None and len(found) != outputs:
        raise UsageError(
            f"{len(found)} class names for {outputs} outputs",
            where="class_names",
            hint="one for each, in order",
        )
    return tuple(str(name) for name in found)


def _loss(loss: str | Loss, outputs: int) -> Loss:
    found = Loss(loss) if isinstance(loss, str) else loss
    if not isinstance(found, Loss):
        raise UsageError(f"loss={loss!r} is no loss", where="loss", hint="'cross_entropy', or mg.Loss(...)")
    if found.class_weights and len(found.class_weights) != outputs:
        raise UsageError(
            f"{len(found.class_weights)} class weights for {outputs} classes",
            where="loss",
            hint="one per class",
        )
    return found


def _label_scale(loss: Loss, labels: NDArray[Any] | None, outputs: int) -> ActivationScale | None:
    if loss.label_kind is not LabelKind.VALUES:
        if labels is not None:
            raise UsageError(
                f"the loss {loss.name} takes no values, so that their range is of no use",
                where="typical_labels",
                hint="loss='mse', or no typical_labels=",
            )
        return None
    array = np.asarray([] if labels is None else labels)
    if array.dtype.kind not in "iubf" or array.size == 0 or not np.isfinite(array).all():
        raise DataError(
            f"the loss {loss.name} needs typical labels to know their range, finite numbers",
            where="typical_labels",
            hint="typical_labels=y[:256]; for an autoencoder the samples themselves",
        )
    _demand_size(loss, array, outputs)
    return affine("label", float(array.min()), float(array.max()))


def _demand_size(loss: Loss, labels: NDArray[Any], outputs: int) -> None:
    """Raises DataError for values whose loss is no float32, or whose range is none."""
    low, high = min(float(labels.min()), 0.0), max(float(labels.max()), 0.0)
    largest = outputs * (high - low) * (high - low if loss.name == "mse" else max(loss.delta, 1.0))
    if largest > float(np.finfo(np.float32).max):
        what = f"the loss {loss.name} of an error as large, {largest:.2g}, is beyond float32"
    elif 0 < high - low < SMALLEST:
        what = "a 255th of that is too small a step for the device"
    else:
        return
    raise DataError(
        f"labels go from {low:.3g} to {high:.3g}: {what}",
        where="typical_labels",
        hint=as_one(max(-low, high)),
    )
