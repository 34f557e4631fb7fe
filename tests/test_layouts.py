"""Layouts of samples: what is taken as it comes, what is turned, and what the message says to write instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcugrad as mg
from command_line import Cli, save
from mcugrad import layouts
from mcugrad.errors import DataError
from networks import Conv, Dense, model
from tflite_writer import Net

TAKEN = {
    "as it is": ((4, 5, 3), (4, 5, 3)),
    "no lone channel": ((4, 5), (4, 5, 1)),
    "lone channel first": ((1, 4, 5), (4, 5, 1)),
    "sequence": ((128, 6), (1, 128, 6)),
    "sequence downwards": ((128, 6), (128, 1, 6)),
    "sequence of one channel": ((128, 1), (1, 128, 1)),
    "square sequence": ((6, 6), (1, 6, 6)),
    "channels as many as rows": ((3, 3, 3), (3, 3, 3)),
    "vector": ((7,), (7,)),
}


@pytest.mark.parametrize("case", TAKEN)
def test_what_leaves_no_doubt_is_taken(case: str) -> None:
    given, wanted = TAKEN[case]
    x = np.arange(2 * np.prod(given)).reshape(2, *given)
    assert np.array_equal(layouts.arranged(x, wanted), x.reshape(2, *wanted)), "no value moves"
    assert layouts.turned(given, wanted) is None


FIRST = {
    "image": ((3, 4, 5), (4, 5, 3), "x.transpose(0, 2, 3, 1)"),
    "square image": ((3, 4, 4), (4, 4, 3), "x.transpose(0, 2, 3, 1)"),
    "sequence": ((6, 128), (1, 128, 6), "x.transpose(0, 2, 1)"),
    "sequence with a height": ((6, 1, 128), (1, 128, 6), "x.transpose(0, 2, 3, 1)"),
    "height first": ((1, 6, 128), (1, 128, 6), "x.transpose(0, 1, 3, 2)"),
    "sequence downwards": ((6, 128), (128, 1, 6), "x.transpose(0, 2, 1)"),
}


@pytest.mark.parametrize("case", FIRST)
def test_channels_first_is_recognised_and_named(case: str) -> None:
    given, wanted, expression = FIRST[case]
    text = layouts.hint((2, *given), wanted, "x")
    assert text.startswith(f"{expression}: channels come last")
    x = np.arange(2 * np.prod(given)).reshape(2, *given)
    written = layouts.arranged(eval(expression, {"x": x}), wanted)
    assert written.shape[1:] == wanted
    assert np.array_equal(np.moveaxis(x.reshape(2, wanted[2], -1), 1, 2), written.reshape(2, -1, wanted[2]))


OTHERS = {
    "no batch": ((4, 5, 3), (4, 5, 3), "x[None], a batch of one sample"),
    "no batch, no channel": ((4, 5), (4, 5, 1), "x[None], a batch of one sample"),
    "flat": ((9, 60), (4, 5, 3), "x.reshape(len(x), 4, 5, 3), if values lie in that order"),
    "not flat": ((9, 8, 8), (64,), "x.reshape(len(x), -1)"),
    "another size": ((9, 8, 7), (8, 8, 1), "maps are (height, width, channels), as on the device"),
    "another length": ((9, 100, 6), (1, 128, 6), "sequences are (length, channels)"),
    "another vector": ((9, 8), (64,), "samples of 64 values"),
    "single numbers": ((9,), (4, 5, 3), "maps are (height, width, channels)"),
    "empty": ((0, 3, 4, 4), (4, 4, 3), "x.transpose(0, 2, 3, 1)"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_to_write_instead(case: str) -> None:
    shape, wanted, text = OTHERS[case]
    assert layouts.hint(shape, wanted, "x").startswith(text)


def test_python_names_what_to_write() -> None:
    net = model((3, 6, 5), (Conv(4, stride=(2, 2)), Dense(2)))
    x = np.random.default_rng(0).normal(size=(8, 6, 5, 3)).astype(np.float32)
    trainer = mg.compile(net, calibration=x)
    with pytest.raises(DataError) as caught:
        trainer.quantize(x.transpose(0, 3, 1, 2))
    assert caught.value.hint.startswith("x.transpose(0, 2, 3, 1)")
    with pytest.raises(DataError, match="calibration has shape") as caught:
        mg.compile(net, calibration=x.transpose(0, 3, 1, 2))
    assert caught.value.hint.startswith("calibration.transpose(0, 2, 3, 1)")


def _sequences() -> bytes:
    """A 1-D network as TFLite has it: (1, length, channels), expanded inside."""
    net = Net(1, 12, 4)
    net.op("EXPAND_DIMS", net.constant(np.int32(1), "int32")).conv(4, 8, (1, 5), act=1)
    return net.op("MEAN", net.ints(1, 2), keepDims=False).fc(8, 3).bytes()


@pytest.mark.parametrize("verb", ["compile", "train", "run"])
def test_the_command_line_takes_the_shapes_that_python_takes(cli: Cli, tmp_path: Path, verb: str) -> None:
    (tmp_path / "seq.tflite").write_bytes(_sequences())
    x = np.random.default_rng(0).normal(size=(24, 12, 4)).astype(np.float32)
    y = np.arange(24) % 3
    more = {
        "compile": ["--no-measure"],
        "train": ["--epochs", "1", "--rate", "0.01"],
        "run": ["--on", "reference", "--steps", "2"],
    }
    said = []
    for name, form in (("seq", x), ("axis", x[:, None]), ("first", x.transpose(0, 2, 1))):
        result = cli(verb, "seq.tflite", "--data", save(tmp_path / f"{name}.npz", form, y), *more[verb])
        assert result.code == 0, result.err
        said.append(result.out)
    assert "12x4 float32 divided by 1" in said[0]
    assert "4x12 float32 (channels first, turned) divided by 1" in said[2]
    assert [text.splitlines()[2:] for text in said] == 3 * [said[0].splitlines()[2:]], "the same samples"
