"""What a TFLite file computes from constants and static shapes alone: computed once, when it is read.

Converters write a Reshape whose batch is free as arithmetic on the shape of its input. For one sample all of it is
constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import numerics
from mcugrad.errors import ModelError
from mcugrad.importers.tflite.builder import Builder
from mcugrad.importers.tflite.read import Source, Step, Stored
from mcugrad.importers.tflite.shapes import strided

Array = NDArray[Any]
LARGEST = 1 << 20
"""Values that a constant which is computed may have."""
TWO: dict[str, Callable[[Array, Array], Array]] = {
    "ADD": np.add,
    "DIV": lambda a, b: np.trunc(a / b) if a.dtype.kind in "iu" else a / b,
    "EQUAL": np.equal,
    "FLOOR_DIV": np.floor_divide,
    "FLOOR_MOD": np.mod,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "LOGICAL_AND": np.logical_and,
    "LOGICAL_OR": np.logical_or,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "MUL": np.multiply,
    "NOT_EQUAL": np.not_equal,
    "POW": numerics.power,
    "SUB": np.subtract,
}
ONE: dict[str, Callable[[Array], Array]] = {
    "ABS": np.abs,
    "CEIL": np.ceil,
    "EXP": numerics.exp,
    "FLOOR": np.floor,
    "LOG": numerics.log,
    "LOGICAL_NOT": np.logical_not,
    "NEG": np.negative,
    "RSQRT": lambda a: 1 / np.sqrt(a),
    "SQRT": np.sqrt,
    "SQUARE": np.square,
    "ZEROS_LIKE": np.zeros_like,
}
REDUCTIONS: dict[str, Callable[..., Array]] = {
    "REDUCE_MAX": np.max,
    "REDUCE_MIN": np.min,
    "REDUCE_PROD": partial(numerics.in_order, np.multiply),
    "SUM": partial(numerics.in_order, np.add),
}
OTHERS = """
    BROADCAST_TO CAST CONCATENATION EXPAND_DIMS FILL GATHER PACK RANGE RESHAPE SELECT SELECT_V2 SLICE SQUEEZE
    STRIDED_SLICE TILE TRANSPOSE
