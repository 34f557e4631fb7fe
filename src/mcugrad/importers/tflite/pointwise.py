"""Operators that act element by element: sums, products, activation functions, changes of scale."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale
from mcugrad.importers.shared.flow import LAST, VECTOR, Flow, per_channel
from mcugrad.importers.shared.layout import shaped
from mcugrad.importers.shared.parts import demand_same_axes, same_rank, spread
from mcugrad.importers.tflite.builder import Bounds, Builder, activation_scale, fused
from mcugrad.importers.tflite.read import Step
from mcugrad.importers.tflite.tables import table
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.normalization.batch_norm import BatchNorm

CLIPS: dict[str, Bounds] = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
CURVES = {
    "ELU": Function.ELU,
    "GELU": Function.GELU,
    "HARD_SWISH": Function.HARD_SWISH,
    "LOGISTIC": Function.SIGMOID,
    "TANH": Function.TANH,
}
ABOVE = 2.0**-10
"""Least part of an accumulator unit by which shifts are rounded up; factors are off by less."""


# -- two operands --------------------------------------------------------------------------------------------------


def operands(to: Builder, step: Step) -> list[int]:
    """Positions of the inputs that are computed."""
    return [i for i in range(len(step.inputs)) if to.has(step, i) and step.inputs[i] in to.flows]


def arithmetic_problem(to: Builder, step: Step) -> str:
    """Why not."""
    constant = [i for i in (0, 1) if to.stored(step, i).data is not None]
    if len(step.inputs) != 2:
        return f"{len(step.inputs)} operands, 2 are needed"
    if len(constant) == 2:
        return "both operands are constant"
    if step.kind == "DIV" and constant != [1]:
        return "divides by a computed value"
    if step.kind == "DIV" and not to.real(to.stored(step, 1)).all():
        return "divides by zero"
    return ""


def arithmetic(to: Builder, step: Step, x: Flow) -> Flow:
    """ADD, SUB, MUL of two computed values, or of one and a constant per channel; DIV by a constant."""
    computed = operands(to, step)
    if len(computed) == 1:
        return with_constant(to, step, x, computed[0])
    return combined(to, step, *(to.flows[step.inputs[i]] for i in (0, 1)))


def total(to: Builder, step: Step, x: Flow) -> Flow:
    """ADD_N: one sum after the other."""
    y, *others = (to.flows[i] for i in step.inputs)
    for other in others:
        y = combined(to, step, y, other)
    return y


def combined(to: Builder, step: Step, a: Flow, b: Flow) -> Flow:
    """Sum, difference or product of two computed values."""
    a, b = same_rank(to, step, a, b)
    demand_same_axes(to, step, a, b)
    low, high = fused(step)
    if step.kind == "MUL":
        if prod(to.shape(a)) < prod(to.shape(b)):
            a, b = b, a
        name = to.name("mul")
        return to.add(
            step,
            Mul(name=name, source=step.label, a=a.tensor, b=b.tensor, y=f"{name}_y", low=low, high=high),
            a,
        )
    whole = tuple(max(n, m) for n, m in zip(to.shape(a), to.shape(b), strict=True))
    a, b = (spread(to, step, x, whole) for x in (a, b))
    name = to.name("sub" if step.kind == "SUB" else "add")
    node = Add(
        name=name,
        source=step.label,
        a=a.tensor,
        b=b.tensor,
        y=f"{name}_y",
        low=low,
        high=high,
        sign=-1 if step.kind == "SUB" else 1,
    )
    return to.add(step, node, a)


def with_constant(to: Builder, step: Step, x: Flow, side: int) -> Flow:
    """factor * x + shift, both per channel.

    In a float network it is a batch-norm, for folding; in an int8 network a depthwise layer with a kernel of one tap,
    so that the layers beside keep the file's scales.
    """
    c = per_channel(to, step, to.real(to.stored(step, 1 - side)), x).astype(np.float32)
    one, zero = np.ones_like(c), np.zeros_like(c)
    with np.errstate(all="ignore"):
        factor, shift = {
            "ADD": (one, c),
            "SUB": (one, -c) if side == 0 else (-one, c),
            "MUL": (c, zero),
            "DIV": (one / c, zero),
        }[step.kind]
    return affine(to, step, x, factor, shift)


def negative(to: Builder, step: Step, x: Flow) -> Flow:
    """NEG. Of int8 codes LiteRT makes something else."""
    if to.quantized:
        raise ModelError("NEG of int8 values", where=step.title, hint="MUL by -1, or a float network")
    one = np.ones(to.shape(x)[-1], np.float32)
    return affine(to, step, x, -one, 0 * one)


def affine(to: Builder, step: Step, x: Flow, factor: NDArray[Any], shift: NDArray[Any]) -> Flow:
    """y = factor * x + shift, one of each per channel."""
    if to.quantized:
        return one_tap(to, step, x, factor, shift)
    name = to.name("bn")
    one, zero = np.ones_like(factor), np.zeros_like(factor)
    node = BatchNorm(
        name=name,
        source=step.label,
        x=x.tensor,
        y=f"{name}_y",
        gamma=to.constant(f"{name}_gamma", factor),
        beta=to.constant(f"{name}_beta", shift),
        mean=to.constant(f"{name}_mean", zero),
        variance=to.constant(f"{name}_variance", one),
        epsilon=0.0,
    )
    return to.clipped(step, to.add(step, node, x), fused(step))


def one_tap(to: Builder, step: Step, x: Flow, factor: NDArray[Any], shift: NDArray[Any]) -> Flow:
    """A depthwise layer y = factor * x + shift; every factor is a number of steps of its own scale, so it is exact."""
    pixels = shaped(to, step, x, (1, 1, to.shape(x)[0]), LAST) if len(to.shape(x)) == 1 else x
    name = to.name("conv")
    x_quant = to.tensors[x.tensor].quant
    assert isinstance(x_quant, ActivationScale)
    taps, moved = finest(factor, shift, x_quant.scale)
    scales = np.where(factor == 0, 1.0, np.abs(factor) / taps).astype(np.float32)
    low, high = fused(step)
    node = DepthwiseConv2d(
        name=name,
        source=step.label,
        x=pixels.tensor,
        w=to.constant(f"{name}_w", (np.sign(factor) * taps * scales)[:, None, None, None], scales),
        b=to.constant(f"{name}_b", moved.astype(np.float32)),
        y=f"{name}_y",
        low=low,
        high=high,
    )
    y = to.add(step, node, pixels)
    return y if pixels is x else replace(x, tensor=shaped(to, step, y, to.shape(x), VECTOR).tensor)


def finest(
    factor: NDArray[Any], shift: NDArray[Any], x_scale: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every channel the number of steps, 1 to 127, that leaves the shift the least rounded; and that shift.

    With n steps it is counted in units of x_scale * factor / n. It is rounded up, by `ABOVE` at least: what lies
    halfway between two codes, as 3 does in the range of a hard sigmoid, goes to the upper one.
    """
    n = np.arange(127, 0, -1)
    unit = x_scale * np.where(factor == 0, 1.0, np.abs(factor.astype(np.float64)))[:, None] / n
    units = shift.astype(np.float64)[:, None] / unit
    whole = np.ceil(units + ABOVE)
    best = np.argmin((whole - units) / n, axis=1)[:, None]
    moved = np.take_along_axis(whole * unit, best, axis=1)[:, 0]
    return np.where(shift == 0, 127, n[best[:, 0]]), np.where(shift == 0, 0.0, moved)


