"""What was learned infers on a smaller device: the same outputs to the last bit, the memory of inference alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import mcugrad as mg
from mcugrad.errors import UsageError
from mcugrad.model import model_of
from mcugrad.run.reference import ReferenceRunner
from mcugrad.trainer import Trainer
from onnx_nets import Net
from state_models import KINDS, fresh
from tflite_nets import NETS, samples


def gated() -> mg.Model:
    """Branches that are added, multiplied and joined, with tabulated functions between them."""
    net = Net(1, 2, 8, 8)
    net.conv(2, 6, pads=[1, 1, 1, 1]).op("Sigmoid")
    top = net.top
    net.conv(6, 6, pads=[1, 1, 1, 1]).op("Relu")
    branch = net.top
    net.conv(6, 6, pads=[1, 1, 1, 1])
    net.nodes.append(net_node("Add", [net.top, branch], "sum"))
    net.nodes.append(net_node("Mul", ["sum.out", top], "gate"))
    net.nodes.append(net_node("Concat", ["gate.out", branch], "both", axis=1))
    net.top = "both.out"
    net.op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]).op("GlobalAveragePool").op("Flatten")
    net.op("Gemm", net.normal(12, 5), np.zeros(5, np.float32))
    return model_of(net.model().SerializeToString(), "gated", "life")


def net_node(kind: str, inputs: list[str], name: str, **attributes: object) -> object:
    return onnx.helper.make_node(kind, inputs, [f"{name}.out"], name=name, **attributes)


@pytest.mark.parametrize("kind", [*KINDS, "gated sr10", "gated last:1", "gated mixed", "gated bias"])
def test_what_was_learned_infers_on_a_smaller_device(kind: str, tmp_path: Path) -> None:
    if kind.startswith("gated"):
        how = kind.split()[1]
        rng = np.random.default_rng(3)
        x, y = rng.normal(size=(60, 8, 8, 2)).astype(np.float32), rng.integers(0, 5, 60)
        options = {"sr10": {"rule": "sr10"}, "mixed": {"train": "last:2", "precision": "mixed"}}
        trainer = mg.compile(gated(), calibration=x, **options.get(how, {"train": how}))
    else:
        trainer, x, y = fresh(kind)
    small = mg.compile(trainer.model, calibration=x, train="none", **options_of(trainer))
    times = 2 if kind in ("planes", "gated mixed") else 1  # what it infers with is that of the last training
    for _ in range(times):
        trainer.fit(x, y, rate=0.01)
        smaller = trainer.inference()
        assert not smaller.trained_layers
        q = trainer.quantize(x)
        assert smaller.twin.predict(q).tobytes() == trainer.twin.predict(q).tobytes()
        assert smaller.predict(x).tobytes() == trainer.predict(x).tobytes()
        assert smaller.evaluate(x, y) == trainer.evaluate(x, y)
        if trainer.options.precision != "mixed":
            assert smaller.ram == small.ram < trainer.ram
    if kind == "sr8":
        as_delivered = trainer.files(inference=True, delivered=True)
        assert as_delivered == fresh(kind)[0].files(inference=True) != trainer.files(inference=True)
    folder = trainer.export(tmp_path / "fw", inference=True)
    header = (folder / "life.h").read_text()
    assert "trains  nothing: inference only" in header
    assert f"begins  as trained, {60 * times} steps on data sha256 {trainer.data_hash[:16]}" in header
    with pytest.raises(UsageError, match="inference only"):
        smaller.save(tmp_path / "x.mcgstate")


def options_of(trainer: Trainer) -> dict[str, object]:
    options: dict[str, object] = {"loss": trainer.options.loss}
    if trainer.options.loss.name == "mse":
        options["typical_labels"] = np.array([[-1.0, 1.0]])
    if trainer.options.precision == "float32":
        options["precision"] = "float32"
    return options


@pytest.mark.parametrize(
    "name",
    [
        "average pool",
        "mean",
        "residual",
        "squeeze and excitation",
        "concatenation",
        "sequence",
        "logistic",
        "prelu",
    ],
)
def test_files_with_scales_of_their_own_infer_and_come_back(name: str, tmp_path: Path) -> None:
    """int8 TFLite files: their tables and roundings are those of the file until something trains."""
    net = NETS[name]()
    x = samples(net)
    trainer = mg.compile(model_of(net.int8(x).bytes(), f"{name}.tflite", "net"), calibration=x, rule="sr10")
    q, classes = trainer.quantize(x)[:4], trainer.model.classes
    runner = ReferenceRunner(trainer.build.compiled)
    order = np.arange(4, dtype=np.uint32)
    runner.train(q, order % classes, order, np.full(4, 0.1, np.float32))
    trainer.state = runner.state()
    small = ReferenceRunner(trainer.inference().build.compiled)
    assert small.predict(q).tobytes() == runner.predict(q).tobytes()
    assert Trainer.load(trainer.save(tmp_path / "a.mcgstate")).files() == trainer.files()
