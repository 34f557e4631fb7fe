"""Every network of the zoo on a Cortex-M4: bit-exact training, loss lowered, cost, and int8 against float inference.

Four parts, each with its bars:

* `cases`: compiled with `train="all"` by sr16, 20 training steps compared bit by bit between the host twin and the
  emulated core, then epochs on the twin over the same 16 random samples with random labels. Instructions are counted;
  cycles are estimated from them and public instruction timings at zero wait states.
* `agreement`: networks trained on Fashion-MNIST in float32 with live batch-norms, compiled for inference, and their
  classes compared with onnxruntime's in float32 on test images.
* `litert`: the same trained networks as int8 TFLite files, on the host twin and through LiteRT: outputs, classes, and
  layer by layer which rounding differs.
* `compile`: wall-clock time of loading, compiling and exporting MobileNetV2-0.35, building the C left out.

`--only NAME ...` runs some networks and keeps the results of the others. The tables of docs/zoo.md are written from the
committed results by `--document`.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from bars import ROOT, Bar, Results, arguments, main, origin, read, write
from numpy.typing import NDArray
from zoo_tables import DOCUMENT, METHODS, document, tables

import mcugrad as mg
from mcugrad import toolchain
from mcugrad.importers.onnx import load_onnx
from mcugrad.passes.fold import fold
from mcugrad.zoo import data, nets

CACHE = ROOT / "build/pretrained"
"""Trained networks; to be deleted when training itself is changed."""
TARGET = "cortex-m4f"
STEPS = 20
BATCH = 16
EPOCHS = 15
RATE = 0.005
SIZES = {"mcunet": (64, 64, 3)}
"""Inputs smaller than in the literature, to bound the time that emulation takes."""
AGREE = 0.98
COMPILE_SECONDS = 1.5
TRAIN, TEST = 20_000, 2000
"""Images of Fashion-MNIST."""
STATISTICS, CALIBRATION = 128, 256
"""Images that the initial batch-norms are measured with, and that ranges are taken from."""
BATCH_FLOAT, RATE_FLOAT = 128, 0.05
EPOCHS_FLOAT = {"ds_cnn": 4, "mbednet": 6, "mcunet": 4, "mobilenet_v2_035": 7, "resnet8": 4}
"""Passes in float32 where they are not 10, so that all networks together train in some ten minutes on one core."""
CLASSIFIERS = [name for name in nets.names() if nets.about(name).classes is not None]
LITERT_TOP1 = 0.995
"""Least share of images of the same class as LiteRT's."""
SAME = "same class as onnxruntime in float32, %"
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
        typical_labels=x if restores else None,
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
    history = trainer.fit(x[:BATCH], y[:BATCH], epochs=EPOCHS, schedule="constant")
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


def trained(file: bytes, x: Floats, y: NDArray[np.int64], epochs: int) -> bytes:
    """A network's file after training in float32.

    SGD with Nesterov momentum, batch 128, the rate up for a tenth of the steps, then down along a cosine.
    """
    import torch
    from accuracy.pretrain import TorchNet

    torch.set_num_threads(1)
    net = TorchNet(file)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": matrices, "weight_decay": 5e-4}, {"params": vectors}],
        lr=RATE_FLOAT,
        momentum=0.9,
        nesterov=True,
    )
    steps = epochs * (len(x) // BATCH_FLOAT)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min(1, 10 * (t + 1) / steps) * (1 + np.cos(np.pi * t / steps)) / 2
    )
    random = torch.Generator().manual_seed(0)
    net.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=random)
        for part in order[: len(x) // BATCH_FLOAT * BATCH_FLOAT].split(BATCH_FLOAT):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(net(inputs[part]), labels[part]).backward()
            optimizer.step()
            schedule.step()
    return net.onnx()


def pretrained(name: str, x: Floats, y: NDArray[np.int64]) -> bytes:
    """The file of a network trained on images, trained now if none is kept."""
    epochs = EPOCHS_FLOAT.get(name, 10)
    kept = CACHE / f"{name}_fashion_mnist_{TRAIN}x{epochs}_sgd{RATE_FLOAT}.onnx"
    if not kept.is_file():
        file = trained(nets.build(name, samples=x[:STATISTICS], classes=10), x, y, epochs)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.with_suffix(".part").write_bytes(file)
        kept.with_suffix(".part").replace(kept)
    return kept.read_bytes()


def agreement(name: str, folder: Path) -> Results:
    """A row of the second table."""
    (x, y), (x_test, y_test) = images(name)
    file = pretrained(name, x, y)
    path = folder / f"{name}.onnx"
    path.write_bytes(file)
    model = mg.load(path)
    first = np.moveaxis(x_test, -1, 1) if x_test.ndim > 2 else x_test
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options)
    theirs = session.run(None, {"input": np.ascontiguousarray(first)})[0].argmax(axis=1)
    row: Results = {
        "network": name,
        "input": "x".join(map(str, x.shape[1:])),
        "epochs": EPOCHS_FLOAT.get(name, 10),
        "float_accuracy": float((theirs == y_test).mean()),
    }
    for method in METHODS:
        inference = mg.compile(
            model, calibration=fitted(model, x[:CALIBRATION]), train="none", calibration_method=method
        )
        ours = inference.predict(fitted(model, x_test))
        row[f"{method}_accuracy"] = float((ours == y_test).mean())
        row[f"{method}_agreement"] = float((ours == theirs).mean())
    return row


