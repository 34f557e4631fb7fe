"""A float graph as PyTorch computes it, in float64: the oracle of values and gradients."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from mcugrad.graph import Graph
from mcugrad.ops.activation.activation import Activation
from mcugrad.ops.activation.clip import Clip
from mcugrad.ops.activation.curves import Function
from mcugrad.ops.activation.prelu import PRelu
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


class TorchGraph:
    """The network with parameters of its own.

    Args:
        torch: the module.
        graph: float, folded.

    Attributes:
        constants: weights and biases by tensor name.
    """

    def __init__(self, torch: ModuleType, graph: Graph) -> None:
        self.torch = torch
        self.graph = graph
        self.constants: dict[str, Any] = {
            name: torch.tensor(t.value.astype(np.float64), requires_grad=True)
            for name, t in graph.tensors.items()
            if t.value is not None
        }

    def __call__(self, x: np.ndarray) -> Any:
        """Outputs (n,) of one sample in the device's order."""
        values = {self.graph.input: self.torch.tensor(x.astype(np.float64)), **self.constants}
        for node in self.graph.nodes:
            y = self._run(node, *(values[t] for t in node.inputs))
            low, high = getattr(node, "low", None), getattr(node, "high", None)
            if (low, high) == (0.0, None):
                y = self.torch.relu(y)
            elif low is not None or high is not None:
                y = self.torch.clamp(y, low, high)
            assert tuple(y.shape) == self.graph[node.y].shape, node.name
            values[node.y] = y
        return values[self.graph.output]

    def _run(self, node: Any, *inputs: Any) -> Any:
        x, f = inputs[0], self.torch.nn.functional
        match node:
            case Conv2d() | GroupedConv2d() | DepthwiseConv2d():
                w = inputs[1].permute(0, 3, 1, 2)
                groups = x.shape[2] // w.shape[1]
                y = f.conv2d(
                    self._padded(node, x), w, inputs[2], node.stride, 0, node.dilation, groups=groups
                )
                return y[0].permute(1, 2, 0)
            case ConvTranspose2d():
                w = inputs[1].permute(3, 0, 1, 2)
                y = f.conv_transpose2d(_first(x), w, None, node.stride, dilation=node.dilation)
                height, width, _ = self.graph[node.y].shape
                top, left = node.padding[:2]
                y = f.pad(y, (-left, width + left - y.shape[3], -top, height + top - y.shape[2]))
                return y[0].permute(1, 2, 0) + inputs[2]
            case Linear():
                return inputs[1] @ x + inputs[2]
            case MaxPool2d():
                y = f.max_pool2d(self._padded(node, x, -np.inf), node.kernel, node.stride, 0, node.dilation)
                return y[0].permute(1, 2, 0)
            case AvgPool2d():
                taps = np.prod(node.kernel) if node.count_padding else self._sums(node, x * 0 + 1)
                return self._sums(node, x) / taps
            case Add():
                return x + node.sign * inputs[1]
            case Mul():
                return x * inputs[1]
            case Concat():
                return self.torch.cat(inputs, node.axis)
            case Clip():
                return x
            case PRelu():
                return self.torch.where(x < 0, x * self.torch.tensor(node.slope), x)
            case Activation():
                return self._function(node, x)
            case Slice():
                return x[tuple(slice(*r) for r in zip(node.start, node.stop, node.step, strict=True))]
            case Pad():
                ends = zip(reversed(node.before), reversed(node.after), strict=True)
                return f.pad(x, [n for pair in ends for n in pair])
            case Upsample2d():
                return x.repeat_interleave(node.factor[0], 0).repeat_interleave(node.factor[1], 1)
            case Flatten() | Reshape():
                return x.reshape(self.graph[node.y].shape)
        raise AssertionError(node.name)

    def _padded(self, node: Any, x: Any, value: float = 0.0) -> Any:
        """The map as PyTorch has it, channels first and a batch of one, with the node's padding."""
        top, left, bottom, right = node.padding
        return self.torch.nn.functional.pad(_first(x), (left, right, top, bottom), value=value)

    def _sums(self, node: AvgPool2d, x: Any) -> Any:
        channels = x.shape[2]
        ones = self.torch.ones((channels, 1, *node.kernel), dtype=x.dtype)
        y = self.torch.nn.functional.conv2d(
            self._padded(node, x), ones, None, node.stride, 0, node.dilation, groups=channels
        )
        return y[0].permute(1, 2, 0)

    def _function(self, node: Activation, x: Any) -> Any:
        f = self.torch.nn.functional
        match node.function:
            case Function.SIGMOID:
                return self.torch.sigmoid(x)
            case Function.TANH:
                return self.torch.tanh(x)
            case Function.HARD_SIGMOID:
                return self.torch.clamp(node.alpha * x + node.beta, 0, 1)
            case Function.HARD_SWISH:
                return x * self.torch.clamp(x / 6 + 0.5, 0, 1)
            case Function.SILU:
                return f.silu(x)
            case Function.GELU:
                return f.gelu(x)
            case Function.GELU_TANH:
                return f.gelu(x, approximate="tanh")
            case Function.ELU:
                return f.elu(x, node.alpha)
        return f.softplus(x)


def _first(x: Any) -> Any:
    return x.permute(2, 0, 1)[None]
