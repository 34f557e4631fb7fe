"""From bytes to the operators and tensors of a TFLite file, checked as far as nobody else has to know the format.

The flatbuffer is read by the package `tflite`, which is the schema's generated code. It trusts its input, so lengths
and indices are compared with what there is before they are used, and whatever it raises becomes a ModelError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mcugrad.errors import McugradError, ModelError, ToolError
from mcugrad.importers.shared.file import load_bytes
from mcugrad.importers.shared.growth import ELEMENT_LIMIT, demand_few_nodes
from mcugrad.importers.shared.hints import SEVERAL, STATE

IDENTIFIER = b"TFL3"
VERSION = 3
SMALLEST = 16
"""Bytes below which nothing can be a model."""
LABEL = 60
"""Characters of a name that messages show."""
MINUS_ONE = -1
_HINT = "convert the network again"
_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "CAST": "CastOptions",
    "GATHER": "GatherOptions",
    "GELU": "GeluOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "PACK": "PackOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SPLIT": "SplitOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SPLIT_V": "SplitVOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "UNPACK": "UnpackOptions",
}
"""Where an operator keeps its attributes."""
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor of the file.

    Attributes:
        name: as the file has it, shortened.
        shape: with the batch.
        dtype: NumPy's name of the type, or another word where NumPy has none.
        data: contents of a constant, else None.
        scales: real units per step, one or one per channel; empty where it is not quantized.
        zeros: as many zero points.
        axis: of the channels that scales belong to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: NDArray[Any] | None
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    axis: int

    @property
    def is_int8(self) -> bool:
        """Whether it holds 8-bit codes of real numbers."""
        return self.dtype in ("int8", "uint8") and self.scales.size > 0


@dataclass(frozen=True, eq=False)
class Step:
    """An operator of the file.

    Attributes:
        kind: `CONV_2D`, or what a custom operator is called.
        label: name of its output, which is all the name it has.
        inputs: indices of tensors, -1 for one that is left out.
        outputs: indices of tensors.
        options: table of its attributes; None where it has none.
    """

    kind: str
    label: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any

    @property
    def title(self) -> str:
        """As messages show it."""
        return f"{self.label}  {self.kind}"

    def option(self, name: str, default: Any) -> Any:
        """An attribute by the schema's name; the default where the operator has none of that name."""
        found = getattr(self.options, name, None)
        return default if found is None else found()


@dataclass(frozen=True)
class Source:
    """A model as read.

    Attributes:
        label: file name, for messages.
        name: of the graph; may be empty.
        steps: operators that the output depends on, in order of execution.
        tensors: by index.
        input: index of the one input.
        output: index of the one output.
        batch: batch size that the file was made for.
        notes: what was changed on the way, one sentence each.
        unread: tensors that are read but neither constant nor computed before, as the state of recurrent layers.
    """

    label: str
    name: str
    steps: tuple[Step, ...]
    tensors: dict[int, Stored]
    input: int
    output: int
    batch: int
    notes: list[str] = field(default_factory=list)
    unread: set[int] = field(default_factory=set)


def read(source: str | Path | bytes) -> Source:
    """Read and check a model.

    Raises:
        ModelError: the file is missing, damaged, or has not one input and one output.
        ToolError: the package `tflite` is not installed.
    """
    schema = _schema()
    label, data, _ = load_bytes(source)
    if len(data) < SMALLEST or data[4:8] != IDENTIFIER:
        raise ModelError(
            f"not a TFLite file: its {len(data)} bytes lack the identifier {IDENTIFIER.decode()}",
            where=label,
            hint="a file written by the TFLite converter",
        )
    return guarded(label, lambda: _File(schema, data, label).source())


def guarded(label: str, action: Callable[[], T]) -> T:
    """Run code that reads damaged bytes; whatever it raises becomes a ModelError."""
    try:
        return action()
    except McugradError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"the model is damaged: {reason}", where=label, hint=_HINT) from error


def _schema() -> ModuleType:
    try:
        import tflite
    except ImportError:
        raise ToolError(
            "reading TFLite files needs the package tflite, which is not installed",
            where="importers/tflite",
            hint="pip install 'mcugrad[tflite]'",
        ) from None
    module: ModuleType = tflite
    return module


@lru_cache
def _words(name: str) -> dict[int, str]:
    """Names of the values of an enumeration of the schema."""
    return {value: word for word, value in vars(getattr(_schema(), name)).items() if isinstance(value, int)}


