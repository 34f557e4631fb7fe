"""A model as the functions around it see it: `mcg_model_t`, with functions of Python in the place of those in C."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.abi.records import ELEMENT_TYPES
from mcugrad.training.losses import LabelKind

OK, NULL, LABEL, STATE, RATE, ARG, EMPTY = (
    constant(f"MCG_{name}")
    for name in ("OK", "ERR_NULL", "ERR_LABEL", "ERR_STATE", "ERR_RATE", "ERR_ARG", "ERR_EMPTY")
)
"""Values of `mcg_status_t` that several functions return; one of a single function is read where that is."""


class Owned(Protocol):
    """Bytes of something that begins with a word which says of which model it is."""

    def __getitem__(self, place: slice, /) -> NDArray[np.uint8]: ...


class Memory(Owned, Protocol):
    """Bytes of a model: an array of them, or what reads and writes them where the model lies."""

    def __setitem__(self, place: slice, content: NDArray[np.uint8], /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Model:
    """What `mcg_model_t` holds, under the same names; mcg_life_model.h says what each is.

    Attributes:
        label_kind: what a sample is labelled with.
        output_scale: None where it is learned, and for float logits.
        forward: memory and sample to logits.
        train: takes a step on memory, sample and label; writes what it reports to the last argument, unless None.
        train_soft: the same towards a distribution; None where there is no such step.
        augment: changes a sample; None where none can be.
    """

    fingerprint: int
    input_size: int
    input_h: int
    input_w: int
    input_c: int
    input_scale: float
    input_zero: int
    output_size: int
    label_kind: LabelKind
    label_scale: float
    label_zero: int
    output_zero: int
    output_real: bool
    output: int
    output_scale: float | None
    output_scale_place: int
    replay_classes: int
    slot_words: int
    params: int
    params_size: int
    schedule: int
    watch: int
    step: int
    forward: Callable[[Any, NDArray[np.int8]], NDArray[Any]]
    train: Callable[[Any, NDArray[np.int8], NDArray[Any], Any], None]
    train_soft: Callable[[Any, NDArray[np.int8], NDArray[np.uint8], Any], None] | None
    augment: Callable[[NDArray[Any], NDArray[np.int8], NDArray[np.int8] | None], int] | None

    def owns(self, memory: Owned) -> bool:
        """Whether a model is initialised, or what belongs to one belongs to this one."""
        return int(memory[0:4].view("<u4")[0]) == self.fingerprint

    def accepts(self, label: NDArray[Any]) -> bool:
        """Whether a label is one of the model's."""
        return self.label_kind is not LabelKind.CLASS or int(label[0]) < self.output_size

    def labels(self, given: NDArray[Any], samples: int) -> NDArray[Any]:
        """Labels by sample, (samples, elements of one)."""
        return (
            given.reshape(-1)
            .view(ELEMENT_TYPES[self.label_kind.value])[: samples * self.label_size]
            .reshape(samples, self.label_size)
        )

    @property
    def label_size(self) -> int:
        """Elements of a label."""
        return 1 if self.label_kind is LabelKind.CLASS else self.output_size

    def scale(self, memory: Memory) -> np.float32:
        """The scale of logits that are no floats."""
        if self.output_scale is not None:
            return np.float32(self.output_scale)
        place = self.output_scale_place
        found: np.float32 = memory[place : place + 4].view("<f4")[0]
        return found
