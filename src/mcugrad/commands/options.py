"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Network = Annotated[str, typer.Argument(metavar="MODEL", help="An .onnx file, or the name of a network that comes along: digits_cnn.")]
Data = Annotated[str, typer.Option("--data", metavar="DATA", help="A data set's name (digits, fashion_mnist, mnist), or an .npz file with x_train, y_train and optionally x_test, y_test.")]
Scale = Annotated[Optional[float], typer.Option("--scale", help="Samples are divided by this before the network sees them.  [default: 255 for bytes, 16 for digits, 32768 for 16-bit integers, 1 for floats]")]
Name = Annotated[Optional[str], typer.Option("--name", help="Name of the model in C.  [default: that of the file]")]
Train = Annotated[str, typer.Option("--train", help="What trains: all, last:N, bias, none, or names of layers, a,b.")]
Rule = Annotated[str, typer.Option("--rule", help="How weights are stored and updated: sr16 (2 bytes each) or sr8 (1 byte).")]
Board = Annotated[Optional[str], typer.Option("--target", help="A board or core, or a board's .toml file; an unknown name lists them.")]
Rate = Annotated[float, typer.Option("--rate", help="Learning rate.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the random numbers, the device's included.")]
Calibration = Annotated[int, typer.Option("--calibration", min=1, help="Number of training samples, evenly spaced, that set the ranges.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout and nothing else.")]
Out = Annotated[Optional[Path], typer.Option("--out", help="Folder for the firmware.")]
