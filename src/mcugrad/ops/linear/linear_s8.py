"""Linear in int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.abi.constants import constant
from mcugrad.builders.program import ProgramBuilder
from mcugrad.ops.core.computation_s8 import exact_matmul, from_zero, write_error, write_output
from mcugrad.ops.core.layer_s8 import LayerS8, PassS8
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.update.update import whole_error
from mcugrad.ops.update.update_s8 import update_rows
from mcugrad.program import Kernel, Struct
from mcugrad.program.kernel import Price, Scratch
from mcugrad.training.rules import InPlace

BLOCK = constant("MCG_BLOCK")
"""Rows that the kernels handle at a time; twice as many inputs, where they are widened on the stack."""


@dataclass(frozen=True, kw_only=True)
class LinearS8(LayerS8):
    """Fully connected layer with a fused activation function."""

    of: Linear

    def struct(self, to: ProgramBuilder, e_x: str = "") -> LinearStruct:
        out, inputs = to.graph[self.of.w].shape
        channels = to.error_channels(e_x) if e_x else inputs
        return LinearStruct(inputs, out, channels, to.zero(self.of.x), to.zero(self.y))

    def forward_pass(self, to: ProgramBuilder, g: LinearStruct) -> PassS8:
        return PassS8(LINEAR_S8, g.inputs)

    def grad_input_pass(self, to: ProgramBuilder, g: LinearStruct) -> PassS8:
        return PassS8(LINEAR_GRAD_INPUT_S8, g.out)

    def update_pass(self, to: ProgramBuilder, g: LinearStruct) -> PassS8:
        return PassS8(LINEAR_UPDATE, 1)


@dataclass(frozen=True)
class LinearStruct(Struct):
    """`mcg_linear_t`."""

    inputs: int
    out: int
    in_c: int
    x_zero: int
    y_zero: int

    @classmethod
    def ctype(cls) -> str:
        return "mcg_linear_t"


def linear_s8(
    g: LinearStruct,
    x: NDArray[Any],
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    bias: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    y: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """y = clip(rescale(w (x - zero) + bias)), per output."""
    matrix = from_zero(w[: g.out * g.inputs], w_zero).reshape(g.out, g.inputs)
    acc = exact_matmul(matrix, x[: g.inputs].astype(np.int64) - g.x_zero) + bias[: g.out].astype(np.int64)
    write_output(acc, scale, clip, g.y_zero, y, peak)


def linear_grad_input_s8(
    g: LinearStruct,
    e: NDArray[Any],
    active: NDArray[Any] | None,
    w: NDArray[Any],
    w_zero: NDArray[Any] | None,
    x: NDArray[Any],
    scale: NDArray[Any],
    clip: NDArray[Any],
    e_x: NDArray[Any],
    peak: NDArray[Any],
) -> None:
    """e_x = rescale(w^T e), masked by the activation function that made x; factors repeat every in_c inputs."""
    matrix = from_zero(w[: g.out * g.inputs], w_zero).reshape(g.out, g.inputs)
    acc = exact_matmul(whole_error(e, active, 1, g.out)[0], matrix).reshape(-1, g.in_c)
    write_error(acc, x, g.x_zero, scale, clip, e_x, peak)


def linear_update(
    g: LinearStruct,
    x: NDArray[Any],
    e: NDArray[Any],
    active: NDArray[Any] | None,
    factor: NDArray[Any],
    rule: InPlace,
    seed: NDArray[Any],
    step: NDArray[Any],
    tensor: int,
    w: NDArray[Any],
    residual: NDArray[Any],
    w_scale: NDArray[Any],
) -> None:
    """w -= factor * (e (x - zero)^T), by the update rule."""
    gradients = np.outer(whole_error(e, active, 1, g.out)[0], x[: g.inputs].astype(np.int64) - g.x_zero)
    update_rows(rule, gradients, factor, seed, step, tensor, w, residual, w_scale, active)


def linear_scratch(g: LinearStruct) -> tuple[int, ...]:
    """None, or all inputs widened: they then need no blocks, and are widened once."""
    more = g.inputs > 2 * BLOCK or (g.inputs >= 4 and g.out > BLOCK)
    return (0, g.inputs // 4 * 8) if more else (0,)


def linear_work(g: LinearStruct, room: int | None) -> tuple[float, ...]:
    """How often `mcg_linear_s8` does what, whatever its body: words are four inputs, runs are along the rows.

    Calls, blocks of rows, outputs; words in runs of four rows, such runs; words in runs of the other rows, such runs,
    words of an odd row, its runs; eights of inputs in runs of two rows, such runs, and blocks that have some; words
    that are widened; outputs with inputs beside whole words, such inputs, words of those outputs; outputs with an odd
    word.
    """
    blocks, words, beside = -(-g.out // BLOCK), g.inputs // 4, g.inputs % 4
    fours, others = g.out // BLOCK * (BLOCK // 4) + g.out % BLOCK // 4, g.out % 4
    pairs = g.out // 2
    whole = (room or 0) >= 8 * words > 0
    runs = 1 if whole else -(-words // (BLOCK // 2))
    return (
        *(1, blocks, g.out),
        *(fours * words, fours * runs),
        *(others * words, others * runs),
        *(g.out % 2 * words, g.out % 2 * runs),
        *(pairs * (words // 2), pairs * runs, runs * (g.out // BLOCK + (g.out % BLOCK > 1))),
        words * (1 if whole else blocks),
        *(g.out * (beside > 0), g.out * beside, g.out * words * (beside > 0)),
        g.out * (words % 2),
    )


def update_work(g: LinearStruct, _: int | None) -> tuple[float, ...]:
    """How often `mcg_linear_update` does what, where no error is 0, by the rule sr8.

    Calls, rows, blocks of their weights, words of four, weights; rows whose last word is not whole, weights of those.
    """
    rest = g.inputs % 4
    blocks, words = -(-g.inputs // BLOCK), g.inputs // 4
    return (1, g.out, *(g.out * each for each in (blocks, words, g.inputs % BLOCK // 16, rest > 0, rest)))


def update_pairs_work(g: LinearStruct, _: int | None) -> tuple[float, ...]:
    """The same on Armv6-M, where inputs are looked at in blocks of their own, once for 256 rows."""
    rest = g.inputs % 4
    inputs, rows = -(-g.inputs // 256), -(-g.out // 256)
    each = (g.inputs // 4, inputs, 1, rest > 0, rest)
    return (1, rows, rows * g.inputs, *(g.out * n for n in each))


LINEAR_S8 = Kernel("mcg_linear_s8", linear_s8, Scratch(linear_scratch), Price(linear_work))
LINEAR_GRAD_INPUT_S8 = Kernel("mcg_linear_grad_input_s8", linear_grad_input_s8)
LINEAR_UPDATE = Kernel("mcg_linear_update", linear_update, price=Price(update_work, update_pairs_work))
