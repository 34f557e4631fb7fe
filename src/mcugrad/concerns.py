"""Concerns: what a user should know although nothing fails. The library warns of them, the command line notes them.

Each function gives sentences with numbers, none where all is well. `warn` turns them into `McugradWarning`, so that
`warnings.filterwarnings("error", category=mg.McugradWarning)` stops at them and `"ignore"` silences them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.advice import rescaled
from mcugrad.errors import McugradWarning
from mcugrad.graph import ActivationScale
from mcugrad.program import Program
from mcugrad.targets import Target, kib
from mcugrad.training.losses import LabelKind, Loss

OUTSIDE = 0.01
"""Share of values beyond the range of the input from which on it is told."""
NARROW = 8
"""Of the 256 steps of the input: values that span fewer are told."""
FEW = 16
"""Samples: fewer may well look alike."""
PER_CLASS = 4
"""Samples for each class from which on a class without any is told."""
LISTED = 6
"""Classes that are named one by one."""
DEEPEST = 4
"""Layers in a row whose errors may be enlarged by 1 / odds: beyond, the factors multiply too often."""
CODE, CODE_INFERENCE = (5 << 10, 40 << 10), (1 << 10, 8 << 10)
"""Bytes of code beside the constants: little of it in small networks with -Os, much in larger ones with -O3."""
_PACKAGE = str(Path(__file__).parent)


def warn(texts: Iterable[str]) -> None:
    """Warn of concerns, in the name of the line outside of this package that called it."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    for text in texts:
        warnings.warn(text, McugradWarning, stacklevel=level)


@contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Tells a listener the concerns of what is called meanwhile, in place of warnings."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, McugradWarning):
                listener(str(message))
            else:
                show(message, category, *rest, **more)

        warnings.simplefilter("always", McugradWarning)
        warnings.showwarning = tell
        yield


def of_samples(x: NDArray[np.float32], quant: ActivationScale, what: str) -> list[str]:
    """Says of samples that they cannot be in the units of the network.

    Args:
        x: finite, (n, *input shape), in real units.
        quant: of the input; its range is that of the calibration samples, or the file's.
        what: what they are called.
    """
    low, high = quant.span
    least, most = float(x.min()), float(x.max())
    margin = quant.scale / 2
    if least < low - margin or most > high + margin:
        count = int(np.count_nonzero((x < low - margin) | (x > high + margin)))
        if count < OUTSIDE * x.size:
            return []
        return [
            f"{count} of {x.size} values of {what} ({count / x.size:.1%}) are outside of {low:.4g} to {high:.4g}, the "
            f"range that the input was calibrated for; they go from {least:.4g} to {most:.4g} and count as the nearer "
            f"end; {_remedy(x, least, most, max(-low, high), what)}"
        ]
    steps = (most - least) / quant.scale
    if len(x) >= FEW and steps < NARROW:
        return [
            f"the values of {what} go from {least:.4g} to {most:.4g}, {int(steps) + 1} of the 256 steps of an input "
            f"that was calibrated for {low:.4g} to {high:.4g}; are they divided by too much?"
        ]
    return []


def _remedy(x: NDArray[np.float32], least: float, most: float, end: float, what: str) -> str:
    """What to do about values that are too large for an input whose range ends at about 1, or elsewhere."""
    if end <= 1.5 and most - least > 16 and bool((x == np.rint(x)).all()):
        if least >= 0 and most <= 255:
            return f"try {what} / 255"
        if least >= -32768 and most <= 32767:
            return f"try {what} / 32768"
    return "are they scaled as the calibration samples were?"


def of_labels(y: NDArray[Any], quant: ActivationScale, what: str) -> list[str]:
    """Says of labels that are values that the device has no codes for some of them.

    Args:
        y: finite, in real units.
        quant: of labels; its range is that of the typical ones.
        what: what they are called.
    """
    low, high = quant.span
    margin = quant.scale / 2
    count = int(np.count_nonzero((y < low - margin) | (y > high + margin)))
    if count == 0:
        return []
    return [
        f"{count} of {y.size} values of {what} ({count / y.size:.1%}) are outside of {low:.4g} to {high:.4g}, the "
        f"range of the typical labels; they go from {y.min():.4g} to {y.max():.4g} and count as the nearer end, in "
        f"training and in scores; compile with typical labels that go as far (on the command line y_train)"
    ]


