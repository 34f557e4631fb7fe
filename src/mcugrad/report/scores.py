"""Scores: what `Trainer.evaluate` gives, in words and under names that say what it is, by what the loss takes."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.report.quantities import percent
from mcugrad.training.losses import LabelKind


@dataclass(frozen=True)
class _Words:
    """How to speak of what a loss takes.

    Attributes:
        one: what one output says.
        several: what several say.
        before_and_after: of held-out samples, with a place for each score.
        training: what the curve of training samples is.
        output: what is in an output, in C.
    """

    one: str
    several: str
    before_and_after: str
    training: str
    output: str


_AFTER_EPOCHS = "The curve of training samples is that of all of them, after each epoch."
_WORDS = {
    LabelKind.CLASS: _Words(
        "class",
        "classes",
        "{} of them right before, {} after",
        "Training accuracy is that of each sample before its step.",
        "one logit per class",
    ),
    LabelKind.BITS: _Words(
        "label",
        "labels",
        "{} of their labels right before, {} after",
        _AFTER_EPOCHS,
        "one logit per label",
    ),
    LabelKind.VALUES: _Words(
        "value",
        "values",
        "mean squared error {} before, {} after",
        _AFTER_EPOCHS,
        "one value per output",
    ),
}


@dataclass(frozen=True)
class Score:
    """How good a network is, by what its loss takes.

    Attributes:
        label_kind: what a sample is labelled with.
        outputs: of the network.
    """

    label_kind: LabelKind
    outputs: int

    @property
    def words(self) -> _Words:
        """How to speak of it."""
        return _WORDS[self.label_kind]

    @property
    def is_share(self) -> bool:
        """Whether it is a share of what is right, in [0, 1]; else a mean squared error, the lower the better."""
        return self.label_kind is not LabelKind.VALUES

    def is_better(self, one: float, other: float) -> bool:
        """Whether one score is better than another."""
        return one > other if self.is_share else one < other

    @property
    def key(self) -> str:
        """What it is called in JSON."""
        return "accuracy" if self.is_share else "mean_squared_error"

    @property
    def curve_keys(self) -> tuple[str, str]:
        """What it is called at each point of a report's curve: of training samples, and of those held out."""
        if self.is_share:
            return "training", "held_out"
        return f"training_{self.key}", f"held_out_{self.key}"

    @property
    def title(self) -> str:
        """What a chart of it is called."""
        return "Accuracy" if self.is_share else "Mean squared error"

    @property
    def answer(self) -> str:
        """`10 classes`, `3 labels`, `1 value`: what the network says of a sample."""
        return f"{self.outputs} {self.words.one if self.outputs == 1 else self.words.several}"

    def text(self, score: float) -> str:
        """`97.3%`, or `0.01234`: on a terminal."""
        return f"{score:.1%}" if self.is_share else number(score)

    def page_text(self, score: float) -> str:
        """`97.3 %`, or `0.01234`: on a page."""
        return percent(score) if self.is_share else number(score)

    def what(self, kind: str) -> str:
        """`held-out samples right`, `held-out labels right`, `mean squared error on held-out samples`."""
        if not self.is_share:
            return f"mean squared error on {kind} samples"
        return f"{kind} {'samples' if self.label_kind is LabelKind.CLASS else 'labels'} right"

    def sentence(self, score: float, samples: int, kind: str) -> str:
        """`97.3% of 450 held-out samples right`, `0.01234 mean squared error on 450 held-out samples`.

        Args:
            score: from `Trainer.evaluate`.
            samples: number of them.
            kind: which ones: `held-out`.
        """
        if not self.is_share:
            return f"{number(score)} mean squared error on {samples} {kind} samples"
        parts = samples if self.label_kind is LabelKind.CLASS else samples * self.outputs
        return f"{score:6.1%} of {parts} {self.what(kind)}"


def number(value: float) -> str:
    """Four significant digits, of any size: `0.01234`, `1.2e-07`, `3.5e+09`."""
    return f"{value:.4g}"
