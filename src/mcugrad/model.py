"""Model: a network as loaded, before anything is decided about the device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcugrad.errors import ModelError, UsageError
from mcugrad.files import kind_of
from mcugrad.graph import Graph, Operator
from mcugrad.importers.onnx import load_onnx
from mcugrad.importers.shared.file import load_bytes
from mcugrad.importers.tflite import load_tflite
from mcugrad.importers.tflite.read import IDENTIFIER
from mcugrad.importers.torch import export, is_module
from mcugrad.ops.core.weighted import Weighted
from mcugrad.passes.fold import fold


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network in float32, simplified and folded.

    Attributes:
        graph: its operators; maps are (height, width, channels).
        source: name of the file, or of the module's class, that it came from.
        digest: SHA-256 of that file, or of what the module was exported to, hexadecimal.
        data: that file's bytes, or what the module was exported to.
    """

    graph: Graph
    source: str
    digest: str
    data: bytes = b""

    @property
    def name(self) -> str:
        """Name of the model, a C identifier."""
        return self.graph.name

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample: (height, width, channels) or (features,)."""
        return self.graph[self.graph.input].shape

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.graph[self.graph.output].size

    @property
    def layers(self) -> tuple[Weighted, ...]:
        """Layers with weights, first to last: what `train=` chooses from."""
        return tuple(n for n in self.graph.nodes if isinstance(n, Weighted))

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(self.graph[n.w].size + self.graph[n.b].size for n in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one forward pass."""
        return sum(n.macs(self.graph) for n in self.graph.nodes if isinstance(n, Operator))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        return (
            f"<Model {self.name}: {shape} -> {self.classes}, {len(self.layers)} layers with weights, "
            f"{self.parameters} parameters, {self.macs} MACs>"
        )


def load(source: Any, *, example: Any = None, name: str | None = None) -> Model:
    """Load a network.

    Args:
        source: path of an ONNX or TFLite file, told apart by what is in it, or a PyTorch `nn.Module`.
        example: for a module, one or more samples as it takes them: a tensor or array, batch first.
        name: what to call it in C; the name of the file or of the module's class if not given.

    Raises:
        ModelError: no such file, neither ONNX nor TFLite, corrupt, or something in it is not supported (all of it is
            listed).
        ToolError: a package that reads this kind of model is not installed.
        UsageError: `source` is neither a path nor a module, or `example` is missing or in the way.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if example is not None:
            raise UsageError(
                "example= belongs to a module; a file knows the shape of its input",
                where=path.name,
                hint=f"load({path.name!r})",
            )
        graph = load_tflite(path, name=name) if _is_tflite(path) else load_onnx(path, name=name)
        label, data, _ = load_bytes(path)
        return _model(graph, label, data)
    if not is_module(source):
        raise UsageError(
            f"a network cannot be loaded from {type(source).__name__}",
            where="load",
            hint="the path of an .onnx or .tflite file, or an nn.Module with example=",
        )
    if example is None:
        raise UsageError(
            "a module does not know the shape of its input",
            where=type(source).__name__,
            hint="load(net, example=x[:1])",
        )
    data = export(source, example)
    kind = type(source).__name__
    return _model(load_onnx(data, name=name or kind, label=kind), kind, data)


def is_tflite(data: bytes) -> bool:
    """Whether bytes have the identifier of a TFLite file."""
    return data[4:8] == IDENTIFIER


def model_of(data: bytes, source: str, name: str) -> Model:
    """Load a network from the bytes of an ONNX or TFLite file.

    Args:
        data: of the file.
        source: what to say that it came from.
        name: what to call it in C.

    Raises:
        ModelError: as `load`; weights in other files are not found.
        ToolError: a package that reads this kind of model is not installed.
    """
    graph = load_tflite(data, name=name) if is_tflite(data) else load_onnx(data, name=name)
    return _model(graph, source, data)


def _is_tflite(path: Path) -> bool:
    """By the identifier that every TFLite file has; by the name of a file that is damaged or cannot be read."""
    if kind_of(path) != "a file":
        return path.suffix == ".tflite"
    try:
        with path.open("rb") as file:
            head = file.read(8)
        is_onnx = head[:1] == b"\x08"  # its first field, the version
        return head[4:] == IDENTIFIER or (path.suffix == ".tflite" and not is_onnx)
    except (OSError, ValueError):
        return path.suffix == ".tflite"


def _model(graph: Graph, source: str, data: bytes) -> Model:
    graph = fold(graph)
    if not any(isinstance(n, Weighted) for n in graph.nodes):
        raise ModelError(
            "the network has no layer with weights",
            where=source,
            hint="a network with convolutions or fully connected layers",
        )
    return Model(graph, source, hashlib.sha256(data).hexdigest(), data)