# -- activation functions ------------------------------------------------------------------------------------------


def clip(to: Builder, step: Step, x: Flow) -> Flow:
    """RELU and its relatives."""
    return to.clipped(step, x, CLIPS[step.kind])


def extremum_problem(to: Builder, step: Step) -> str:
    """Why not: MAXIMUM, MINIMUM."""
    constants = [s for i in (0, 1) if (s := to.stored(step, i)).data is not None]
    if len(constants) != 1:
        return f"{step.kind} of several computed values" if not constants else "both operands are constant"
    return "" if to.real(constants[0]).size == 1 else "a bound is not one number"


def extremum(to: Builder, step: Step, x: Flow) -> Flow:
    """MAXIMUM and MINIMUM with a constant: a bound."""
    (side,) = operands(to, step)
    constant = to.stored(step, 1 - side)
    to.need_one_scale(step)
    if to.quantized:  # LiteRT compares codes
        own, shared = activation_scale(constant, ""), to.scales(step)[0]
        if (own.scale, own.zero) != (shared.scale, shared.zero):
            raise ModelError(
                f"{step.kind} of int8 values with scale {shared.scale:g} and a constant with scale {own.scale:g}",
                where=step.title,
                hint="RELU6 or another clip, or a float network",
            )
    bound = float(to.real(constant).reshape(()))
    return to.clipped(step, x, (bound, None) if step.kind == "MAXIMUM" else (None, bound))


def magnitude(to: Builder, step: Step, x: Flow) -> Flow:
    """ABS: a slope of -1 for negative values."""
    return rectifier(to, step, x, (-1.0,))


def curve(to: Builder, step: Step, x: Flow) -> Flow:
    """A tabulated function; in an int8 network by the table that LiteRT makes of it."""
    function = CURVES[step.kind]
    if step.kind == "GELU" and step.option("Approximate", False):
        function = Function.GELU_TANH
    name = to.name(function.name.lower().replace("_", ""))
    codes = table(function, *to.scales(step)) if to.quantized else ()
    node = Activation(name=name, source=step.label, x=x.tensor, y=f"{name}_y", function=function, codes=codes)
    return to.add(step, node, x)


def leaky_relu(to: Builder, step: Step, x: Flow) -> Flow:
    """One slope for all."""
    return rectifier(to, step, x, (float(step.option("Alpha", 0.0)),))


def prelu_problem(to: Builder, step: Step) -> str:
    """Why not."""
    return "" if to.stored(step, 1).data is not None else "its slopes are computed; they must be constant"


def prelu(to: Builder, step: Step, x: Flow) -> Flow:
    """A slope per channel."""
    slopes = per_channel(to, step, to.real(to.stored(step, 1)), x)
    return rectifier(to, step, x, tuple(float(s) for s in slopes))


def rectifier(to: Builder, step: Step, x: Flow, slopes: tuple[float, ...]) -> Flow:
    """Slopes for negative values."""
    if not np.isfinite(slopes).all():
        raise ModelError("a slope is NaN or infinite", where=step.title, hint="convert the network again")
    name = to.name("prelu")
    own = to.quantized and not to.one_scale(step)
    node = PRelu(name=name, source=step.label, x=x.tensor, y=f"{name}_y", slope=slopes, own_scale=own)
    return to.add(step, node, x)


# -- scales --------------------------------------------------------------------------------------------------------


def quantize(to: Builder, step: Step, x: Flow) -> Flow:
    """QUANTIZE: nothing but another scale, where there is one; uint8 and int8 codes of a number are 128 apart."""
    if not to.quantized or not to.source.tensors[step.inputs[0]].is_int8:
        return x
    old, new = to.scales(step)
    return x if (old.scale, old.zero) == (new.scale, new.zero) else to.rescaled(step, x)


def skip(to: Builder, step: Step, x: Flow) -> Flow:
    """Changes nothing that matters here."""
    return x
