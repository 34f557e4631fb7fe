"""From what the user names to what the library takes: networks, samples in real units, trainers.

Samples are divided by a scale on their way into the network: 255 for bytes, 16 for the digits (bytes that end
at 16), 32768 for 16-bit integers, 1 for all other numbers; `--scale` says otherwise. Images with one channel
need no axis for it; images that are stored channels first are turned to (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mcugrad import layouts
from mcugrad.commands.options import DEFAULT_POLICY
from mcugrad.encoding import begins_at_one
from mcugrad.errors import DataError, UsageError
from mcugrad.files import kind_of
from mcugrad.model import Model, load
from mcugrad.report.quantities import CostTable, built_with, cost_table
from mcugrad.report.scores import Score, number
from mcugrad.training.augment import Augment
from mcugrad.training.losses import LabelKind, Loss
from mcugrad.training.replay import Replay
from mcugrad.training.rules import RuleChoice, Update
from mcugrad.training.rules.update import REST
from mcugrad.training.sparse import Sparse
from mcugrad.zoo import data, model_names, model_path, nets

if TYPE_CHECKING:
    from mcugrad.trainer import Trainer
    from mcugrad.training.sparse import Policy

CHANGES = ("shift", "gain", "offset", "noise")
"""What --augment may name."""
MEASURED_SAMPLES = 8
"""Samples that a cost is measured with."""
MADE_UP = 32
"""Samples of noise."""


def network(text: str, name: str | None = None) -> Model:
    """The network in a file, or one that comes along. Raises UsageError, ModelError."""
    kind = kind_of(Path(text))
    if text in model_names() and kind != "a file":
        return load(model_path(text), name=name)
    if not kind and "/" not in text and not text.endswith((".onnx", ".tflite")):
        raise UsageError(
            f"there is neither a file nor a network named {text!r}",
            where="MODEL",
            hint=f"the path of an .onnx or .tflite file, or {', '.join(model_names())}",
        )
    return load(text, name=name)


@dataclass(frozen=True, eq=False)
class Samples:
    """A data set in real units, as one network takes it.

    Attributes:
        x: training samples, float32, (n, *input shape).
        y: what the loss takes: classes, int64 (n,); labels that apply, uint8 (n, outputs); or values in real units,
            float32 (n, outputs).
        x_test: held-out samples; None if there are none.
        y_test: what the loss takes of these; None if there are none.
        text: what it is, in a line.
        notes: what a user should know about it.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    x_test: NDArray[np.float32] | None
    y_test: NDArray[Any] | None
    text: str
    notes: tuple[str, ...] = ()

    @property
    def held_out(self) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """Held-out samples and what the loss takes of them; None if there are none."""
        return None if self.x_test is None or self.y_test is None else (self.x_test, self.y_test)

    def spaced(self, count: int) -> NDArray[np.intp]:
        """Up to `count` indices of training samples, evenly spaced, so that sorted classes are all met."""
        return np.unique(np.linspace(0, len(self.x) - 1, min(count, len(self.x))).round().astype(np.intp))


def samples(
    source: str,
    model: Model,
    scale: float | None,
    loss: str = "cross_entropy",
    option: str = "--data",
) -> Samples:
    """A data set for a network, which an option names.

    Raises:
        UsageError: unknown name or loss, or a scale that makes no sense.
        DataError: the data cannot be used, or does not fit the network or the loss.
    """
    found = data.load(source, loss=loss)
    divisor = default_scale(found.name, found.x_train.dtype) if scale is None else scale
    if not (np.isfinite(divisor) and divisor > 0):
        raise UsageError(
            f"samples cannot be divided by {divisor:g}", where="--scale", hint="a number above 0, such as 255"
        )
    if found.label_kind is LabelKind.CLASS:
        _check_classes(found, model, option)
    else:
        _check_outputs(found, model, option)
    x = prepared(found.x_train, model, divisor, option)
    held_out = len(found.x_test) > 0
    shape = "x".join(map(str, found.sample_shape))
    parts = f"{len(x)} samples to train, {len(found.x_test)} held out"
    return Samples(
        x,
        found.y_train,
        prepared(found.x_test, model, divisor, option) if held_out else None,
        found.y_test if held_out else None,
        f"{found.name}: {parts}, {shape} {found.x_train.dtype}{_turned_text(found, model)} divided by "
        f"{divisor:g}{_wanted_text(found)}",
        _scale_notes(found, divisor, given=scale is not None),
    )


