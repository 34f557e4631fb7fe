"""From bytes to a small, checked ONNX graph: one float input, batch 1, constants folded, functions inlined.

1. Parse, and load external weights.
2. Bring old files to opset 13.
3. Check against the standard, fix the batch to 1, drop stale shapes.
4. Fold constants and shape arithmetic, fuse Pad into Conv, drop what nothing reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import TypeVar

import onnx
import onnx_ir as ir
from onnx import TensorProto, numpy_helper, version_converter
from onnx_ir.passes import common
from onnxscript import rewriter
from onnxscript.rewriter.rules.common import fuse_pad_into_conv_rule, normalize_pad_format_conv_rule

from mcugrad.errors import McugradError, ModelError
from mcugrad.importers.onnx.external import load_external
from mcugrad.importers.onnx.functions import nodes_written_out
from mcugrad.importers.onnx.static import fold_constants, is_impossible
from mcugrad.importers.shared.file import load_bytes
from mcugrad.importers.shared.growth import ELEMENT_LIMIT, demand_few_nodes
from mcugrad.importers.shared.hints import INTEGERS, SEVERAL

OLDEST = 13
"""Operator sets before this one are converted to it."""
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
BYTES = (TensorProto.INT8, TensorProto.UINT8)
MAGIC = {
    b"PK\x03\x04": (
        "a zip archive, perhaps a PyTorch checkpoint",
        "torch.onnx.export(net, (example,), 'net.onnx')",
    ),
    b"\x89HDF": ("an HDF5 file, perhaps from Keras", "tf2onnx.convert.from_keras(net)"),
    b"vers": ("a Git LFS pointer", "git lfs pull"),
}
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A model as read.

    Attributes:
        model: the simplified model.
        label: file name, for messages.
        shape: of the input, batch first.
        integer: whether the input is int8 or uint8.
        batch: batch size that the file was exported with; None if it was free.
        notes: what was changed on the way, one sentence each.
    """

    model: ir.Model
    label: str
    shape: tuple[int, ...]
    integer: bool
    batch: int | None
    notes: list[str] = field(default_factory=list)


def read(source: str | Path | bytes, label: str = "") -> Source:
    """Read, check and simplify a model; `label` is what messages call bytes.

    Raises:
        ModelError: the file is missing, damaged, too new, or not one input with a fixed shape.
    """
    label, data, path = (label, source, None) if label and isinstance(source, bytes) else load_bytes(source)
    proto = _parse(data, label)
    notes: list[str] = []
    demand_few_nodes(nodes_written_out(proto), label)
    load_external(proto, label, path)
    version = _version(proto, label)
    for value in proto.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()  # some exporters leave it out, and it is not used
    guarded(label, "is not valid ONNX", lambda: onnx.checker.check_model(proto))
    for tensor in proto.graph.initializer:
        guarded(tensor.name or label, "holds damaged weights", partial(numpy_helper.to_array, tensor))
    _free_batch(proto)
    if version < OLDEST:
        proto = _converted(proto, label, version)
        notes.append(f"converted from operator set {version} to {OLDEST}")
    shape, batch = _fix_input(proto, label, notes)
    dropped = sum(node.op_type == "Dropout" for node in proto.graph.node)
    if dropped:
        notes.append(
            f"{dropped} Dropout {'node' if dropped == 1 else 'nodes'} left out: no effect once trained"
        )
    model = guarded(label, "cannot be simplified", lambda: _simplify(proto))
    integer = proto.graph.input[0].type.tensor_type.elem_type in BYTES
    return Source(model, label, shape, integer, batch, notes)


def guarded(label: str, what: str, action: Callable[[], T]) -> T:
    """Run code that we do not own; whatever it raises on a damaged file becomes a ModelError."""
    try:
        return action()
    except McugradError:
        raise
    except Exception as error:
        raise ModelError(
            f"the model {what}: {_first_line(error)}",
            where=label,
            hint="export it again, or run onnx.checker on it",
        ) from error


def _first_line(error: Exception) -> str:
    lines = (line.strip(" .") for line in str(error).splitlines())
    return next((line[:200] for line in lines if line), type(error).__name__)


def _parse(data: bytes, label: str) -> onnx.ModelProto:
    hint = "a file written by torch.onnx.export, tf2onnx or skl2onnx"
    if not data:
        raise ModelError("the model file is empty: 0 bytes", where=label, hint=hint)
    if data[4:8] == b"TFL3":
        raise ModelError("this is a TFLite file, not ONNX", where=label, hint="name it .tflite")
    if data[:4] in MAGIC:
        kind, remedy = MAGIC[data[:4]]
        raise ModelError(f"not an ONNX file but {kind}", where=label, hint=remedy)
    try:
        proto = onnx.load_model_from_string(data)
    except Exception as error:
        raise ModelError(
            f"not an ONNX file, or damaged: its {len(data)} bytes cannot be decoded", where=label, hint=hint
        ) from error
    if not proto.ir_version or not proto.opset_import or not proto.HasField("graph"):
        raise ModelError(
            f"not an ONNX file: its {len(data)} bytes hold no graph with an operator set",
            where=label,
            hint=hint,
        )
    if not proto.graph.node:
        raise ModelError("the graph is empty: it has no nodes", where=label, hint="export the whole network")
    return proto


