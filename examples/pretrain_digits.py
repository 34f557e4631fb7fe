"""Pretrains the zoo's digits_cnn in float and writes it as ONNX: pretrain_digits.py [out.onnx].

This is the network before it meets its new world. It learns scikit-learn's 8x8 digits the way they were
collected: upright, dark on light. `mcugrad demo` then turns the camera upside down and inverts the contrast,
and lets an emulated microcontroller learn the rest.

    image 1x8x8 in [0, 1]
      conv 3x3, 8 -> ReLU -> conv 3x3 stride 2, 16 -> ReLU -> max-pool 2x2
      -> fc 32 -> ReLU -> fc 10 -> softmax

Plain NumPy, forward and backward side by side, so that nobody needs a framework to repeat it. It computes in
double precision and rounds the finished weights to multiples of 2^-12: whatever order a BLAS library sums in,
the same file comes out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

from mcugrad.zoo import data, worlds

Array = np.ndarray
Parameters = dict[str, Array]

EPOCHS, BATCH, RATE, MOMENTUM, DECAY = 30, 32, 0.05, 0.9, 5e-4
STRIDES = {"conv1": 1, "conv2": 2}
SHIPPED = Path(__file__).resolve().parents[1] / "src/mcugrad/zoo/models/digits_cnn.onnx"


def initial(seed: int) -> Parameters:
    """He-normal weights, zero biases."""
    rng = np.random.RandomState(seed)  # its stream is frozen for good, unlike default_rng's
    shapes = {"conv1": (8, 1, 3, 3), "conv2": (16, 8, 3, 3), "fc1": (32, 64), "fc2": (10, 32)}
    p = {}
    for name, shape in shapes.items():
        p[f"{name}.weight"] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        p[f"{name}.bias"] = np.zeros(shape[0])
    return p


def conv(p: Parameters, name: str, x: Array) -> tuple[Array, Array]:
    """Convolution 3x3, padding 1. From x (n, c, h, w): the output and the patches (n, h', w', c, 3, 3)."""
    s = STRIDES[name]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::s, ::s].transpose(0, 2, 3, 1, 4, 5)
    y = np.tensordot(patches, p[f"{name}.weight"], axes=((3, 4, 5), (1, 2, 3))) + p[f"{name}.bias"]
    return y.transpose(0, 3, 1, 2), patches


def conv_backward(p: Parameters, name: str, patches: Array, dy: Array, shape: tuple[int, ...]) -> Parameters:
    """Gradients of weight, bias and input ("dx", of the given shape) from dy (n, o, h', w')."""
    s, (n, _, h, w) = STRIDES[name], dy.shape
    dx = np.zeros((n, shape[1], shape[2] + 2, shape[3] + 2))
    for i in range(3):
        for j in range(3):
            tap = np.tensordot(dy, p[f"{name}.weight"][:, :, i, j], axes=(1, 0)).transpose(0, 3, 1, 2)
            dx[:, :, i : i + s * h : s, j : j + s * w : s] += tap
    return {
        f"{name}.weight": np.tensordot(dy, patches, axes=((0, 2, 3), (0, 1, 2))),
        f"{name}.bias": dy.sum(axis=(0, 2, 3)),
        "dx": dx[:, :, 1:-1, 1:-1],
    }


def forward(p: Parameters, x: Array) -> dict[str, Array]:
    """Every value the backward pass needs, and the logits (n, 10), from images (n, 1, 8, 8)."""
    a1, patches1 = conv(p, "conv1", x)
    r1 = np.maximum(a1, 0)
    a2, patches2 = conv(p, "conv2", r1)
    r2 = np.maximum(a2, 0)
    windows = r2.reshape(-1, 16, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 16, 2, 2, 4)
    flat = windows.max(axis=-1).reshape(-1, 64)
    r3 = np.maximum(flat @ p["fc1.weight"].T + p["fc1.bias"], 0)
    logits = r3 @ p["fc2.weight"].T + p["fc2.bias"]
    kept = {"p1": patches1, "r1": r1, "p2": patches2, "r2": r2, "windows": windows, "flat": flat, "r3": r3}
    return kept | {"logits": logits}


def gradients(p: Parameters, x: Array, labels: Array) -> Parameters:
    """Gradient of the mean cross-entropy with respect to every parameter."""
    v = forward(p, x)
    e = np.exp(v["logits"] - v["logits"].max(axis=1, keepdims=True))
    d = (e / e.sum(axis=1, keepdims=True) - np.eye(10)[labels]) / len(labels)
    g = {"fc2.weight": d.T @ v["r3"], "fc2.bias": d.sum(axis=0)}
    d = (d @ p["fc2.weight"]) * (v["r3"] > 0)
    g |= {"fc1.weight": d.T @ v["flat"], "fc1.bias": d.sum(axis=0)}
    d = (d @ p["fc1.weight"]).reshape(-1, 16, 2, 2, 1)
    first = v["windows"].argmax(axis=-1)[..., None] == np.arange(4)  # the first of equal maxima takes it all
    d = (d * first).reshape(-1, 16, 2, 2, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 16, 4, 4)
    g |= conv_backward(p, "conv2", v["p2"], d * (v["r2"] > 0), v["r1"].shape)
    g |= conv_backward(p, "conv1", v["p1"], g.pop("dx") * (v["r1"] > 0), x.shape)
    del g["dx"]
    return g


def train(images: Array, labels: Array, *, seed: int = 0) -> Parameters:
    """SGD with momentum and a cosine learning rate. Images (n, 1, 8, 8) in [0, 1]."""
    p = initial(seed)
    speed = {name: np.zeros_like(value) for name, value in p.items()}
    rng = np.random.RandomState(seed + 1)
    steps, step = EPOCHS * (len(images) // BATCH), 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            batch = order[start : start + BATCH]
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for name, g in gradients(p, images[batch], labels[batch]).items():
                speed[name] = MOMENTUM * speed[name] - rate * (g + DECAY * p[name])
                p[name] = p[name] + speed[name]
            step += 1
    return {name: np.round(value * 4096) / 4096 for name, value in p.items()}


def to_onnx(p: Parameters) -> onnx.ModelProto:
    """The network as people export it: NCHW, dynamic batch, opset 17, softmax at the end."""

    def layer(kind: str, name: str, source: str, **attributes: object) -> onnx.NodeProto:
        inputs = [source, f"{name}.weight", f"{name}.bias"] if f"{name}.weight" in p else [source]
        return helper.make_node(kind, inputs, [name], name=name, **attributes)

    padded = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        layer("Conv", "conv1", "image", strides=[1, 1], **padded),
        layer("Relu", "relu1", "conv1"),
        layer("Conv", "conv2", "relu1", strides=[2, 2], **padded),
        layer("Relu", "relu2", "conv2"),
        layer("MaxPool", "pool", "relu2", kernel_shape=[2, 2], strides=[2, 2]),
        layer("Flatten", "flatten", "pool", axis=1),
        layer("Gemm", "fc1", "flatten", transB=1),
        layer("Relu", "relu3", "fc1"),
        layer("Gemm", "fc2", "relu3", transB=1),
        layer("Softmax", "probabilities", "fc2", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits_cnn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in p.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="mcugrad examples/pretrain_digits.py",
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,  # what runtimes of 2023 and later read
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def accuracy(p: Parameters, images: Array, labels: Array) -> float:
    """Share of images (n, 8, 8), values 0..16, whose largest logit is at their label."""
    return float((forward(p, images[:, None] / 16)["logits"].argmax(axis=1) == labels).mean())


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    digits = data.load("digits")
    p = train(digits.x_train[:, None] / 16, digits.y_train)
    file.write_bytes(to_onnx(p).SerializeToString(deterministic=True))
    x, y = digits.x_test, digits.y_test
    drifted = worlds.invert(worlds.upside_down(x), top=16)
    print(f"{file}: {sum(v.size for v in p.values())} parameters, {file.stat().st_size} bytes")
    print(f"{accuracy(p, x, y):.1%} of {len(y)} held-out digits right as collected")
    print(f"{accuracy(p, drifted, y):.1%} upside down with inverted contrast")


if __name__ == "__main__":
    main()