def litert(name: str, folder: Path) -> Results:
    """A row of the third table."""
    from litert import compare

    from tflite_writer import of_graph

    (x, y), (x_test, _) = images(name)
    graph = fold(load_onnx(pretrained(name, x, y)))
    shape = graph[graph.input].shape
    net = of_graph(graph).int8(x[:CALIBRATION].reshape(-1, *shape))
    return {
        "network": name,
        "input": "x".join(map(str, x.shape[1:])),
        **compare(net, x_test.reshape(-1, *shape), folder),
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
    results = read(options.json)
    where = {**origin(), "compiler": f"zig {toolchain.find_compiler('zig').version}"}
    results["origins"] = {**results.get("origins", {}), **dict.fromkeys(options.parts, where)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "compile" in options.parts:
            results["compile_seconds"] = compile_seconds(folder)
        for part, make in (("cases", case), ("agreement", agreement), ("litert", litert)):
            for network in options.only or nets.names() if part in options.parts else ():
                if part != "cases" and network not in CLASSIFIERS:
                    continue
                row = make(network, folder)
                rows = [r for r in results.get(part, []) if r["network"] != network]
                results[part] = sorted([*rows, row], key=lambda r: r["network"])
                write(options.json, results)
                print({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}, flush=True)
    write(options.json, results)


def bars(results: Results) -> list[Bar]:
    cases, pairs = results.get("cases", []), results.get("agreement", [])
    missing = [n for n in CLASSIFIERS if n not in {a["network"] for a in pairs}]
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
        *(Bar(f"{a['network']}: {SAME}", 100 * a[f"{METHODS[0]}_agreement"], 100 * AGREE) for a in pairs),
        *(Bar(f"{name}: {SAME}", None, 100 * AGREE) for name in missing),
        *litert_bars(results),
    ]


def litert_bars(results: Results) -> list[Bar]:
    rows = {r["network"]: r for r in results.get("litert", [])}
    whole = [rows[name] for name in CLASSIFIERS if name in rows]
    found = []
    for name in CLASSIFIERS:
        row = rows.get(name)
        top1, close = (100 * row[key] if row else None for key in ("top1", "outputs_within_1"))
        found += [
            Bar(f"{name}: same class as LiteRT in int8, %", top1, 100 * LITERT_TOP1),
            Bar(f"{name}: outputs within 1 step of LiteRT's, %", close, 100),
        ]
    worst = max((r["largest_in_layers"] for r in whole), default=None)
    unknown = sum(r["unexplained"] for r in whole) if whole else None
    return [
        *found,
        Bar("largest difference of a layer from LiteRT on the same inputs, steps", worst, 1, at_least=False),
        Bar("images that differ from LiteRT where no layer does", unknown, 0, at_least=False),
    ]


PARTS = ("cases", "agreement", "litert", "compile")

if __name__ == "__main__":
    parser = arguments("zoo", __doc__)
    parser.add_argument("--only", nargs="+", choices=nets.names(), metavar="NAME", help="networks to run")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=PARTS,
        help="what to run",
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
