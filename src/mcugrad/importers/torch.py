"""PyTorch modules as graphs: exported to ONNX in memory, then read like any ONNX file.

The module is left as it was: exporting happens in evaluation mode, and every submodule gets its mode back.
"""

from __future__ import annotations

import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import onnx

from mcugrad.errors import ModelError, ToolError, UsageError
from mcugrad.graph import Graph
from mcugrad.importers.onnx import load_onnx
from mcugrad.importers.shared.hints import INTEGERS, SEVERAL

TRY = "torch.export.export(module.eval(), (example,)) shows all of it; forward must not branch on values"
LAYOUT = (
    "example= as the module takes it, batch first: images (1, channels, height, width), sequences (1, channels, "
    "length); of samples that are channels last x[:1].transpose(0, 3, 1, 2) or x[:1].transpose(0, 2, 1)"
)
REASON = 300
"""Characters of PyTorch's message that are repeated."""
_SKIP = re.compile(
    r"^(##|- |Failed to (export|convert)|The above|\(Refer|Traceback|Caused by|For |If you|consider )"
)
_INTEGERS = re.compile(r"'indices'|used as ind|types?: Long|only.*int64|got .*(Long|Int)|to have .*Long")
"""What PyTorch says where it needs integers, but all inputs are real numbers."""
_SHAPES = re.compile(
    r"to have \d+ channels|shapes cannot be multiplied|[Ee]xpected .*(\dD|dimension)|input size"
)
"""What PyTorch says of an input of another shape."""
_CODES = re.compile(r"\x1b\[[0-9;]*m|<class '[\w.]*?(\w+)'>: ")


def is_module(source: object) -> bool:
    """Whether something is an `nn.Module`; PyTorch is not imported to find out."""
    return any(
        c.__module__ == "torch.nn.modules.module" and c.__name__ == "Module" for c in type(source).__mro__
    )


def load_torch(module: Any, example: Any, *, name: str | None = None) -> Graph:
    """Read a PyTorch module.

    Args:
        module: an `nn.Module` of one input and one output.
        example: a tensor or array as the module takes it, batch first; only its shape matters.
        name: model name; by default the module's class.

    Raises:
        ModelError: PyTorch cannot export it, or something in it is not supported (all of it is listed).
        ToolError: PyTorch is not installed.
        UsageError: the example is no such array.
    """
    kind = type(module).__name__
    return load_onnx(export(module, example), name=name or kind, label=kind)


def export(module: Any, example: Any) -> bytes:
    """The module as ONNX, without what depends on the place of its source code. Raises like `load_torch`."""
    try:
        import torch
    except ImportError:
        raise ToolError(
            "loading a module needs PyTorch, which is not installed",
            where="importers/torch",
            hint="pip install 'mcugrad[torch]', or export to ONNX where PyTorch is installed",
        ) from None
    _check_inputs(module)
    sample = _sample(torch, module, example)
    try:
        with ExitStack() as stack:
            stack.enter_context(_evaluating(module))
            stack.enter_context(_in_order(torch, module))
            stack.enter_context(_quietly())
            stack.enter_context(torch.no_grad())
            program = torch.onnx.export(module, (sample,), dynamo=True, verbose=False)
            proto = program.model_proto
    except Exception as error:
        if _INTEGERS.search(str(error)):
            raise ModelError(
                "the module takes integers, as nn.Embedding does; only real numbers are supported as input",
                where=type(module).__name__,
                hint=INTEGERS,
            ) from error
        reason = _shortened(error)
        raise ModelError(
            f"PyTorch cannot export the module: {reason}",
            where=type(module).__name__,
            hint=LAYOUT if _SHAPES.search(reason) else TRY,
        ) from error
    for item in (
        proto.graph,
        *proto.graph.node,
        *proto.graph.value_info,
        *proto.graph.input,
        *proto.graph.output,
    ):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for function in proto.functions:
        for node in function.node:
            node.ClearField("metadata_props")
    data: bytes = onnx.ModelProto.SerializeToString(proto, deterministic=True)
    return data


def _sample(torch: Any, module: Any, example: Any) -> Any:
    """The first sample of an example, of the type and in the place of the module's weights."""
    if isinstance(example, torch.Tensor):
        tensor = example.detach()
    else:
        array = np.asarray(example)
        if array.dtype.kind not in "fiub":
            raise UsageError(
                f"example has dtype {array.dtype}, not numbers",
                where="example",
                hint="a float32 array or tensor",
            )
        tensor = torch.from_numpy(np.array(array, np.float32))
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise UsageError(
            f"example has shape {tuple(tensor.shape)}; the module's input, batch first, is needed",
            where="example",
            hint="x[:1], one sample with its batch dimension",
        )
    weights = next((p for p in module.parameters() if p.is_floating_point()), None)
    kind = {} if weights is None else {"device": weights.device, "dtype": weights.dtype}
    return torch.empty(tensor[:1].shape, **kind).copy_(tensor[:1])


def _check_inputs(module: Any) -> None:
    """Refuse a module that cannot be called with one tensor."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in plain and p.default is inspect.Parameter.empty]
    if len(needed) > 1:
        raise ModelError(
            f"the module takes {len(needed)} inputs: {', '.join(needed)}; exactly 1 is supported",
            where=type(module).__name__,
            hint=SEVERAL,
        )


@contextmanager
def _in_order(torch: Any, module: Any) -> Iterator[None]:
    """Weights one after the other in memory for a while: PyTorch exports other operators for other strides."""
    kept = []
    for tensor in (*module.parameters(), *module.buffers()):
        data = tensor.data
        if data.layout == torch.strided and data.stride() != torch.empty(data.shape, device="meta").stride():
            kept.append((tensor, data))
    try:
        for tensor, data in kept:
            tensor.data = torch.empty(data.shape, dtype=data.dtype, device=data.device).copy_(data)
        yield
    finally:
        for tensor, data in kept:
            tensor.data = data


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode for a while."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def _quietly() -> Iterator[None]:
    """Nothing that PyTorch prints, logs or warns about on the way: it would say the same of every module."""
    handlers = [h for name in ("torch", "onnxscript") for h in logging.getLogger(name).handlers]
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "onnxscript", "onnx_ir")]
    levels = [(logger, logger.level) for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for handler in handlers:
            handler.addFilter(_nothing)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for handler in handlers:
                handler.removeFilter(_nothing)
            for logger, level in levels:
                logger.setLevel(level)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def _shortened(error: Exception) -> str:
    """The line of PyTorch's message that says what went wrong."""
    lines = (_CODES.sub(r"", line).strip() for line in str(error).splitlines())
    useful = (line for line in lines if line and not _SKIP.match(line))
    return next(useful, type(error).__name__)[:REASON].rstrip(".")
