"""Segments: calls that run together, and entries: ways to run a program, segment after segment."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.program.call import Call

FROZEN, FORWARD, BEGIN, LOSS, SOFT_LOSS, BACKWARD, FINISH = (
    "frozen",
    "forward",
    "begin",
    "loss",
    "soft_loss",
    "backward",
    "finish",
)
"""Names of the segments that networks are lowered to. What only reads programs needs none but `frozen`, whose
results may be kept."""
NOTES = {
    FROZEN: "layers that do not train: what they make of a sample is the same for good",
    FORWARD: "from the sample to the logits",
    BEGIN: "learning rate of the step",
    LOSS: "loss, error of the logits, and how training goes",
    SOFT_LOSS: "the same towards a distribution",
    BACKWARD: "errors down through the layers, and what is learned from them",
    FINISH: "count the step",
}
"""What they do, in a few words."""

PREDICT, TRAIN_STEP, TRAIN_SOFT = "predict", "train_step", "train_soft"
"""Names of entries: logits of a sample; one step towards its label; one towards a distribution."""


@dataclass(frozen=True)
class Segment:
    """Calls that run one after the other, all or none of them.

    Attributes:
        calls: in order.
        when: name of a buffer of one number: where it is 0 as the segment's turn comes, none of the calls runs.
            Empty where they always do.
        note: what they do, in a few words, for generated comments.
    """

    calls: tuple[Call, ...]
    when: str = ""
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """A way to run a program.

    Attributes:
        segments: names of those that run, in order.
        reads: names of the buffers that whoever ran it reads afterwards.
        note: what it does, in a few words, for generated comments.
    """

    segments: tuple[str, ...]
    reads: tuple[str, ...]
    note: str = ""
