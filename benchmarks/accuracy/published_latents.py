"""What the last five layers of a pretrained MbedNet read, and these layers drawn anew, for published.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import transfer
from sets import load

SOURCE = "tiny100"
PRETRAINED = 5
"""Epochs of pretraining, a quarter of those of hundred.py."""
VARIANTS = {"device": (1, 50), "test": (2, 20)}
"""Seed and how many of each picture."""
NOISE = 0.2


@dataclass
class Layers:
    """The last five layers: of a gate, a projection, the last convolution (all 1x1) and two that are fully connected.

    `weights` (outputs, inputs) and `biases` (outputs,) with batch-norms folded.
    """

    weights: list[Any]
    biases: list[Any]


@cache
def pretrained() -> bytes:
    """The network before its last layers are drawn anew: as in transfer.py, but for fewer epochs."""
    import pretrain

    found, mine = load(SOURCE), transfer.halves(SOURCE)[0]
    start = transfer.build(found.x[mine][:128], found.classes)
    settings = {**transfer.PRETRAINING, "epochs": PRETRAINED, "variety": found.variety}
    return pretrain.pretrained(f"transfer_{SOURCE}", start, found.x[mine], found.y[mine], **settings)


def renewed(seed: int) -> Any:
    """The pretrained network with new last layers, in PyTorch."""
    from pretrain import TorchNet

    net = TorchNet(pretrained())
    net.renew(transfer.LAST, seed, transfer.device_samples(SOURCE)[0][:256])
    return net


def drawn(seed: int, classes: int) -> Layers:
    """New layers, the last for so many classes: the first of its outputs."""
    import torch

    net = renewed(seed)
    value = lambda key: net.values[key.replace(".", "/")].detach()  # noqa: E731
    layers = Layers([], [])
    for node in net.layers[-transfer.LAST :]:
        w = value(node.input[1]).flatten(1).clone()
        b = value(node.input[2]).clone() if len(node.input) > 2 else torch.zeros(len(w))
        norm = next((n for n in net._nodes if n.input[0] == node.output[0]), None)
        if norm is not None and norm.op_type == "BatchNormalization":
            mean, variance = (net.statistics[key] for key in norm.input[3:5])
            by = (variance + 1e-5).rsqrt()
            w, b = w * by[:, None], (b - mean) * by
        layers.weights.append(w)
        layers.biases.append(b)
    layers.weights[-1], layers.biases[-1] = layers.weights[-1][:classes], layers.biases[-1][:classes]
    return layers


def of_classes(found: list[Any], y: Any, classes: int) -> tuple[list[Any], Any]:
    """Latents and labels of samples of the first classes."""
    mine = np.flatnonzero(y < classes)
    return [part[mine] for part in found], y[mine]


@cache
def latents(name: str, part: str) -> tuple[list[Any], Any]:
    """What frozen layers make of the samples of a part, `device` or `test`: what `published.logits` reads; labels."""
    import torch

    x, y = samples(name, part)
    net = renewed(0)  # of any seed: new layers come later
    *names, end = _read(net)
    found: list[list[Any]] = [[] for _ in names]
    with torch.no_grad():
        for piece in torch.from_numpy(x).split(256):
            values = {net._model.graph.input[0].name: piece.movedim(-1, 1)}
            for node in net._nodes:
                if node.output[0] == end:
                    break
                values[node.output[0]] = net._apply(node, values)
            for kept, key in zip(found, names, strict=True):
                kept.append(values[key].flatten(2).transpose(1, 2).contiguous())
    return [torch.cat(kept) for kept in found], y


def samples(name: str, part: str) -> tuple[Any, Any]:
    """Samples and labels: `tiny100` as in hundred.py, `pictures` of one of its test pictures a class."""
    found = load(SOURCE)
    if name == SOURCE:
        return transfer.device_samples(name) if part == "device" else (found.x_test, found.y_test)
    firsts = np.unique(found.y_test, return_index=True)[1]
    seed, count = VARIANTS[part]
    return varied(found.x_test[firsts], count, np.random.default_rng(seed))


def varied(x: Any, count: int, random: np.random.Generator) -> tuple[Any, Any]:
    """`count` variants of each picture: moved by up to a fifth, mirrored or not, of other contrast, with noise."""
    y = np.repeat(np.arange(len(x)), count)
    reach = x.shape[1] // 5
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    made = np.empty((len(y), *x.shape[1:]), np.float32)
    for i, label in enumerate(y):
        down, right = random.integers(0, 2 * reach + 1, 2)
        one = padded[label, down : down + x.shape[1], right : right + x.shape[2]]
        one = one[:, ::-1] if random.random() < 0.5 else one
        made[i] = one * random.uniform(0.4, 1.4) + NOISE * random.normal(size=one.shape)
    return made.clip(-1, 1), y


def _read(net: Any) -> tuple[str, str, str, str]:
    """Names of the maps, of the gate's input, of what is added, and of the first trained layer's output."""
    gate, projection = net.layers[-transfer.LAST], net.layers[-transfer.LAST + 1]
    nodes = {node.output[0]: node for node in net._nodes}
    maps = nodes[projection.input[0]].input[0]
    added = next(
        n for n in net._nodes if n.op_type == "Add" and nodes[n.input[0]].input[0] == projection.output[0]
    )
    return maps, gate.input[0], added.input[1], gate.output[0]
