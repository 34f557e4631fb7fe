"""Float32: replace operators by those that compute in float32, all of them or what follows the first that trains.

1. `float32`: every operator; the input, which alone has a scale, is brought from int8 to real units first.
2. `mixed`: layers that train, and what depends on them; before that everything stays int8 and frozen in flash. Each
   int8 activation that a float operator reads is brought to real units once.
3. Float operators are those of the network as it was before quantization, without bounds that only tables need.
4. Weights are stored as they are and train by float32 SGD; the update rules of int8 weights do not apply.
"""

from __future__ import annotations

from dataclasses import replace

from mcugrad.errors import ModelError
from mcugrad.graph import Float32, Graph, Node, Operator, Tensor
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.activation_f32 import ActivationF32
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.activation.clip_f32 import ClipF32
from mcugrad.ops.activation.prelu import PRelu
from mcugrad.ops.activation.prelu_f32 import PReluF32
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv2d_f32 import Conv2dF32
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.conv_transpose2d_f32 import ConvTranspose2dF32
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.depthwise_conv2d_f32 import DepthwiseConv2dF32
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.convolution.grouped_conv2d_f32 import GroupedConv2dF32
from mcugrad.ops.core.activated import Activated
from mcugrad.ops.core.dequantize import Dequantize
from mcugrad.ops.core.operator_f32 import OperatorF32, real
from mcugrad.ops.core.weighted import Weighted
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.add_f32 import AddF32
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.joining.concat_f32 import ConcatF32
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.joining.mul_f32 import MulF32
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.linear.linear_f32 import LinearF32
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.flatten_f32 import FlattenF32
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.reshape_f32 import ReshapeF32
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.slice_f32 import PadF32, SliceF32
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.ops.movement.upsample2d_f32 import Upsample2dF32
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.avgpool2d_f32 import AvgPool2dF32
from mcugrad.ops.pooling.maxpool2d import MaxPool2d
from mcugrad.ops.pooling.maxpool2d_f32 import MaxPool2dF32

FLOAT: dict[type[Operator], type[OperatorF32]] = {
    Activation: ActivationF32,
    Add: AddF32,
    AvgPool2d: AvgPool2dF32,
    Clip: ClipF32,
    Concat: ConcatF32,
    Conv2d: Conv2dF32,
    ConvTranspose2d: ConvTranspose2dF32,
    DepthwiseConv2d: DepthwiseConv2dF32,
    Flatten: FlattenF32,
    GroupedConv2d: GroupedConv2dF32,
    Linear: LinearF32,
    MaxPool2d: MaxPool2dF32,
    Mul: MulF32,
    PRelu: PReluF32,
    Pad: PadF32,
    Reshape: ReshapeF32,
    Slice: SliceF32,
    Upsample2d: Upsample2dF32,
}
"""What computes an operator in float32."""


def to_float(graph: Graph, source: Graph, *, whole: bool) -> Graph:
    """Replace operators by float ones.

    Args:
        graph: quantized, with trainable tensors marked; or with a scale of its input, where every operator is replaced.
        source: the same network in float32, before quantization.
        whole: every operator; else those that train, and what depends on them.

    Raises:
        ModelError: operators that have no float form; all of them are listed.
    """
    original = {node.name: node for node in source.nodes}
    chosen = _chosen(graph, whole)
    missing = [original[n].title for n in chosen if type(original[n]) not in FLOAT]
    if missing:
        count = f"{len(missing)} operators" if len(missing) > 1 else "an operator"
        raise ModelError(
            f"{count} cannot be computed in float32", where=";  ".join(missing), hint="precision='int8'"
        )
    nodes: list[Node] = []
    names: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in chosen:
            nodes.append(node)
            continue
        of = original[node.name]
        assert isinstance(of, Operator)
        for x in of.inputs:
            if graph[x].value is None and x not in names and not isinstance(graph[x].quant, Float32):
                names[x] = f"{x}_real"
                nodes.append(Dequantize(name=f"{x}_to_float", source=node.source, x=x, y=names[x]))
                graph = graph.with_tensors(Tensor(names[x], graph[x].shape, quant=Float32()))
        of = of.renamed({x: names[x] for x in of.inputs if x in names})
        computed = FLOAT[type(of)](name=of.name, source=of.source, y=of.y, of=of)
        graph = _as_float(graph, computed)
        nodes.append(computed)
    return graph.with_nodes(nodes)


def _chosen(graph: Graph, whole: bool) -> set[str]:
    """Names of the nodes to be computed in float32."""
    chosen: set[str] = set()
    moving: set[str] = set()
    for node in graph.nodes:
        trains = any(graph[t].trainable for t in node.inputs)
        if whole or trains or moving.intersection(node.inputs):
            chosen.add(node.name)
            moving.update(node.outputs)
    return chosen


def _as_float(graph: Graph, node: OperatorF32) -> Graph:
    """The graph with the node's output and weights in float32."""
    of = node.of
    quant = Float32()
    if node.passes_scale:
        quant = real(graph, of.inputs[0])
    elif isinstance(of, Activated):
        quant = Float32(of.low, of.high)
    graph = graph.with_tensors(replace(graph[node.y], quant=quant, tracked=False))
    if isinstance(of, Weighted):
        graph = graph.with_tensors(
            replace(graph[of.w], quant=Float32(), update=None), replace(graph[of.b], update=None)
        )
    return graph
