"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA = (
    "A data set's name (digits, fashion_mnist, mnist), or an .npz file with x_train, y_train and optionally "
    "x_test, y_test; --loss says what y has to be."
)
_LOSS = (
    "cross_entropy: y is a class; binary_cross_entropy: y is (n, outputs) of 0 and 1; mse, mae or huber: y is (n, "
    "outputs) of values."
)
_SCALE = (
    "Divide samples by this before the network sees them; if not given by 255 for bytes, 16 for digits, "
    "32768 for 16-bit integers, 1 for floats."
)
_RULE = (
    "How weights are stored and updated: sr16 (2 bytes each), sr12 (1.5), sr10 (1.25), sr8 (1), qas, standardized; "
    "of one layer: --rule fc2=sr8."
)
_PRECISION = "int8; mixed: float32 from the first layer that trains on; or float32 throughout."
_SPARSE = (
    "Share of each layer's channels that a sample updates: 0.1, or 0.1:1.0 to rise with its loss; else all."
)
_SPARSE_POLICY = (
    "What takes part: both, split, single, sampled, rooted or topk (the largest errors); see training.md."
)
_TRAIN = "What trains: all, last:N, bias, none, or names of layers (conv2,fc1)."
_TARGET = "A board or core, or a board's .toml file; an unknown name lists them."
_CALIBRATION = "Number of training samples, evenly spaced, that set the ranges."

_RESUME = (
    "Begin with what was learned before: a .mcgstate or .npz file that --save wrote, a dump of the device's memory, or "
    "an array in C. With --train none the model in the file infers."
)
_CLASSES = "What the outputs are called, in their order, for the generated code: yes,no,silence."
_FEATURES = (
    "What the C has beside predictions and training steps: all, none, or some between commas; an unknown name lists "
    "them."
)
_REPLAY_OF = (
    "What a replay buffer holds of samples: inputs; or latents, what the layers that do not train make of them: the "
    "same learned bytes, and steps on stored samples skip these layers."
)
_FORMAT = "What the folder is: c, NAME.c and NAME.h for any project; an unknown name lists all."
_SELFTEST = "Write NAME_selftest.c, too: it tells on the device whether compiler and flags are right."
_SAVE = "Write what was learned to this .mcgstate file (or .npz, arrays alone)."

MOST_STEPS = 2**32 - 1
"""Training steps that a device can count."""

Network = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="An .onnx or .tflite file, or a network that comes along: digits_cnn."
    ),
]
Data = Annotated[str, typer.Option("--data", metavar="DATA", help=_DATA)]
Loss = Annotated[str, typer.Option("--loss", help=_LOSS)]
Scale = Annotated[float | None, typer.Option("--scale", help=_SCALE)]
Name = Annotated[str | None, typer.Option("--name", help="Name of the model in C; else that of the file.")]
Train = Annotated[str, typer.Option("--train", help=_TRAIN)]
Rule = Annotated[list[str], typer.Option("--rule", help=_RULE)]
Batch = Annotated[int, typer.Option("--batch", help="Samples whose mean gradient makes one change.")]
Momentum = Annotated[float, typer.Option("--momentum", help="Share of the last change made again: 0.9.")]
VelocityBits = Annotated[
    int, typer.Option("--velocity-bits", help="Of the plane that batch and momentum need: 8 or 16 a weight.")
]
WeightDecay = Annotated[float, typer.Option("--weight-decay", help="Share lost per change, times the rate.")]
Clip = Annotated[
    float | None,
    typer.Option("--clip", help="Largest change of a row per unit of rate, in norms of the row."),
]
DEFAULT_POLICY = "both"
"""What no --sparse-policy means; that of `Sparse`."""
Sparse = Annotated[str | None, typer.Option("--sparse", metavar="LOW[:HIGH]", help=_SPARSE)]
SparsePolicy = Annotated[str, typer.Option("--sparse-policy", help=_SPARSE_POLICY)]
SparseSamples = Annotated[
    float | None,
    typer.Option(
        "--sparse-samples", metavar="SHARE", help="Share of the samples that are learned from: 0.25."
    ),
]
Precision = Annotated[str, typer.Option("--precision", help=_PRECISION)]
Board = Annotated[str | None, typer.Option("--target", help=_TARGET)]
_RATE = (
    "Learning rate at the beginning; auto: train and report look for one on held-out training samples, which takes "
    "some 6 times as long as the training itself, more for less than 1,000 samples; other verbs take the usual one."
)
Rate = Annotated[str, typer.Option("--rate", metavar="RATE", help=_RATE)]
Seed = Annotated[int, typer.Option("--seed", help="Of the random numbers, the device's included.")]
Calibration = Annotated[int, typer.Option("--calibration", min=1, help=_CALIBRATION)]
Resume = Annotated[Path | None, typer.Option("--resume", metavar="STATE", help=_RESUME)]
Save = Annotated[Path | None, typer.Option("--save", metavar="STATE", help=_SAVE)]
Features = Annotated[str, typer.Option("--features", metavar="NAME,...", help=_FEATURES)]
ReplayOf = Annotated[str, typer.Option("--replay-of", help=_REPLAY_OF)]
ClassNames = Annotated[str | None, typer.Option("--class-names", metavar="NAME,...", help=_CLASSES)]
Prefer = Annotated[
    str,
    typer.Option(
        "--prefer",
        help="RAM that kernels get to be faster: balanced, a little where it pays; speed, all that helps; ram, none. "
        "Same bytes.",
    ),
]
Ram = Annotated[
    str | None,
    typer.Option(
        "--ram",
        metavar="BYTES",
        help="RAM that all may take, 65536 or 64K; else the target's.",
    ),
]
Plan = Annotated[
    str,
    typer.Option(
        "--plan",
        help="Places in the working memory: greedy; or exact, a smaller plan or the proof that there is none, by the "
        "solver CP-SAT. Same bytes.",
    ),
]
Recompute = Annotated[
    bool,
    typer.Option(
        "--recompute",
        help="Let calls of the forward pass run again in the backward pass, for less RAM and more instructions, as far "
        "as --prefer says. Same learned bytes.",
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help=_FORMAT)]
Selftest = Annotated[bool, typer.Option("--selftest", help=_SELFTEST)]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout and nothing else.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the firmware; else it is not written.")]
