"""Every network of the zoo on a Cortex-M4: bit-exact training, loss lowered, cost, and int8 against float inference.

Three parts, each with its bars:

* `cases`: compiled with `train="all"` by sr16, 20 training steps compared bit by bit between the host twin and the
  emulated core, then epochs on the twin over the same 16 random samples with random labels. Instructions are counted;
  cycles are estimated from them and public instruction timings at zero wait states.
* `agreement`: networks trained by the twin on Fashion-MNIST for a while, their weights written back into the ONNX file,
  that file compiled for inference, and its classes compared with onnxruntime's in float32 on test images.
* `compile`: wall-clock time of loading, compiling and exporting MobileNetV2-0.35, building the C left out.

`--only NAME ...` runs some networks and keeps the results of the others. The tables of docs/zoo.md are written from the
committed results by `--document`.
"""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from bars import ROOT, Bar, Results, arguments, main, markdown, origin, read, write
from numpy.typing import NDArray
from onnx import numpy_helper

import mcugrad as mg
from mcugrad.run import toolchain
from mcugrad.training.rules import RULES
from mcugrad.zoo import data, nets

DOCUMENT = ROOT / "docs/zoo.md"
TARGET = "cortex-m4f"
STEPS = 20
BATCH = 16
EPOCHS = 15
RATE = 0.005
SIZES = {"mcunet": (64, 64, 3)}
"""Inputs smaller than in the literature, to bound the time that emulation takes."""
CLOCK = 100e6
"""Hz, for times."""
AGREE = 0.98
COMPILE_SECONDS = 3.0
GENTLE = 0.002
"""Learning rate of mobile networks on images. At 0.005, batch-norms folded, MbedNet diverges; so it does in float32."""
TRAIN, TEST = 6000, 2000
"""Images of Fashion-MNIST."""
VIEWS = {
    "inertial_cnn": (28, 28),
    "lenet": (28, 28, 1),
    "mlp": (784,),
    "ds_cnn": (28, 28, 1),
    "resnet8": (28, 28, 1),
    "vibration_cnn": (1024, 1),
}
"""How a network sees an image; the others see it in a frame of zeros, 32x32."""

Floats = NDArray[np.float32]


def noise(shape: tuple[int, ...], count: int) -> Floats:
    """Samples of mean 0 and variance 1."""
    return np.random.default_rng(11).normal(size=(count, *shape)).astype(np.float32)


def fitted(model: mg.Model, x: Floats) -> Floats:
    """Samples in the shape that the model has them."""
    return x.reshape(-1, *model.input_shape)


# -- training ------------------------------------------------------------------------------------------------------


def case(name: str, folder: Path) -> Results:
    """A row of the first table."""
    shape = SIZES.get(name, nets.about(name).input_shape)
    x = noise(shape, STEPS)
    model = mg.load(nets.write(name, folder / f"{name}.onnx", input_shape=shape, samples=x))
    x = fitted(model, x)
    restores = nets.about(name).classes is None
    y = x if restores else np.arange(STEPS) % model.classes
    trainer = mg.compile(
        model,
        calibration=x,
        rate=RATE,
        loss="mse" if restores else "cross_entropy",
        targets=x if restores else None,
    )
    cost = trainer.measure(x[:1], y[:1], target=TARGET)
    assert cost.step is not None
    exact, instructions = True, None
    try:
        proof = trainer.verify(x, y, on=TARGET)
        instructions = proof.instructions[TARGET]
    except mg.MismatchError as error:
        logging.getLogger("zoo").error("%s: %s", name, error)
        exact = False
    history = trainer.fit(x[:BATCH], y[:BATCH], epochs=EPOCHS)
    return {
        "network": name,
        "input": "x".join(map(str, shape)),
        "outputs": model.classes,
        "parameters": model.parameters,
        "macs": model.macs,
        "ram": cost.ram,
        "constants": trainer.build.constants,
        "flash": cost.flash,
        "stack": cost.stack,
        "predict": cost.predict.instructions,
        "step": instructions,
        "step_cycles": cost.step.cycles.cycles,
        "band_percent": cost.step.cycles.band_percent,
        "bit_exact": exact,
        "loss_first": history[0].loss,
        "loss_last": history[-1].loss,
    }


# -- inference -----------------------------------------------------------------------------------------------------


def images(name: str) -> tuple[tuple[Floats, NDArray[np.int64]], tuple[Floats, NDArray[np.int64]]]:
    """Training and test images as a network sees them, in [0, 1]."""
    found = data.load("fashion_mnist")
    shape = VIEWS.get(name, (32, 32, 1))
    parts = []
    for x, y, count in ((found.x_train, found.y_train, TRAIN), (found.x_test, found.y_test, TEST)):
        pixels = x[:count].reshape(-1, 28, 28).astype(np.float32) / 255
        if np.prod(shape) == 1024:
            pixels = np.pad(pixels, ((0, 0), (2, 2), (2, 2)))
        parts.append((pixels.reshape(-1, *shape), y[:count].astype(np.int64)))
    return parts[0], parts[1]


