"""Samples as the command line reads them: divided, and brought into the network's shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from command_line import images, labels, save
from mcugrad.commands.inputs import default_scale, network, prepared, samples
from mcugrad.errors import DataError


@pytest.mark.parametrize(
    ("name", "dtype", "divisor"),
    [
        ("digits", "uint8", 16),
        ("digits", "float32", 1),
        ("any", "uint8", 255),
        ("any", "int16", 32768),
        ("any", "float64", 1),
    ],
)
def test_what_samples_are_divided_by(name: str, dtype: str, divisor: float) -> None:
    assert default_scale(name, np.dtype(dtype)) == divisor


def test_samples_are_brought_into_the_networks_shape(tmp_path: Path) -> None:
    model = network("digits_cnn")
    x = images(4)
    for form in (x, x[..., None], x[:, None]):
        assert np.array_equal(prepared(form, model, 255), x[..., None].astype(np.float32) / np.float32(255))
    with pytest.raises(DataError):
        prepared(x.reshape(4, 64), model, 255)


def test_scale_can_be_said(tmp_path: Path) -> None:
    model = network("digits_cnn")
    path = save(tmp_path / "mine.npz", images(), labels(), x_test=images(4), y_test=labels(4))
    found = samples(path, model, 100)
    assert found.x.max() == pytest.approx(2.55)
    assert found.text == "mine: 20 samples to train, 4 held out, 8x8 uint8 divided by 100"
    assert list(found.spaced(3)) == [0, 10, 19]
    assert list(found.spaced(1000)) == list(range(20))
