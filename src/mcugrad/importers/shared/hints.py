"""What to use instead of what is not supported, in words that serve every kind of file."""

from __future__ import annotations

SEVERAL = (
    "networks with several inputs or outputs come in a later version; until then the part from one input to one "
    "output, others being constant"
)
INTEGERS = (
    "integer inputs, as of an embedding, come in a later version; until then the part behind it, with its vectors "
    "as input"
)
RECURRENT = (
    "recurrent layers (LSTM, GRU, RNN, SVDF), frozen ones, too, come in a later version; "
    "until then convolutions over time"
)
STEPS = (
    "joining along an axis of the sample; recurrent layers, which PyTorch may write out step by step (nn.RNN), come in "
    "a later version; until then convolutions over time"
)
ATTENTION = (
    "attention (products of computed values, softmax in between) comes in a later version; "
    "until then convolutions"
)
NORMS = (
    "this normalization, by each sample's own statistics, comes in a later version; "
    "until then BatchNorm, which is trained on the PC and folded into the layers beside it"
)
UNIT_LENGTH = (
    "scaling vectors to length 1 comes in a later version; until then the network up to there, and its outputs "
    "divided by their length by whoever compares them"
)
CONTROL = "a network without branches and loops: every sample goes the same way"
STATE = "a network without state that is kept between samples: one sample in, one output out"
STATIC = "static quantization, with scales that are constants"
SCORES = "the network without what follows its class scores: predict finds the largest of them"
SOFTMAX = "softmax as the last layer alone; in between, as in attention, it comes in a later version"
BILINEAR = "nearest-neighbour upsampling by whole factors"
SUBPIXEL = "a transposed convolution, or nearest-neighbour upsampling and a convolution"
ZEROS = "zero padding"
TABLES = "ReLU, HardSwish, SiLU, GELU, ELU or SELU"
IN_FRONT = "computed in front of the network, which takes the result as input: magnitudes, powers, logarithms, spectra"
GROUPS = "one group, or upsampling and a grouped convolution"
DILATED = "a newer TFLite converter, which writes dilated convolutions as such"
ADAPTIVE = "adaptive pooling into a size that divides the map's, or pooling with a kernel and a stride"
MATRIX = "a fully connected layer with constant weights; products of computed values come in a later version"
INDICES = "slices, as x[:, 2:5] or x[:, ::2]; in any other order torch.index_select(x, 1, indices)"
STATISTICS = "batch-norms that keep their statistics, track_running_stats=True, exported after net.eval()"
MIXED = (
    "torch.flatten(x, 1) before the first fully connected layer; axes of length 1 may come and go, too; channels that "
    "are mixed (channel shuffle, pixel unshuffle, patches) come in a later version: until then a 1x1 convolution, or "
    "one with a stride"
)
VELA = "the file as it was before it was compiled for an accelerator, by Vela for Ethos-U or for the Edge TPU"
TF_OPERATORS = "conversion with TFLite's own operators alone, TFLITE_BUILTINS"
DETECTION = "the network without the post-processing of boxes that follows it"
CUSTOM = "a custom operator, which only its author's runtime knows: convert without it"
TREES = "a network; trees and linear models of scikit-learn are none"
FUSED = "the file before onnxruntime optimized it, or exported without fused operators"


def anew(names: list[str]) -> str:
    """What to tell about weights that are quantized in the file, but not as the device does it."""
    which = names[0] if len(names) == 1 else f"{len(names)} layers, {names[0]} to {names[-1]},"
    return (
        f"weights of {which} are not symmetric int8 per output channel in the file: they are quantized anew, so "
        "outputs are no longer those of the file, code for code"
    )