"""
COMPUTED = frozenset([*TWO, *ONE, *REDUCTIONS, *OTHERS.split()])
"""Operators on constants that are computed."""
ABOUT_SHAPES = ("SHAPE", "RANK")
"""Operators on a computed value that depend on its shape alone."""


def with_real_constants(source: Source) -> Source:
    """The model with weights that the file keeps in 16 bits, or in 8, as constants of float32."""
    reader = Builder(source, quantized=False)
    tensors, steps = source.tensors, []
    for step in source.steps:
        stored = tensors[step.inputs[0]] if step.kind == "DEQUANTIZE" and step.inputs[:1] > (-1,) else None
        if stored is None or stored.data is None:
            steps.append(step)
            continue
        tensors[step.outputs[0]] = _constant(stored.name, reader.real(stored))
    return replace(source, steps=tuple(steps))


def static(source: Source) -> set[int]:
    """Tensors that `computed` will know: they depend on constants and shapes alone."""
    known = {i for i, t in source.tensors.items() if t.data is not None}
    found: set[int] = set()
    for step in source.steps:
        about = step.kind in ABOUT_SHAPES
        if about or (step.kind in COMPUTED and all(i in known for i in step.inputs if i >= 0)):
            found.update(step.outputs)
            known.update(step.outputs)
    return found


def computed(to: Builder, step: Step) -> Stored:
    """The constant that an operator gives. Raises ModelError where it cannot be computed."""
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(_value(to, step))
    except ModelError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise ModelError(
            f"{step.kind} of constants cannot be computed: {reason}",
            where=step.title,
            hint="convert the network again",
        ) from error
    if step.kind in TWO or step.kind in ONE:
        kind = to.stored(step, 0).data
        if kind is not None and value.dtype.kind != "b":
            value = value.astype(kind.dtype)
    return _constant(step.label, value)


def _value(to: Builder, step: Step) -> Array:
    if step.kind in ABOUT_SHAPES:
        flow = to.flows.get(step.inputs[0])
        shape = to.stored(step, 0).shape if flow is None else to.dims(flow)
        return np.array(shape if step.kind == "SHAPE" else len(shape), np.int32)
    stored = [to.stored(step, i) if to.has(step, i) else None for i in range(len(step.inputs))]
    for s in stored:
        if s is not None and s.scales.size and step.kind not in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
            raise ModelError(
                f"{step.kind} of quantized constants", where=step.title, hint="convert the network again"
            )
    a, *rest = (np.zeros(0) if s is None or s.data is None else s.data for s in stored)
    sizes = (a.size, *(r.size for r in rest))
    if max(sizes) > LARGEST:
        raise ValueError(f"{max(sizes)} values")
    if step.kind in TWO:
        return TWO[step.kind](a, rest[0])
    if step.kind in ONE:
        return ONE[step.kind](a)
    if step.kind in REDUCTIONS:
        axes = tuple(int(i) for i in rest[0].reshape(-1))
        return REDUCTIONS[step.kind](a, axis=axes, keepdims=bool(step.option("KeepDims", False)))
    return _moved(step, a, rest)


def _moved(step: Step, a: Array, rest: list[Array]) -> Array:
    """Constants in other places, shapes and types."""
    match step.kind:
        case "CAST":
            kinds = {0: np.float32, 1: np.float16, 2: np.int32, 4: np.int64, 6: np.bool_, 9: np.int8}
            return a.astype(kinds[step.option("OutDataType", 2)])
        case "CONCATENATION":
            return np.concatenate([a, *rest], axis=step.option("Axis", 0))
        case "PACK":
            return np.stack([a, *rest], axis=step.option("Axis", 0))
        case "GATHER":
            return np.take(a, rest[0].astype(np.int64), axis=step.option("Axis", 0))
        case "RESHAPE":
            return a.reshape([int(n) for n in rest[0].reshape(-1)])
        case "EXPAND_DIMS":
            return np.expand_dims(a, int(rest[0].reshape(-1)[0]))
        case "SQUEEZE":
            axes = tuple(int(step.options.SqueezeDims(i)) for i in range(step.option("SqueezeDimsLength", 0)))
            return np.squeeze(a, axis=axes or None)
        case "TRANSPOSE":
            return a.transpose([int(n) for n in rest[0].reshape(-1)])
        case "SLICE":
            ends = [n if s == -1 else b + s for b, s, n in zip(rest[0], rest[1], a.shape, strict=True)]
            return a[tuple(slice(int(b), int(e)) for b, e in zip(rest[0], ends, strict=True))]
        case "STRIDED_SLICE":
            begin, end, stride = ([int(n) for n in r.reshape(-1)] for r in rest)
            chosen, gone = strided(step, list(a.shape), begin, end, stride)
            return np.squeeze(a[np.ix_(*chosen)], axis=tuple(gone))
        case "SELECT" | "SELECT_V2":
            return np.where(a, rest[0], rest[1])
        case "RANGE":
            start, stop, step_by = (float(v.reshape(-1)[0]) for v in (a, *rest))
            _small(abs(int((stop - start) / step_by)))
            return np.arange(start, stop, step_by).astype(a.dtype)
        case "FILL":
            _small(int(np.prod(np.abs(a.astype(np.float64)))))
            return np.full([int(n) for n in a.reshape(-1)], rest[0].reshape(-1)[0])
        case "BROADCAST_TO":
            _small(int(np.prod(np.abs(rest[0].astype(np.float64)))))
            return np.broadcast_to(a, [int(n) for n in rest[0].reshape(-1)]).copy()
        case "TILE":
            _small(int(a.size * np.prod(np.abs(rest[0].astype(np.float64)))))
            return np.tile(a, [int(n) for n in rest[0].reshape(-1)])
    raise KeyError(step.kind)


def _small(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{size} values")


def _constant(name: str, value: Array) -> Stored:
    none = np.empty(0, np.float32), np.empty(0, np.int64)
    return Stored(name, value.shape, value.dtype.name, value, *none, 0)
