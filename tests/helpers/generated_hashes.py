"""As a script: hashes of what is generated for networks with every operator. Run by test_same_everywhere.py."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

import mcugrad as mg
import shape_nets
from mcugrad.importers.onnx import load_onnx
from mcugrad.model import Model
from mcugrad.passes.fold import fold
from mcugrad.zoo import nets
from onnx_nets import Net

ACTIVATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Elu", {"alpha": 0.7}),
    ("Softplus", {}),
    ("HardSwish", {}),
    ("HardSigmoid", {"alpha": 0.3}),
    ("LeakyRelu", {"alpha": 0.1}),
)
SIZES = {
    "ds_cnn": (12, 10, 1),
    "inertial_cnn": (24, 3),
    "mbednet": (16, 16, 3),
    "mcunet": (32, 32, 3),
    "mlp": (9, 7),
    "mobilenet_v2_035": (32, 32, 3),
    "resnet8": (16, 16, 3),
}
"""Of the networks of the zoo whose files are hashed; those that are no smaller in the literature."""


def samples(model: Model, count: int) -> NDArray[np.float32]:
    """Random ones: whatever a last bit can change, it does with some of them."""
    return np.random.default_rng(3).normal(size=(count, *model.input_shape)).astype(np.float32)


def imported(net: Net) -> Model:
    data = net.bytes(opset=20)
    return Model(fold(load_onnx(data)), "net.onnx", hashlib.sha256(data).hexdigest())


def layers() -> Model:
    """Every layer with weights, batch-norms before and behind them, pooling."""
    net = Net("batch", 3, 13, 11, seed=4)
    net.conv(3, 8, pads=[1, 1, 1, 1]).norm(8).op("Relu").norm(8)
    net.conv(8, 16, bias=False).norm(16).op("Clip", np.float32(0), np.float32(6))
    net.op("AveragePool", kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1])
    net.conv(1, 16, group=16, pads=[1, 1, 1, 1]).norm(16).op("Relu")
    net.conv(4, 12, (2, 3), group=4).op("PRelu", np.abs(net.normal(12, 1, 1)))
    net.op("ConvTranspose", net.normal(12, 6, 3, 2), net.normal(6), strides=[2, 2]).norm(6)
    return imported(net.op("GlobalAveragePool").op("Flatten").fc(6, 4))


def activations() -> Model:
    """Every function, one recognised in arithmetic, and weights that the importer computes."""
    net = Net("batch", 24, seed=6)
    for kind, attributes in ACTIVATIONS:
        net.fc(24, 24).op(kind, **attributes)
    before = net.fc(24, 24).top
    net.op("Sigmoid").nodes.append(helper.make_node("Mul", [before, net.top], ["silu"]))
    net.top = "silu"
    net.nodes.append(
        helper.make_node(
            "Pow", [net.const("base", np.abs(net.normal(24, 40))), net.const("e", np.float32(1.7))], ["p"]
        )
    )
    net.nodes.append(helper.make_node("MatMul", ["p", net.const("right", net.normal(40, 5))], ["w"]))
    net.nodes.append(helper.make_node("MatMul", [net.top, "w"], ["y"]))
    net.top = "y"
    return imported(net)


def generated() -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    for name in nets.names():
        yield name, nets.build(name, input_shape=SIZES.get(name), classes=None)
    cases: tuple[tuple[str, Model, dict[str, Any]], ...] = (
        ("layers", layers(), {}),
        (
            "layers",
            layers(),
            {"calibration_method": "percentile", "percentile": 99.7, "train": "last:2", "rule": "sr8"},
        ),
        ("layers", layers(), {"precision": "float32"}),
        ("activations", activations(), {"sparse": mg.Static({"*": 0.3})}),
        (
            "activations",
            activations(),
            {"calibration_method": "minmax", "precision": "mixed", "train": "last:3"},
        ),
        ("squeeze", shape_nets.squeeze_and_excitation(), {"rule": "sr16"}),
        ("autoencoder", shape_nets.autoencoder(), {"train": "none"}),
    )
    for i, (name, model, options) in enumerate(cases):
        trainer = mg.compile(model, calibration=samples(model, 130), **options)
        compiled = trainer.build.compiled
        for file, text in (*compiled.files.items(), ("host.c", compiled.host)):
            yield f"{i} {name} {file}", text.encode()
    resnet = nets.build("resnet8", input_shape=(16, 16, 3))
    model = Model(fold(load_onnx(resnet)), "resnet8.onnx", hashlib.sha256(resnet).hexdigest())
    for file, text in mg.compile(model, calibration=samples(model, 100)).build.compiled.files.items():
        yield f"resnet8 {file}", text.encode()


if __name__ == "__main__":
    json.dump({name: hashlib.sha256(data).hexdigest() for name, data in generated()}, sys.stdout)
