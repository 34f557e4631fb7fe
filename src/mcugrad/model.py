"""Model: a network as loaded, before anything is decided about the device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mcugrad.errors import ModelError
from mcugrad.graph import Graph, Operator
from mcugrad.importers.onnx import load_onnx
from mcugrad.ops.weighted import Weighted
from mcugrad.passes.fold import fold


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A network in float32, simplified and folded.

    Attributes:
        graph: its operators; maps are (height, width, channels).
        source: file name it came from.
        digest: SHA-256 of that file, hexadecimal.
    """

    graph: Graph
    source: str
    digest: str

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


def load(source: str | Path, *, name: str | None = None) -> Model:
    """Load a network.

    Args:
        source: an ONNX file.
        name: what to call it in C; the file's name if not given.

    Raises:
        ModelError: no such file, not ONNX, corrupt, or something in it is not supported (all of it is listed).
    """
    path = Path(source)
    graph = fold(load_onnx(path, name=name))
    if not any(isinstance(n, Weighted) for n in graph.nodes):
        raise ModelError(
            "the network has no layer with weights", where=path.name, hint="a network with Conv or Gemm nodes"
        )
    return Model(graph, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