def _version(proto: onnx.ModelProto, label: str) -> int:
    """Operator set that the model is written in."""
    versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
    if not versions:
        raise ModelError(
            "the model uses no standard ONNX operators",
            where=label,
            hint="export with the default operator set",
        )
    version, newest = max(versions), onnx.defs.onnx_opset_version()
    if not 1 <= version <= newest:
        raise ModelError(
            f"the model needs operator set {version}; the installed onnx {onnx.__version__} knows 1 to {newest}",
            where=label,
            hint="pip install -U onnx, or export with opset_version=18",
        )
    return int(version)


def _converted(proto: onnx.ModelProto, label: str, version: int) -> onnx.ModelProto:
    """The model in operator set 13."""
    _refuse_impossible(proto)
    try:
        return version_converter.convert_version(proto, OLDEST)
    except Exception as error:
        raise ModelError(
            f"operator set {version} cannot be converted to {OLDEST}: {_first_line(error)}",
            where=label,
            hint=f"export again with opset_version={OLDEST} or later",
        ) from error


def _free_batch(proto: onnx.ModelProto) -> None:
    """Leave open a batch that is -1 or 0, as some exporters write it."""
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        dims = value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ()
        if dims and dims[0].dim_value < 1:
            dims[0].ClearField("dim_value")


def _refuse_impossible(proto: onnx.ModelProto) -> None:
    """Raise ModelError where a dimension is negative: converting would end the process."""
    model = ir.from_proto(proto)
    try:
        fold_constants(model)
    except Exception as error:  # noqa: BLE001  (whatever a damaged file leads to; converting says what is wrong)
        _log.debug("shapes are not known before converting: %s", error)
    for node in model.graph:
        for value in node.outputs:
            if is_impossible(value):
                raise ModelError(
                    f"{node.op_type} gives a value of shape ({', '.join(map(str, value.shape or ()))})",
                    where=node.name or str(value.name),
                    hint="a larger input, or smaller windows",
                )


def _fix_input(proto: onnx.ModelProto, label: str, notes: list[str]) -> tuple[tuple[int, ...], int | None]:
    """Leave one float input with batch 1; its shape and the batch that it had."""
    graph = proto.graph
    if graph.sparse_initializer:
        raise ModelError(
            f"{len(graph.sparse_initializer)} weight tensors are sparse",
            where=graph.sparse_initializer[0].values.name,
            hint="export dense weights",
        )
    # Old files repeat every weight among the inputs.
    weights = {t.name for t in graph.initializer}
    for value in [v for v in graph.input if v.name in weights]:
        graph.input.remove(value)
    for kind, values in (("input", graph.input), ("output", graph.output)):
        if len(values) != 1:
            names = ", ".join(v.name for v in values) or "none"
            raise ModelError(
                f"the model has {len(values)} {kind}s: {names}; exactly 1 is supported",
                where=label,
                hint=SEVERAL,
            )
    value = graph.input[0]
    tensor = value.type.tensor_type
    readers = [node.op_type for node in graph.node if value.name in node.input]
    scaled = bool(readers) and all(
        kind == "DequantizeLinear" or kind.startswith("QLinear") for kind in readers
    )
    known = FLOATS + BYTES if scaled else FLOATS
    if not value.type.HasField("tensor_type") or tensor.elem_type not in known:
        kind = (
            TensorProto.DataType.Name(tensor.elem_type)
            if tensor.elem_type in range(1, 17)
            else "not a tensor"
        )
        raise ModelError(
            f"input {value.name} is {kind.lower()}; float is needed, or int8 with a scale",
            where=label,
            hint="float inputs, or DequantizeLinear right behind the input"
            if tensor.elem_type in BYTES
            else INTEGERS,
        )
    dims = list(tensor.shape.dim)
    shape = (1, *(_dimension(value.name, i, d, label) for i, d in enumerate(dims[1:], 1)))
    if len(dims) not in (2, 3, 4):
        raise ModelError(
            f"input {value.name} has {len(dims)} dimensions; 2 (batch, features), 3 (batch, channels, length) or "
            "4 (batch, channels, height, width) are supported",
            where=label,
            hint="reshape before the network",
        )
    if prod(shape) > ELEMENT_LIMIT:
        raise ModelError(
            f"input {value.name} has {prod(shape)} values; at most {ELEMENT_LIMIT} are supported",
            where=label,
            hint="a smaller input",
        )
    batch = dims[0].dim_value if dims[0].HasField("dim_value") else None
    if batch not in (None, 1):
        notes.append(f"batch size {batch} set to 1: the device takes one sample at a time")
    dims[0].dim_value = 1
    # Shapes in the file may still name the old batch; they are inferred anew.
    del graph.value_info[:]
    graph.output[0].type.tensor_type.ClearField("shape")
    return shape, batch


def _dimension(name: str, axis: int, dim: onnx.TensorShapeProto.Dimension, label: str) -> int:
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return int(dim.dim_value)
    what = (
        f"is {dim.dim_value}" if dim.HasField("dim_value") else f"is dynamic ({dim.dim_param or 'unnamed'})"
    )
    raise ModelError(
        f"dimension {axis} of input {name} {what}; only the batch, dimension 0, may be free",
        where=label,
        hint="export with a fixed input size, or onnx.tools.update_model_dims.update_inputs_outputs_dims",
    )


def _simplify(proto: onnx.ModelProto) -> ir.Model:
    model = ir.from_proto(proto)
    common.InlinePass()(model)
    fold_constants(model)
    if any(node.op_type == "Pad" for node in model.graph):
        rewriter.RewritePass([normalize_pad_format_conv_rule, fuse_pad_into_conv_rule])(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.RemoveUnusedNodesPass()(model)
    return model