class _File:
    """One file while it is read."""

    def __init__(self, schema: ModuleType, data: bytes, label: str) -> None:
        self.schema = schema
        self.data = data
        self.label = label
        self.model = schema.Model.GetRootAs(data, 0)
        self.tensors: dict[int, Stored] = {}
        self.unread: set[int] = set()

    def source(self) -> Source:
        """Everything."""
        if self.model.Version() != VERSION:
            raise self.damaged(f"schema version {self.model.Version()}; {VERSION} is supported")
        if self.count(self.model.SubgraphsLength(), "subgraphs") < 1:
            raise self.damaged("it has no graph")
        self.graph = self.model.Subgraphs(0)
        self.count(self.graph.TensorsLength(), "tensors")
        demand_few_nodes(self.graph.OperatorsLength(), self.label)
        steps = self.steps()
        first, last = self.one("Input"), self.one("Output")
        live = self.live(steps, first, last)
        shape = self.tensor(first).shape
        notes = []
        if len(shape) > 1 and shape[0] > 1:
            notes.append(f"batch size {shape[0]} set to 1: the device takes one sample at a time")
        self.check_input(self.graph.Tensors(first), self.tensors[first])
        name = (self.graph.Name() or b"").decode("utf-8", "replace")
        return Source(self.label, name, live, self.tensors, first, last, shape[0], notes, self.unread)

    def damaged(self, what: str) -> ModelError:
        """An error about the file as a whole."""
        return ModelError(f"the model is damaged: {what}", where=self.label, hint=_HINT)

    def count(self, length: int, what: str) -> int:
        """A length that fits into the file: each entry takes four bytes at least."""
        if not 0 <= length <= len(self.data) // 4:
            raise self.damaged(f"{length} {what} in {len(self.data)} bytes")
        return length

    def one(self, kind: str) -> int:
        """Index of the one input or output."""
        count = getattr(self.graph, f"{kind}sLength")()
        if count != 1:
            raise ModelError(
                f"the model has {count} {kind.lower()}s; exactly 1 is supported",
                where=self.label,
                hint=SEVERAL,
            )
        index = int(getattr(self.graph, f"{kind}s")(0))
        self.tensor(index)
        return index

    def steps(self) -> list[Step]:
        """Operators with the tensors that they touch."""
        total = self.count(self.graph.OperatorsLength(), "operators")
        if not total:
            raise ModelError(
                "the graph is empty: nothing lies between input and output",
                where=self.label,
                hint="convert the whole network",
            )
        kinds = [
            self.kind(self.model.OperatorCodes(i))
            for i in range(self.count(self.model.OperatorCodesLength(), "operator codes"))
        ]
        return [self.step(self.graph.Operators(i), kinds) for i in range(total)]

    def kind(self, code: Any) -> str:
        """What an operator is called."""
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        word = _words("BuiltinOperator").get(number, f"operator number {number}")
        custom = code.CustomCode()
        return _shown(custom) if word == "CUSTOM" and custom else word

    def step(self, operator: Any, kinds: list[str]) -> Step:
        """One operator."""
        if operator.OpcodeIndex() >= len(kinds):
            raise self.damaged(f"operator code {operator.OpcodeIndex()} of {len(kinds)}")
        kind = kinds[operator.OpcodeIndex()]
        inputs, outputs = (
            tuple(
                int(getattr(operator, side)(i))
                for i in range(self.count(getattr(operator, f"{side}Length")(), "tensors of an operator"))
            )
            for side in ("Inputs", "Outputs")
        )
        for index in (*(i for i in inputs if i != MINUS_ONE), *outputs):
            self.tensor(index)
        label = self.tensor(outputs[0]).name if outputs else kind
        return Step(kind, label, inputs, outputs, self.options(operator, kind))

    def options(self, operator: Any, kind: str) -> Any:
        """Table of attributes; None where the operator has none."""
        wanted = _OPTIONS.get(kind)
        found = operator.BuiltinOptionsType()
        table = operator.BuiltinOptions() if found else None
        if wanted is None or table is None:
            return None
        if _words("BuiltinOptions").get(found) != wanted:
            raise self.damaged(f"attributes of a {kind} are {_words('BuiltinOptions').get(found, found)}")
        result = getattr(self.schema, wanted)()
        result.Init(table.Bytes, table.Pos)
        return result

    def live(self, steps: list[Step], first: int, last: int) -> tuple[Step, ...]:
        """Operators that the output depends on; notes tensors that are read before they are computed."""
        known = {first, *(i for i, t in self.tensors.items() if t.data is not None)}
        for step in steps:
            self.unread.update(i for i in step.inputs if i != MINUS_ONE and i not in known)
            if known.intersection(step.outputs) or len(set(step.outputs)) < len(step.outputs):
                raise self.damaged(f"{step.label} is computed twice")
            known.update(step.outputs)
        needed, kept = {last}, []
        for step in reversed(steps):
            if needed.intersection(step.outputs):
                needed.update(i for i in step.inputs if i != MINUS_ONE)
                kept.append(step)
        if first not in needed or not kept:
            early = [(s, i) for s in kept for i in s.inputs if i in self.unread]
            if early:
                step, index = early[-1]
                raise ModelError(
                    f"{self.tensors[index].name} is read but neither computed before nor constant",
                    where=step.title,
                    hint=STATE,
                )
            raise ModelError(
                "the output does not depend on the input", where=self.label, hint="convert the whole network"
            )
        return tuple(reversed(kept))

    def tensor(self, index: int) -> Stored:
        """A tensor by its index."""
        if index not in self.tensors:
            if not 0 <= index < self.graph.TensorsLength():
                raise self.damaged(f"tensor {index} of {self.graph.TensorsLength()}")
            self.tensors[index] = self.stored(self.graph.Tensors(index), index)
        return self.tensors[index]

    def stored(self, tensor: Any, index: int) -> Stored:
        """What the file says about a tensor."""
        name = _shown(tensor.Name() or b"") or f"tensor {index}"
        rank = self.count(tensor.ShapeLength(), "dimensions")
        shape = tuple(int(tensor.Shape(i)) for i in range(rank))
        if rank > 8 or min(shape, default=1) < 0 or prod(max(n, 1) for n in shape) > ELEMENT_LIMIT:
            raise ModelError(
                f"{name} has shape {shape[:8]}; up to 8 dimensions and {ELEMENT_LIMIT} values are supported",
                where=self.label,
                hint="a smaller network",
            )
        if tensor.Sparsity() is not None:
            raise ModelError(f"{name} is sparse", where=self.label, hint="convert with dense weights")
        dtype = _words("TensorType").get(tensor.Type(), f"type {tensor.Type()}").lower()
        dtype = {"bool": "bool_"}.get(dtype, dtype)
        scales, zeros, axis = self.quantization(tensor.Quantization(), name, shape)
        return Stored(name, shape, dtype, self.contents(tensor, name, shape, dtype), scales, zeros, axis)

    def contents(self, tensor: Any, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any] | None:
        """Contents of a constant; None for what is computed."""
        index = tensor.Buffer()
        if index >= self.count(self.model.BuffersLength(), "buffers"):
            raise self.damaged(f"buffer {index} of {self.model.BuffersLength()}")
        buffer = self.model.Buffers(index)
        if buffer.Offset() > 1:
            raise ModelError(
                f"{name} is stored behind the flatbuffer, as in models beyond 2 GB",
                where=self.label,
                hint="a smaller network",
            )
        size = buffer.DataLength()
        if not size or tensor.IsVariable():
            return None
        raw: NDArray[np.uint8] = buffer.DataAsNumpy()
        try:
            kind = np.dtype(dtype).newbyteorder("<")
        except TypeError:
            return raw
        if prod(shape) * kind.itemsize != raw.size:
            raise self.damaged(f"{name} has shape {shape} of {dtype} but {raw.size} bytes")
        return np.frombuffer(raw.tobytes(), kind).reshape(shape)

    def quantization(
        self, table: Any, name: str, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        """Scales, zero points and the axis that they run along."""
        none = np.empty(0, np.float32), np.empty(0, np.int64), 0
        if table is None or not table.ScaleLength():
            return none
        scales = table.ScaleAsNumpy().astype(np.float32)
        zeros = (
            table.ZeroPointAsNumpy().astype(np.int64) if table.ZeroPointLength() else np.zeros(1, np.int64)
        )
        axis = (
            0 if len(shape) == 1 else table.QuantizedDimension()
        )  # a vector has no other, whatever a file says
        if scales.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scales.size):
            raise self.damaged(f"{name} has {scales.size} scales along axis {axis} of {shape}")
        if zeros.size not in (1, scales.size):
            raise self.damaged(f"{name} has {scales.size} scales and {zeros.size} zero points")
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            bad = int((~(np.isfinite(scales) & (scales > 0))).sum())
            raise ModelError(
                f"{bad} of {scales.size} scales of {name} are not positive numbers", where=name, hint=_HINT
            )
        return scales, np.broadcast_to(zeros, scales.shape), axis

    def check_input(self, tensor: Any, stored: Stored) -> None:
        """Refuse an input whose shape is open, but for the batch."""
        if not 2 <= len(stored.shape) <= 4 or min(stored.shape) < 1:
            raise ModelError(
                f"input {stored.name} has shape {stored.shape}; 2 to 4 dimensions, batch first, are supported",
                where=self.label,
                hint="reshape before the network",
            )
        signature = [int(tensor.ShapeSignature(i)) for i in range(min(8, tensor.ShapeSignatureLength()))]
        if MINUS_ONE in signature[1:]:
            raise ModelError(
                f"dimension {signature.index(-1, 1)} of input {stored.name} is dynamic; only the batch may be free",
                where=self.label,
                hint="convert with a fixed input size",
            )


def _shown(text: bytes) -> str:
    """A name as messages show it: the first of several that were fused, printable and short."""
    first = text.decode("utf-8", "replace").split(";")[0]
    return "".join(c if c.isprintable() else "?" for c in first)[:LABEL]
