"""The network as a graph of typed nodes."""

from mcugrad.graph.graph import Graph
from mcugrad.graph.node import Node, Operator
from mcugrad.graph.precision import Precision
from mcugrad.graph.tensor import ActivationScale, ErrorScale, Float32, Shape, Tensor, WeightScale

__all__ = [
    "ActivationScale",
    "ErrorScale",
    "Float32",
    "Graph",
    "Node",
    "Operator",
    "Precision",
    "Shape",
    "Tensor",
    "WeightScale",
]