def learned(trainer: mg.Trainer, file: bytes) -> bytes:
    """The network's ONNX file with what the twin has learned; batch-norms add the biases.

    Where the file has a weight of ours is found by importing it with every weight replaced by its index.
    """
    proto = onnx.load_model_from_string(file)
    tensors = {t.name: t for t in proto.graph.initializer}
    nodes = {n.name: n for n in proto.graph.node}
    norms = {n.input[0]: n for n in proto.graph.node if n.op_type == "BatchNormalization"}
    for node in norms.values():
        epsilon = next(a.f for a in node.attribute if a.name == "epsilon")
        for name, value in zip(node.input[1:], (1.0, 0.0, 0.0, 1.0 - epsilon), strict=True):
            put(tensors[name], np.full(tensors[name].dims, value))
    for layer in trainer.model.layers:
        kernel = tensors[nodes[layer.source].input[1]]
        put(kernel, np.arange(np.prod(kernel.dims)).reshape(kernel.dims))
    places = imported(proto).graph
    for layer in trainer.model.layers:
        node = nodes[layer.source]
        w, b = weights(trainer, layer.w, layer.b)
        kernel = tensors[node.input[1]]
        where = places[layer.w].value
        assert where is not None
        values = np.empty(where.size, np.float32)
        values[np.rint(where).astype(np.int64).reshape(-1)] = w.reshape(-1)
        put(kernel, values.reshape(kernel.dims))
        norm = norms.get(node.output[0])
        put(tensors[node.input[2] if norm is None else norm.input[2]], b)
    return bytes(proto.SerializeToString())


def put(tensor: onnx.TensorProto, value: NDArray[np.generic]) -> None:
    """Replace a constant of a file."""
    tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float32), tensor.name))


def imported(proto: onnx.ModelProto) -> mg.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(proto.SerializeToString())
        return mg.load(path)


def weights(trainer: mg.Trainer, w: str, b: str) -> tuple[Floats, Floats]:
    """What a layer has learned, in real units."""
    state, shape = trainer.state, trainer.build.graph[w].shape
    master = RULES["sr16"].split(
        state[w].reshape(-1), state[f"{w}_residual"].reshape(-1), shape[0], int(np.prod(shape[1:]))
    )
    half = (1 << RULES["sr16"].residual_bits) / 2
    steps = (master - half) / (2 * half)
    scale = state[f"{w}_scale"].astype(np.float64)[:, None]
    return (steps * scale).reshape(shape).astype(np.float32), state[b].copy()


def agreement(name: str, folder: Path) -> Results:
    """A row of the second table."""
    (x, y), (x_test, y_test) = images(name)
    path = nets.write(name, folder / f"{name}.onnx", samples=x[:128], classes=10)
    model = mg.load(path)
    rate = GENTLE if name.startswith(("mbed", "mcu", "mobile")) else 2 * RATE
    trainer = mg.compile(model, calibration=fitted(model, x[:256]), rate=rate)
    trainer.fit(fitted(model, x), y, epochs=2, schedule="cosine")
    data_of = learned(trainer, path.read_bytes())
    path.write_bytes(data_of)
    inference = mg.compile(mg.load(path), calibration=fitted(model, x[:256]), train="none")
    ours = inference.predict(fitted(model, x_test))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data_of, options)
    first = np.moveaxis(x_test, -1, 1) if x_test.ndim > 2 else x_test
    theirs = session.run(None, {"input": np.ascontiguousarray(first)})[0].argmax(axis=1)
    return {
        "network": name,
        "input": "x".join(map(str, x.shape[1:])),
        "rate": rate,
        "float_accuracy": float((theirs == y_test).mean()),
        "int8_accuracy": float((ours == y_test).mean()),
        "agreement": float((ours == theirs).mean()),
    }


# -- compile time --------------------------------------------------------------------------------------------------


def compile_seconds(folder: Path, rounds: int = 5) -> list[float]:
    """What `mcugrad compile` does for MobileNetV2-0.35 at 96x96, after imports and without building the C."""
    path = nets.write("mobilenet_v2_035", folder / "mobilenet.onnx", input_shape=(96, 96, 3))
    x = noise((96, 96, 3), 16)
    times = []
    for turn in range(rounds):
        start = time.perf_counter()
        mg.compile(mg.load(path), calibration=x, target=None).export(folder / f"firmware{turn}")
        times.append(time.perf_counter() - start)
    return times


