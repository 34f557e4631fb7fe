"""Answering: what a compiled model says of samples in real units, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import concerns
from mcugrad.abi.records import DRIFT
from mcugrad.encoding import encode_labels, encode_samples, loss_of, score, score_of_guess, sigmoid, softmax
from mcugrad.errors import UsageError
from mcugrad.fitting import Samples
from mcugrad.graph import ActivationScale, Float32
from mcugrad.keeping import Keeper
from mcugrad.model import Model
from mcugrad.ops.life.life import watch_confidence_f32, watch_confidence_s8
from mcugrad.options import Options
from mcugrad.pipeline import Build
from mcugrad.run.runner import State
from mcugrad.targets import Target
from mcugrad.training.losses import LabelKind


class Answerer(Keeper):
    """A compiled model that takes samples in real units. The base of `Trainer`, which is what learns."""

    def __init__(self, model: Model, build: Build, target: Target | None, options: Options) -> None:
        super().__init__(model, build, target, options)
        self._said: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_said": set()}

    def quantize(self, x: NDArray[Any], what: str = "x") -> NDArray[np.int8]:
        """Samples as the device takes them: int8, (n, input size).

        Warns, once until `fit` is called, of values beyond the range that the input was calibrated for.

        Raises:
            DataError: wrong shape, empty, or not finite.
        """
        samples, doubts = encode_samples(self.build.graph, x, what)
        self._say(doubts, what)
        return samples

    def labels(self, y: Sequence[Any] | NDArray[Any], samples: int, what: str = "y") -> NDArray[Any]:
        """Labels as the device takes them: classes, bits, or quantized values, by the loss.

        Warns, once until `fit` is called, of values beyond the range of the typical ones.

        Raises:
            DataError: shape, type or values do not fit; a label is no class.
        """
        labels, doubts = encode_labels(
            self._kind,
            y,
            samples=samples,
            outputs=self.model.classes,
            quant=self.options.label_scale,
            what=what,
        )
        self._say(doubts, what)
        return labels

    def predict(self, x: NDArray[Any]) -> NDArray[Any]:
        """Classes (n,); for several labels which apply, (n, outputs) bool; else real outputs, (n, outputs)."""
        outputs = self.twin.predict(self.quantize(x))
        if self._kind is LabelKind.CLASS:
            classes: NDArray[np.int64] = outputs.argmax(axis=1)
            return classes
        real = self._real(outputs)
        return real > 0 if self._kind is LabelKind.BITS else real

    def predict_proba(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities, (n, outputs), to the last bit the same on every computer.

        For classes the softmax of the logits in real units, whose largest is `confidence`; for several labels the
        sigmoid of each.

        Raises:
            UsageError: the model predicts values.
            DataError: samples cannot be used.
        """
        if self._kind is LabelKind.VALUES:
            raise UsageError(
                f"a model with loss={self.options.loss.name!r} predicts values, which have no probabilities",
                where="predict_proba",
                hint="predict(x) gives the values",
            )
        outputs = self.twin.predict(self.quantize(x))
        if self._kind is LabelKind.CLASS:
            return softmax(outputs, self._unit())
        return sigmoid(self._real(outputs))

    def confidence(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Probability of the predicted class, (n,): what `<name>_watch` says of it on the device, to the last bit.

        Samples that are worth a label are those that the network is least sure of: docs/device.md.

        Raises:
            UsageError: the model predicts several labels or values, not one class.
        """
        if self._kind is not LabelKind.CLASS:
            raise UsageError(
                f"confidence is that of a class, and loss={self.options.loss.name!r} knows none",
                where="confidence",
                hint="predict(x) gives what the model says",
            )
        outputs = self.twin.predict(self.quantize(x))
        unit = self._unit()
        told = np.zeros((len(outputs), 1), DRIFT)
        for logits, drift in zip(outputs, told, strict=True):
            if unit is None:
                watch_confidence_f32(len(logits), logits, drift)
            else:
                watch_confidence_s8(len(logits), logits, np.asarray([unit]), drift)
        found: NDArray[np.float32] = told["confidence"].reshape(-1)
        return found

    def evaluate(self, x: NDArray[Any], y: Sequence[Any] | NDArray[Any]) -> float:
        """Share of samples, or of labels, predicted right, in [0, 1]; for losses on values the mean squared error."""
        samples = self.quantize(x)
        return self._score(samples, self.labels(y, len(samples)))

    def _say(self, doubts: list[str], what: str) -> None:
        """Warn of what is odd about samples or labels, unless that was said of them before."""
        if doubts and what not in self._said:
            self._said.add(what)
            concerns.warn(doubts)

    @property
    def _kind(self) -> LabelKind:
        return self.options.loss.label_kind

    def _real(self, outputs: NDArray[Any], state: State | None = None) -> NDArray[np.float32]:
        """Outputs in real units, by the scale that they have now, or had in another state."""
        unit = self._unit(state)
        if unit is None:
            return outputs
        quant = self.build.graph[self.build.graph.output].quant
        assert isinstance(quant, ActivationScale)
        real: NDArray[np.float32] = (outputs.astype(np.float32) - quant.zero) * unit
        return real

    def _unit(self, state: State | None = None) -> np.float32 | None:
        """Real units per step of the outputs as they are now; None where they are floats."""
        quant = self.build.graph[self.build.graph.output].quant
        if isinstance(quant, Float32):
            return None
        assert isinstance(quant, ActivationScale)
        learned = (self.state if state is None else state).get(f"{quant.owner}_scale")
        return np.float32(quant.scale) if learned is None else np.float32(learned[0])

    def _score(self, samples: NDArray[np.int8], wanted: NDArray[Any]) -> float:
        outputs = self.twin.predict(samples)
        return score(self._kind, outputs, self._wanted(wanted), self._real(outputs))

    def _rating(self, outputs: NDArray[Any], wanted: NDArray[Any]) -> tuple[float, float]:
        """Score, larger for better, and mean loss."""
        goals, real = self._wanted(wanted), self._real(outputs)
        found = score(self._kind, outputs, goals, real)
        loss = loss_of(self._kind, outputs, goals, real, self._unit())
        return -found if self._kind is LabelKind.VALUES else found, loss

    def _guess(self, wanted: NDArray[Any]) -> float:
        """Score, larger for better, of the best answer that is the same for every sample."""
        found = score_of_guess(self._kind, self._wanted(wanted))
        return -found if self._kind is LabelKind.VALUES else found

    def _wanted(self, wanted: NDArray[Any]) -> NDArray[Any]:
        """Labels as a score takes them: values in real units."""
        quant = self.options.label_scale
        if self._kind is LabelKind.VALUES and quant is not None:
            return (wanted.astype(np.float32) - quant.zero) * np.float32(quant.scale)
        return wanted

    def _encoded(self, given: tuple[Any, Any] | None, what: str) -> Samples | None:
        """Samples and labels as the device takes them."""
        if given is None:
            return None
        samples = self.quantize(given[0], f"{what}x")
        return samples, self.labels(given[1], len(samples), f"{what}y")
