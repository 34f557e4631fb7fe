"""Networks trained offline: any ONNX file of the zoo as a PyTorch module with live batch-norms, and back.

Needs PyTorch. What has been trained is kept as an ONNX file, under a name made of all that it depends on.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F

from mcugrad.errors import ModelError

torch.set_num_threads(
    1
)  # sums depend on it: the same whether a network was pretrained in this process or not
CACHE = Path(os.environ.get("MCUGRAD_PRETRAINED") or Path(__file__).resolve().parents[2] / "build/accuracy")
"""Where pretrained networks are kept."""
RECIPE = "60dacfa631bbcb639a474c88a98c830ff86a22d18dffbd7567129841e07a9efa"
"""How networks are trained, as their keys have it: this file's SHA-256 when that last changed.

Whoever changes what `train`, `TorchNet` or `_varied` do puts another one here, and all networks are trained anew.
"""


class TorchNet(nn.Module):
    """A float network from an ONNX file. Samples are channels last, as mcugrad has them.

    Args:
        source: the file's bytes, with the operators that the zoo's networks have.
    """

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self._model = onnx.load_model_from_string(source)
        self._nodes = list(self._model.graph.node)
        self.values = nn.ParameterDict()
        self.statistics: dict[str, torch.Tensor] = {}
        self._constants: dict[str, float] = {}
        moving = {
            name for node in self._nodes if node.op_type == "BatchNormalization" for name in node.input[3:5]
        }
        for tensor in self._model.graph.initializer:
            value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
            if tensor.name in moving:
                self.statistics[tensor.name] = value
            elif value.ndim == 0:
                self._constants[tensor.name] = float(value)
            else:
                self.values[_key(tensor.name)] = nn.Parameter(value)
        self.measured: set[str] = set()
        """Batch-norms that take the statistics of the next batch as their own."""

    @property
    def layers(self) -> list[onnx.NodeProto]:
        """Layers with weights, in order."""
        return [node for node in self._nodes if node.op_type in ("Conv", "Gemm")]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes). Raises ModelError if the zoo's networks have no such operator."""
        if x.ndim == 3:
            x = x.unsqueeze(1)  # a signal is an image of height 1
        # Channels last in memory, too: depthwise layers are 2.5 times as fast.
        first = x.movedim(-1, 1).contiguous(memory_format=torch.channels_last) if x.ndim > 2 else x
        found = {self._model.graph.input[0].name: first}
        for node in self._nodes:
            found[node.output[0]] = self._apply(node, found)
        return found[self._model.graph.output[0].name]

    def _apply(self, node: onnx.NodeProto, found: dict[str, torch.Tensor]) -> torch.Tensor:
        x = found[node.input[0]]
        a = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        weights = [self.values[_key(name)] for name in node.input[1:] if _key(name) in self.values]
        match node.op_type:
            case "Conv":
                w, bias = weights[0], weights[1] if len(weights) > 1 else None
                axes = w.ndim - 2
                pads, strides = a.get("pads", [0] * 4), [1, *a["strides"]][-2:]
                before, after = ([0, *pads[:axes]][-2:], [0, *pads[axes : 2 * axes]][-2:])
                if before != after:
                    x, before = F.pad(x, (before[1], after[1], before[0], after[0])), [0, 0]
                return F.conv2d(
                    x, w if axes == 2 else w.unsqueeze(2), bias, strides, before, groups=a.get("group", 1)
                )
            case "Gemm":
                return F.linear(x, *weights)
            case "BatchNormalization":
                mean, variance = (self.statistics[name] for name in node.input[3:5])
                fresh = node.name in self.measured
                return F.batch_norm(
                    x,
                    mean,
                    variance,
                    *weights,
                    training=self.training or fresh,
                    momentum=1.0 if fresh else 0.1,
                    eps=a.get("epsilon", 1e-5),
                )
            case "Relu":
                return F.relu(x)
            case "Clip":
                return x.clamp(*(self._constants[name] for name in node.input[1:3]))
            case "HardSwish":
                return F.hardswish(x)
            case "HardSigmoid":
                return F.hardsigmoid(x)
            case "MaxPool":
                kernel, strides = ([1, *a[name]][-2:] for name in ("kernel_shape", "strides"))
                return F.max_pool2d(x, kernel, strides)
            case "GlobalAveragePool":
                return x.mean(dim=(2, 3), keepdim=True)
            case "Flatten":
                return x.flatten(1)
            case "Add":
                return x + found[node.input[1]]
            case "Mul":
                return x * found[node.input[1]]
            case other:
                raise ModelError(
                    f"{other} is no operator of the zoo's networks, which alone are trained offline",
                    where=f"node {node.name}",
                    hint="a case for it in TorchNet._apply",
                )

    def renew(self, count: int, seed: int, x: np.ndarray) -> None:
        """Draws the last `count` layers anew, after He et al.; batch-norms among and after them measure samples x."""
        random = np.random.default_rng(seed)
        last = self.layers[-count:]
        first = self._nodes.index(last[0])
        with torch.no_grad():
            for node in last:
                w, *bias = (self.values[_key(name)] for name in node.input[1:])
                draw = random.normal(size=tuple(w.shape)) * np.sqrt(2 / np.prod(w.shape[1:]))
                w.copy_(torch.from_numpy(draw.astype(np.float32)))
                for b in bias:
                    b.zero_()
            norms = [node for node in self._nodes[first:] if node.op_type == "BatchNormalization"]
            for node in norms:
                self.values[_key(node.input[1])].fill_(1)
                self.values[_key(node.input[2])].zero_()
            self.measured = {node.name for node in norms}
            self.eval()
            self(torch.from_numpy(x))
            self.measured = set()

    def onnx(self) -> bytes:
        """The file with what has been learned; batch-norms hold their running statistics."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for tensor in model.graph.initializer:
            learned = self.statistics.get(tensor.name)
            if _key(tensor.name) in self.values:
                learned = self.values[_key(tensor.name)].detach()
            if learned is not None:
                tensor.CopyFrom(numpy_helper.from_array(learned.numpy(), tensor.name))
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Classes (n,)."""
        self.eval()
        with torch.no_grad():
            return np.concatenate([self(part).argmax(1).numpy() for part in torch.from_numpy(x).split(256)])