def made_up(model: Model, loss: str = "cross_entropy") -> Samples:
    """Noise as a network takes it, where there are no data. Raises UsageError for a loss that there is not."""
    shape, random = model.input_shape, np.random.default_rng(0)
    x = np.moveaxis(nets.noise((shape[-1], *shape[:-1]), MADE_UP, 0), 1, -1)
    kinds: dict[LabelKind, NDArray[Any]] = {
        LabelKind.CLASS: np.arange(MADE_UP) % model.classes,
        LabelKind.BITS: random.integers(0, 2, (MADE_UP, model.classes)).astype(np.uint8),
        LabelKind.VALUES: random.normal(size=(MADE_UP, model.classes)).astype(np.float32),
    }
    text = f"made up: {MADE_UP} samples of noise; --data has real ones, in whose steps more may be zero"
    return Samples(np.ascontiguousarray(x), kinds[Loss(loss).label_kind], None, None, text)


def _turned_text(found: data.Dataset, model: Model) -> str:
    return " (channels first, turned)" if layouts.turned(found.sample_shape, model.input_shape) else ""


def _scale_notes(found: data.Dataset, divisor: float, *, given: bool) -> tuple[str, ...]:
    """Says of samples that a rule of ours changes their unit where a network may well have been trained without."""
    if given or found.x_train.dtype != np.int16:
        return ()
    low, high = found.x_train.min() / divisor, found.x_train.max() / divisor
    return (
        f"samples are 16-bit integers and divided by {divisor:g}, so that they go from {low:.4g} to {high:.4g}; "
        f"--scale 1 takes them as they are",
    )


def _wanted_text(found: data.Dataset) -> str:
    """What the samples are labelled with, where it is no class."""
    if found.label_kind is LabelKind.CLASS:
        return ""
    answer = Score(found.label_kind, found.y_train.shape[1]).answer
    if found.label_kind is LabelKind.BITS:
        return f", {answer}"
    return f", {answer} from {number(found.y_train.min())} to {number(found.y_train.max())}"


def default_scale(name: str, dtype: np.dtype[Any]) -> float:
    """What samples are divided by when nothing is said."""
    if name == "digits" and dtype == np.uint8:
        return 16.0
    return {"uint8": 255.0, "int16": 32768.0}.get(dtype.name, 1.0)


def prepared(x: NDArray[Any], model: Model, divisor: float, option: str = "--data") -> NDArray[np.float32]:
    """Samples in real units and in the network's shape, as far as that can be told."""
    shape = model.input_shape
    axes = layouts.turned(x.shape[1:], shape)
    if axes is not None:
        x = x.transpose(axes)
    elif len(shape) == 1 and x[0].size == shape[0]:
        x = x.reshape(len(x), -1)
    x = layouts.arranged(x, shape)
    if x.shape[1:] != shape:
        raise DataError(
            f"the samples are {_shape(x.shape[1:])}, the network takes {_shape(shape)}",
            where=option,
            hint=layouts.hint(x.shape, shape, "x_train"),
        )
    with np.errstate(over="ignore"):
        real: NDArray[np.float32] = x.astype(np.float32) / np.float32(divisor)
    beyond = np.flatnonzero(~np.isfinite(real).reshape(len(real), -1).all(axis=1))
    if len(beyond):
        raise DataError(
            f"samples divided by {divisor:g} are beyond float32: {len(beyond)} of {len(real)}, "
            f"first sample {beyond[0]}",
            where=option,
            hint="smaller numbers, or a larger --scale",
        )
    return real


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "single numbers"


def _check_classes(found: data.Dataset, model: Model, option: str) -> None:
    top = int(max(found.y_train.max(), found.y_test.max(initial=0)))
    if top >= model.classes:
        labels = np.concatenate([found.y_train, found.y_test])
        wrong = labels >= model.classes
        raise DataError(
            f"{int(wrong.sum())} of {len(labels)} labels are outside the {model.classes} classes of "
            f"{model.name}; the highest is {top}",
            where=option,
            hint=f"labels 0 to {model.classes - 1}"
            + (";  y_train - 1, if they begin at 1" if begins_at_one(labels, model.classes) else ""),
        )


