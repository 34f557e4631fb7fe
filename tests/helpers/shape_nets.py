"""Small networks of blocks that branch and join, built by hand, for images with one bright corner out of four."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcugrad.graph import Graph, Tensor
from mcugrad.graph.node import Operator
from mcugrad.model import Model
from mcugrad.ops.convolution.conv2d import Conv2d
from mcugrad.ops.convolution.conv_transpose2d import ConvTranspose2d
from mcugrad.ops.convolution.depthwise_conv2d import DepthwiseConv2d
from mcugrad.ops.convolution.grouped_conv2d import GroupedConv2d
from mcugrad.ops.joining.add import Add
from mcugrad.ops.joining.concat import Concat
from mcugrad.ops.joining.mul import Mul
from mcugrad.ops.linear.linear import Linear
from mcugrad.ops.movement.flatten import Flatten
from mcugrad.ops.movement.reshape import Reshape
from mcugrad.ops.movement.slice import Pad, Slice
from mcugrad.ops.movement.upsample2d import Upsample2d
from mcugrad.ops.pooling.avgpool2d import AvgPool2d
from mcugrad.ops.pooling.maxpool2d import MaxPool2d

SIZE = 8


class Net:
    """Writes a graph node by node; every method returns the name of what its node computes."""

    def __init__(self, shape: tuple[int, ...] = (SIZE, SIZE, 1), seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors = {"input": Tensor(name="input", shape=shape)}
        self.nodes: list[Operator] = []

    def add(self, node: Operator) -> str:
        shape = node.shape(*(self.tensors[t].shape for t in node.inputs))
        self.tensors[node.y] = Tensor(name=node.y, shape=shape)
        self.nodes.append(node)
        return node.y

    def name(self, kind: str) -> dict[str, Any]:
        name = f"{kind}{len(self.nodes) + 1}"
        return {"name": name, "y": f"{name}_y"}

    def weights(self, name: str, shape: tuple[int, ...]) -> dict[str, str]:
        bound = 1.7 / np.sqrt(np.prod(shape[1:]))
        channel = np.exp(self.random.normal(0, 0.5, shape[0])).reshape(-1, *[1] * (len(shape) - 1))
        value = self.random.uniform(-bound, bound, shape) * channel
        self.tensors[f"{name}_w"] = Tensor(name=f"{name}_w", shape=shape, value=value.astype(np.float32))
        bias = self.random.uniform(-0.1, 0.1, shape[0]).astype(np.float32)
        self.tensors[f"{name}_b"] = Tensor(name=f"{name}_b", shape=shape[:1], value=bias)
        return {"w": f"{name}_w", "b": f"{name}_b"}

    def conv(self, x: str, out: int, k: int = 3, **fields: Any) -> str:
        named = self.name("conv")
        fields = {"padding": (k // 2,) * 4, "low": 0.0, **fields}
        shape = (out, k, k, self.tensors[x].shape[2])
        return self.add(Conv2d(**named, x=x, **self.weights(named["name"], shape), **fields))

    def fc(self, x: str, out: int, **fields: Any) -> str:
        if len(self.tensors[x].shape) > 1:
            x = self.add(Flatten(**self.name("flatten"), x=x))
        named = self.name("fc")
        shape = (out, self.tensors[x].size)
        return self.add(Linear(**named, x=x, **self.weights(named["name"], shape), **fields))

    def depthwise(self, x: str, multiplier: int, k: int = 3, **fields: Any) -> str:
        named, out = self.name("depthwise"), self.tensors[x].shape[2] * multiplier
        fields = {"padding": (k // 2,) * 4, **fields}
        weights = self.weights(named["name"], (out, k, k, 1))
        return self.add(DepthwiseConv2d(**named, x=x, **weights, **fields))

    def grouped(self, x: str, out: int, groups: int, k: int = 3, **fields: Any) -> str:
        named, inner = self.name("grouped"), self.tensors[x].shape[2] // groups
        fields = {"padding": (k // 2,) * 4, **fields}
        weights = self.weights(named["name"], (out, k, k, inner))
        return self.add(GroupedConv2d(**named, x=x, **weights, groups=groups, **fields))

    def transposed(self, x: str, out: int, k: int = 3, **fields: Any) -> str:
        named = self.name("transposed")
        weights = self.weights(named["name"], (out, k, k, self.tensors[x].shape[2]))
        return self.add(ConvTranspose2d(**named, x=x, **weights, **fields))

    def whole(self, x: str) -> tuple[int, int]:
        """The kernel of global pooling."""
        height, width, _ = self.tensors[x].shape
        return height, width

    def on(self, kind: type, x: str, **fields: Any) -> str:
        return self.add(kind(**self.name(kind.__name__.lower()), x=x, **fields))

    def both(self, kind: type, a: str, b: str, **fields: Any) -> str:
        return self.add(kind(**self.name(kind.__name__.lower()), a=a, b=b, **fields))

    def concat(self, *xs: str, axis: int = 2, **fields: Any) -> str:
        axes = len(self.tensors[xs[0]].shape)
        return self.add(Concat(**self.name("concat"), xs=xs, axis=axis, axes=axes, **fields))

    def model(self, x: str) -> Model:
        out = self.fc(x, 4)
        return Model(Graph("net", tuple(self.nodes), self.tensors, "input", out), "net.onnx", "0" * 64)


def averages() -> Model:
    """Overlapping windows that reach over the border, padding not counted; then the whole map."""
    net = Net()
    x = net.conv("input", 6)
    x = net.on(AvgPool2d, x, kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    x = net.conv(x, 10)
    return net.model(net.on(AvgPool2d, x, kernel=net.whole(x)))


def averages_with_padding() -> Model:
    """Dilated windows, padding counted, a fused activation function."""
    net = Net()
    x = net.conv("input", 6, low=None)
    fields = {"kernel": (2, 3), "stride": (1, 2), "padding": (1, 1, 0, 1), "dilation": (2, 1)}
    return net.model(net.on(AvgPool2d, x, **fields, count_padding=True, low=0.0))


def depthwise_row() -> Model:
    """Depthwise convolutions one after the other, the second of stride 2."""
    net = Net()
    x = net.depthwise(net.conv("input", 8), 1)
    return net.model(net.conv(net.depthwise(x, 1, 5, stride=(2, 2), padding=(2, 2, 2, 2)), 3))


def squeeze_and_excitation() -> Model:
    net = Net()
    x = net.conv("input", 8)
    gate = net.fc(net.on(AvgPool2d, x, kernel=net.whole(x)), 6, low=0.0)
    gate = net.fc(gate, 8, low=0.0, high=1.0)
    net.tensors[net.nodes[-1].b] = Tensor(  # type: ignore[attr-defined]
        name=net.nodes[-1].b,
        shape=(8,),
        value=np.full(8, 0.5, np.float32),  # type: ignore[attr-defined]
    )
    return net.model(net.both(Mul, x, gate))


def products() -> Model:
    """Of two layers; then of a layer with itself, with an activation function."""
    net = Net()
    x = net.conv("input", 6, stride=(2, 2))
    y = net.both(Mul, x, net.conv(x, 6, low=None))
    y = net.conv(y, 6, low=None)
    return net.model(net.both(Mul, y, y, high=2.0))


def residual() -> Model:
    net = Net()
    x = net.conv("input", 8)
    x = net.both(Add, net.conv(net.conv(x, 8), 8, low=None), x, low=0.0)
    x = net.conv(x, 8, 1, stride=(2, 2))
    return net.model(net.both(Add, net.conv(x, 8), x, sign=-1))


def inception() -> Model:
    """Parts of different scales side by side."""
    net = Net()
    x = net.conv("input", 6)
    pooled = net.on(AvgPool2d, x, kernel=(3, 3), padding=(1, 1, 1, 1))
    x = net.concat(net.conv(x, 4, 1), net.conv(x, 5), net.conv(pooled, 3, 1, low=None))
    return net.model(net.conv(x, 8, stride=(2, 2)))


def largest() -> Model:
    """The largest value of the whole map."""
    net = Net()
    x = net.conv(net.conv("input", 6), 12, stride=(2, 2))
    return net.model(net.on(MaxPool2d, x, kernel=net.whole(x)))


def stacked() -> Model:
    """Joined along the height, with an activation function, and vectors."""
    net = Net()
    x = net.concat(net.conv("input", 5, low=None), net.conv("input", 5, 1, low=None), axis=0, high=2.0)
    pooled = net.on(AvgPool2d, x, kernel=(4, 4), stride=(4, 4))
    return net.model(net.concat(net.fc(x, 9, low=0.0), net.fc(pooled, 7), axis=0))


def parts() -> Model:
    """Every second pixel four times, channels split and shuffled, padding."""
    net = Net()

    def corner(y: int, x: int) -> str:
        size = {"stop": (SIZE, SIZE, 1), "step": (2, 2, 1)}
        return net.on(Slice, "input", start=(y, x, 0), **size, whole_channels=True)

    x = net.concat(*(corner(i // 2, i % 2) for i in range(4)))
    x = net.conv(x, 8)
    half = {"step": (1, 1, 1), "whole_channels": False}
    left = net.on(Slice, x, start=(0, 0, 0), stop=(4, 4, 4), **half)
    right = net.on(Slice, x, start=(0, 0, 4), stop=(4, 4, 8), **half)
    inner = net.on(
        Slice, net.conv(right, 4), start=(1, 0, 0), stop=(3, 4, 4), step=(1, 1, 1), whole_channels=True
    )
    inner = net.on(Pad, inner, before=(1, 0, 0), after=(1, 0, 0))
    x = net.concat(inner, net.on(Pad, left, before=(0, 0, 1), after=(0, 0, 0)))
    return net.model(x)


def autoencoder() -> Model:
    """Down, through a vector, up again, beside what was there before."""
    net = Net()
    x = net.conv("input", 6)
    y = net.fc(net.conv(x, 8, stride=(4, 4)), 16, low=0.0)
    y = net.conv(net.on(Reshape, y, to=(2, 2, 4)), 6)
    y = net.on(Upsample2d, net.on(Upsample2d, y, factor=(2, 1)), factor=(2, 4))
    return net.model(net.conv(net.concat(x, y), 4, stride=(2, 2)))


NETWORKS = {
    net.__name__: net
    for net in (
        averages,
        averages_with_padding,
        squeeze_and_excitation,
        products,
        residual,
        inception,
        largest,
        stacked,
        parts,
        autoencoder,
    )
}