def of_classes(
    trained: NDArray[Any], outputs: int, held_out: NDArray[Any] | None = None, what: str = "y"
) -> list[str]:
    """Says of classes that nothing is learned of them.

    Args:
        trained: classes of the samples to train with, replayed ones included, (n,).
        outputs: number of classes that the network knows.
        held_out: classes of the samples that it is tested with; None for none.
        what: what the former are called.
    """
    counts = np.bincount(trained, minlength=outputs)
    missing = np.flatnonzero(counts == 0)
    texts = []
    if held_out is not None and missing.size:
        unseen = np.isin(held_out, missing)
        if unseen.any():
            texts.append(
                f"{int(unseen.sum())} of {len(held_out)} held-out samples are of classes without a sample in {what}: "
                f"{_listed(np.unique(held_out[unseen]))}; nothing is learned of them"
            )
    if not texts and missing.size and len(trained) >= PER_CLASS * outputs:
        texts.append(
            f"{missing.size} of {outputs} classes have no sample in {what}: {_listed(missing)}; what the network knows "
            f"of them is likely to be forgotten (replay keeps it)"
        )
    return texts


def of_loss(loss: Loss, given: tuple[int, ...], outputs: tuple[int, ...]) -> list[str]:
    """Says of a network that the loss takes its outputs for what they can hardly be.

    Args:
        loss: what it is to be trained with.
        given: shape of its input.
        outputs: shape of its output.
    """
    count = int(np.prod(outputs))
    if loss.label_kind is not LabelKind.CLASS:
        return []
    if count == 1:
        return [
            f"the network has one output, and the loss {loss.name} of a single class is always 0: nothing is learned; "
            f"for yes or no take loss='binary_cross_entropy', for a value loss='mse'"
        ]
    as_one = f"the loss {loss.name} takes for one choice among {count:,} classes"
    shape = "x".join(map(str, outputs))
    if count == int(np.prod(given)) and count > FEW:
        return [
            f"the network has as many outputs as inputs, {shape}, which {as_one}; for an autoencoder take loss='mse' "
            f"with typical_labels= the samples (on the command line --loss mse, y_train = x_train)"
        ]
    if len(outputs) > 1 and int(np.prod(outputs[:-1])) > 1:
        places = "x".join(map(str, outputs[:-1]))
        return [
            f"the network has {outputs[-1]} outputs at each of {places} places, which {as_one}; for a class per place "
            f"take loss='binary_cross_entropy' with labels (n, {count}), 1 where a class applies; for values loss='mse'"
        ]
    return []


def of_values(labels: float, outputs: float) -> list[str]:
    """Says of values that they are of another size than what the network says, so that hardly a rate suits.

    Args:
        labels: the largest magnitude of what it is to say.
        outputs: likewise of what it says before training.
    """
    remedy = rescaled(labels, outputs)
    if not remedy:
        return []
    return [
        f"labels go up to {labels:.3g} in magnitude, outputs of the network to {outputs:.3g} before training: hardly "
        f"a learning rate suits both; try {remedy}"
    ]


def of_flash(constants: int, trains: bool, target: Target) -> list[str]:
    """Says of constants that they may leave too little flash for code.

    Args:
        constants: bytes of them.
        trains: whether there is code that trains.
        target: for which.
    """
    small, fast = CODE if trains else CODE_INFERENCE
    left = target.flash.bytes - constants
    if left >= fast:
        return []
    return [
        f"constants leave {kib(left)} of the {kib(target.flash.bytes)} of flash of {target.name}, "
        f"and code, which comes on top, takes {small / 1024:.0f} to {fast / 1024:.0f} KiB in most networks, with -Os a "
        f"third of that with -O3; measure() and verify(), or mcugrad compile without --no-measure, link and count it"
    ]


def of_latents(program: Program) -> list[str]:
    """Says of latents that they take more memory than the samples that they are of.

    Args:
        program: that may store latents.
    """
    size, given = program.stored, program.buffers[program.input].count
    if size <= given:
        return []
    return [
        f"a stored sample takes {size:,} bytes as latents and {given:,} as an input: replay of latents saves time "
        f"here, not memory; a later layer to train from may have fewer, or replay_of='inputs'"
    ]


def of_policies(in_a_row: int, names: Iterable[str]) -> list[str]:
    """Says of partial updates that they are likely to destroy what a deep network knows.

    Args:
        in_a_row: layers behind each other that draw their channels and enlarge the errors that they hand down.
        names: of the policies that do.
    """
    if in_a_row <= DEEPEST:
        return []
    return [
        f"{in_a_row} layers in a row choose channels by the policy {' or '.join(sorted(names))}, which enlarges the "
        f"errors of drawn channels by 1 / odds and hands them down: beyond {DEEPEST} layers the factors multiply, and "
        f"training tends to destroy what the network knows; try the policy 'split', or train='last:{DEEPEST + 1}'"
    ]


def _listed(classes: NDArray[Any]) -> str:
    named = ", ".join(map(str, classes[:LISTED]))
    return named if len(classes) <= LISTED else f"{named} and {len(classes) - LISTED} more"
