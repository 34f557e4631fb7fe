"""Layers by themselves: the calls that lowering makes of their passes, with arguments as a training step has them.

A network of one layer, behind one that trains, is compiled; references execute its program for a step towards noise,
and what the layer's kernels are given is kept: whatever kernel lowering chooses, and whatever it takes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import mcugrad as mg
from mcugrad.program import Call
from mcugrad.program.execute import arguments, execute
from mcugrad.program.kernel import ROOM, SCRATCH
from mcugrad.program.segment import TRAIN_STEP
from mcugrad.zoo import nets

SAMPLES = 4
FORWARD, ERROR, UPDATE = "forward", "input gradient", "update"
PASSES = {"": FORWARD, "_grad_input": ERROR, "_update": UPDATE}
"""Passes by what the name of a layer's node ends with."""
MOST_SCRATCH = 12 * 1024
"""Bytes that a kernel is given at most."""

Arguments = dict[str, Any]


@dataclass(frozen=True)
class LayerCall:
    """What does the work of a pass.

    Attributes:
        which: the pass.
        call: the call.
        given: its arguments.
        changed: the arrays that its reference changes, as they are afterwards.
    """

    which: str
    call: Call
    given: Arguments
    changed: Arguments


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        name: what it is: `conv3x3 16->32, 14x14`.
        shape: of its input, channels first.
        add: adds it to a network.
        first: whether nothing that trains comes before it, so that it has no error of its input.
        shift: bytes by which arrays of bytes lie behind a multiple of 4.
    """

    name: str
    shape: tuple[int, ...]
    add: Callable[[nets.Net], nets.Net]
    first: bool = False
    shift: int = 0

    @cached_property
    def model(self) -> mg.Model:
        """A network of it, behind a function that makes half of its inputs zeros."""
        net = nets.Net("layer", nets.noise(self.shape, SAMPLES, 0), 0)
        if not self.first:
            (net.conv(self.shape[0], 1) if net.size else net.fc(self.shape[0])).relu()
        self.add(net)
        if net.size:
            net.flatten()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer.onnx"
            path.write_bytes(net.onnx())
            return mg.load(path)

    @property
    def macs(self) -> int:
        """Products of one pass, those with padding included."""
        return self.model.layers[-1].macs(self.model.graph)

    def calls(self, rule: str) -> Iterator[LayerCall]:
        """One for each pass, in the order of a step."""
        x = np.moveaxis(nets.noise(self.shape, SAMPLES, 1), 1, -1).reshape(SAMPLES, *self.model.input_shape)
        y = np.random.default_rng(0).normal(size=(SAMPLES, self.model.classes)).astype(np.float32)
        made = mg.compile(self.model, calibration=x, typical_labels=y, loss="mse", rule=rule, rate=0.01)
        program, node = made.build.compiled.program, self.model.layers[-1].name
        ends = {f"{node}{end}": which for end, which in PASSES.items()}
        values: dict[str, Any] = {
            name: np.zeros(buffer.shape, buffer.dtype) if buffer.value is None else buffer.value.copy()
            for name, buffer in program.buffers.items()
        }
        samples, labels = made.quantize(x), made.labels(y, SAMPLES)
        values[program.input], values["label"] = samples[1].reshape(-1), labels[1]
        for call in program.calls_of(TRAIN_STEP):
            execute(call, values)  # ranges of errors start low: in a first step all of them saturate
        values[program.input], values["label"] = samples[0].reshape(-1), labels[0]
        for call in program.calls_of(TRAIN_STEP):
            before = _copied(arguments(call, values))
            execute(call, values)
            if call.node in ends and call.struct is not None:
                after = _copied(arguments(call, values))
                changed = {
                    name: value
                    for name, value in after.items()
                    if isinstance(value, np.ndarray) and (value != before[name]).any()
                }
                yield LayerCall(ends[call.node], call, {**before, **scratch(call)}, changed)


def scratch(call: Call) -> Arguments:
    """The most memory that a call's kernel makes use of, within what it may have."""
    if call.kernel.scratch is None:
        return {}
    room = max(size for size in call.kernel.scratch.sizes(call.struct) if size <= MOST_SCRATCH)
    return {ROOM: room, SCRATCH: np.zeros(room // 4, np.uint32) if room else None}


def _copied(given: Arguments) -> Arguments:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in given.items()}