# -- results -------------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> None:
    results = {**read(options.json), **origin(), "compiler": f"zig {toolchain.find_compiler('zig').version}"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "compile" in options.parts:
            results["compile_seconds"] = compile_seconds(folder)
        for part, make in (("cases", case), ("agreement", agreement)):
            for network in options.only or nets.names() if part in options.parts else ():
                if part == "agreement" and nets.about(network).classes is None:
                    continue
                row = make(network, folder)
                rows = [r for r in results.get(part, []) if r["network"] != network]
                results[part] = sorted([*rows, row], key=lambda r: r["network"])
                write(options.json, results)
                print({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}, flush=True)
    write(options.json, results)


def table(results: Results) -> str:
    """Cost of training, and the loss."""
    head = (
        *("network, input", "parameters", "million MACs", "RAM of the model, KiB", "flash, KiB"),
        *(
            "million instructions, prediction",
            "million instructions, step",
            "ms per step at 100 MHz, estimated",
        ),
        *("loss of the first epoch", "of the last"),
    )
    rows = [
        (
            f"`{c['network']}` {c['input']}",
            f"{c['parameters']:,}",
            f"{c['macs'] / 1e6:.2f}",
            f"{c['ram'] / 1024:.1f}",
            f"{c['flash'] / 1024:.1f}",
            f"{c['predict'] / 1e6:.2f}",
            f"{(c['step'] or 0) / 1e6:.2f}",
            f"{c['step_cycles'] / CLOCK * 1e3:,.0f} ± {c['band_percent']} %",
            f"{c['loss_first']:.3f}",
            f"{c['loss_last']:.3f}",
        )
        for c in results.get("cases", [])
    ]
    return markdown(head, rows)


def agreement_table(results: Results) -> str:
    """int8 inference beside float32."""
    rows = [
        (
            f"`{a['network']}` {a['input']}",
            *(f"{100 * a[key]:.2f}" for key in ("float_accuracy", "int8_accuracy", "agreement")),
        )
        for a in results.get("agreement", [])
    ]
    head = ("network, input", "test accuracy, onnxruntime float32, %", "int8, %", "same class, %")
    return markdown(head, rows)


def catalogue() -> str:
    """What there is."""
    rows = [
        (
            f"`{name}`",
            "x".join(map(str, nets.about(name).input_shape)),
            nets.about(name).classes or "its input",
            nets.about(name).summary,
        )
        for name in nets.names()
    ]
    head = "| network | input | outputs | what |\n| ------- | ------: | ------: | ---- |\n"
    return head + "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def document(results: Results, text: str) -> str:
    """docs/zoo.md with its tables made anew."""
    source = (
        f"`{results['command']}`, commit {results['commit']}, {results['machine']}, {results['compiler']}"
    )
    blocks = {
        "networks": catalogue(),
        "training": f"{table(results)}\n\n{source}",
        "inference": f"{agreement_table(results)}\n\n{source}",
    }
    for marker, block in blocks.items():
        begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
        text, count = re.subn(
            f"{begin}.*?{end}",
            lambda _, b=block, m=(begin, end): f"{m[0]}\n{b}\n{m[1]}",
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            raise SystemExit(f"error: {DOCUMENT.name} has {count} places for {marker}")
    return text


def tables(results: Results) -> str:
    return f"{table(results)}\n\n{agreement_table(results)}"


def bars(results: Results) -> list[Bar]:
    cases, pairs = results.get("cases", []), results.get("agreement", [])
    exact = [c["network"] for c in cases if c["bit_exact"]]
    lower = [c["network"] for c in cases if c["loss_last"] < c["loss_first"]]
    seconds = min(results.get("compile_seconds", [np.inf]))
    return [
        Bar(
            f"networks that take {STEPS} training steps bit-exactly on {TARGET}",
            len(exact),
            len(nets.names()),
        ),
        Bar(f"networks whose loss falls in {EPOCHS} epochs", len(lower), len(nets.names())),
        Bar("compile MobileNetV2-0.35 at 96x96, best of 5, s", seconds, COMPILE_SECONDS, at_least=False),
        *(
            Bar(f"{a['network']}: same class as onnxruntime in float32, %", 100 * a["agreement"], 100 * AGREE)
            for a in pairs
        ),
    ]


if __name__ == "__main__":
    parser = arguments("zoo", __doc__)
    parser.add_argument("--only", nargs="+", choices=nets.names(), metavar="NAME", help="networks to run")
    parser.add_argument(
        "--parts", nargs="+", default=["cases", "agreement", "compile"], metavar="PART", help="what to run"
    )
    parser.add_argument(
        "--document", action="store_true", help="write the tables of docs/zoo.md, run nothing"
    )
    options = parser.parse_args()
    if options.document:
        page = document(read(options.json), DOCUMENT.read_text(encoding="utf-8"))
        DOCUMENT.write_text(page, encoding="utf-8")
        raise SystemExit(0)
    raise SystemExit(main(options, run, tables, bars))