def _check_outputs(found: data.Dataset, model: Model, option: str) -> None:
    count, y = found.y_train.shape[1], found.y_train
    if count == model.classes:
        return
    outputs = f"{model.classes} output{'s' if model.classes > 1 else ''}"
    may_be_classes = count == 1 and bool(np.isin(y, np.arange(model.classes)).all())
    raise DataError(
        f"y_train has {Score(found.label_kind, count).answer} for each sample, {model.name} has {outputs}",
        where=option,
        hint=f"y_train of shape ({len(y)}, {model.classes})"
        + (";  --loss cross_entropy, if these are classes" if may_be_classes else ""),
    )


def rules(
    texts: Sequence[str],
    *,
    batch: int,
    momentum: float,
    velocity_bits: int,
    weight_decay: float,
    clip: float | None,
) -> RuleChoice:
    """What `--rule` and its options say: `sr12`, `fc2=sr8`; the options hold for all layers.

    Where some layers have a plane of changes and others have none, `velocity_bits` is of the former.

    Raises:
        UsageError: a layer is named twice, or an option makes no sense.
    """
    update = partial(Update, momentum=momentum, batch=batch, weight_decay=weight_decay, clip=clip)
    chosen: dict[str, Update] = {}
    for text in texts:
        layer, _, name = text.rpartition("=")
        if (layer or REST) in chosen:
            raise UsageError(
                f"--rule is given twice for {layer or 'the layers that are not named'}",
                where="--rule",
                hint="once, and once per layer: --rule sr12 --rule fc2=sr8",
            )
        chosen[layer or REST] = update(name)
    chosen.setdefault(REST, update("sr16"))
    planes = [layer for layer, each in chosen.items() if each.has_plane] or list(chosen)
    return chosen | {layer: replace(chosen[layer], velocity_bits=velocity_bits) for layer in planes}


def sparse_choice(share: str | None, policy: str, samples: float | None) -> Sparse | None:
    """`0.1` or `0.1:1.0` as a policy, with a share of the samples. Raises UsageError for what is none."""
    whole: dict[str, Any] = {} if samples is None else {"samples": samples}
    if share is None:
        if policy == DEFAULT_POLICY and whole:
            return Sparse(**whole)
        if policy != DEFAULT_POLICY:
            raise UsageError(
                "a policy chooses a share of the channels, and none is given",
                where=f"--sparse-policy {policy}",
                hint=f"--sparse 0.1 --sparse-policy {policy}",
            )
        return None
    try:
        numbers = [float(part) for part in share.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or numbers[-1] == 0:  # 0 is what Sparse takes for none given
        raise UsageError(
            f"--sparse {share} is no share of channels",
            where="--sparse",
            hint="0.1, or 0.1:1.0 to follow the loss",
        )
    return Sparse(numbers[0], numbers[-1], cast("Policy", policy), **whole)  # checked there


def replay_choice(old: Samples | None, capacity: int | None, *, remember: bool, seed: int) -> Replay | None:
    """Which of the old samples are trained again. Raises UsageError where an option lacks the one it builds on."""
    if capacity is None:
        if remember:
            raise UsageError(
                "there are no replayed samples to remember",
                where="--remember",
                hint="--replay 64 --old DATA, too",
            )
        return None
    if old is None:
        raise UsageError(
            "there are no old samples to replay",
            where=f"--replay {capacity}",
            hint="--old with the data that the network knows",
        )
    return Replay(capacity, source=(old.x, old.y), seed=seed, remember=remember)


def augment_choice(text: str | None, seed: int) -> Augment | None:
    """`shift=2,noise=0.02` as changes of samples. Raises UsageError for what is none."""
    if text is None:
        return None
    sizes: dict[str, float] = {}
    for part in text.split(","):
        name, _, size = part.partition("=")
        try:
            if name not in CHANGES or name in sizes:
                raise ValueError
            sizes[name] = int(size) if name == "shift" else float(size)
        except ValueError:
            raise UsageError(
                f"{part!r} is no change of samples",
                where=f"--augment {text}",
                hint="shift=2,gain=0.1,offset=0.05,noise=0.02, or some of these",
            ) from None
    shift = int(sizes.pop("shift", 0))
    return Augment(shift, **sizes, seed=seed)


def measured(made: Trainer, found: Samples) -> CostTable:
    """What the firmware costs on its target, from a few emulated calls."""
    few = found.spaced(MEASURED_SAMPLES)
    cost = made.measure(found.x[few], found.y[few])
    runs = f"{len(few)} predictions" + (f" and {len(few)} training steps" if cost.step else "")
    runs += "" if cost.taken is None else f" that are taken, and {len(few)} that are left out"
    return cost_table(cost, name=made.model.name, built_with=built_with(), runs=runs)