def train(
    net: TorchNet,
    x: np.ndarray,
    y: np.ndarray,
    *,
    epochs: int,
    rate: float,
    seed: int,
    variety: str = "",
    batch: int = 32,
) -> None:
    """AdamW, decay 0.01, batch 32, rate rising for a tenth of the time, then falling to 0 along a cosine.

    With the variety `move`, maps are moved by up to a tenth at random; with `mirror` also mirrored, left to right.
    """
    random = np.random.default_rng(seed)
    samples, labels = torch.from_numpy(x), torch.from_numpy(y)
    per_epoch = -(-len(x) // batch)
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=epochs * per_epoch, pct_start=0.1
    )
    net.train()
    for _ in range(epochs):
        for part in np.array_split(random.permutation(len(x)), per_epoch):
            optimizer.zero_grad(set_to_none=True)
            seen = _varied(samples[part], variety, random) if variety else samples[part]
            F.cross_entropy(net(seen), labels[part]).backward()
            optimizer.step()
            schedule.step()
    net.eval()


def _varied(x: torch.Tensor, variety: str, random: np.random.Generator) -> torch.Tensor:
    """Maps (n, h, w, c), all moved by as much, each mirrored or not; what was not seen is 0."""
    if variety == "mirror":
        mirrored = torch.from_numpy(random.random(len(x)) < 0.5).reshape(-1, 1, 1, 1)
        x = torch.where(mirrored, x.flip(2), x)
    reach = x.shape[1] // 10
    down, right = (int(n) for n in random.integers(0, 2 * reach + 1, 2))
    padded = F.pad(x, (0, 0, reach, reach, reach, reach))
    return padded[:, down : down + x.shape[1], right : right + x.shape[2]]


def pretrained(label: str, start: bytes, x: np.ndarray, y: np.ndarray, **settings: Any) -> bytes:
    """An ONNX file trained from another, kept under all that it depends on: it appears whole or not at all.

    Args:
        label: for the file's name.
        start: the network before.
        x: samples.
        y: classes.
        settings: of `train`.
    """
    digest = hashlib.sha256(start)
    for part in (x.tobytes(), y.tobytes(), repr(sorted(settings.items())).encode()):
        digest.update(hashlib.sha256(part).digest())
    digest.update(bytes.fromhex(RECIPE))
    path = CACHE / f"{label}_{digest.hexdigest()[:16]}.onnx"
    if not path.is_file():
        net = TorchNet(start)
        train(net, x, y, **settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_bytes(net.onnx())
        partial.replace(path)
    return path.read_bytes()


def _key(name: str) -> str:
    """A name as PyTorch allows it."""
    return name.replace(".", "/")
