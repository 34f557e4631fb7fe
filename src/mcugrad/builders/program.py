"""What an operator writes its part of the program into: buffers and kernel calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcugrad import arithmetic as ar
from mcugrad.abi.records import WATCH
from mcugrad.errors import ModelError
from mcugrad.graph import ActivationScale, ErrorScale, Float32, Graph, Node, Tensor, WeightScale
from mcugrad.program.buffer import CODE, POSITIVE, REAL, SYMMETRIC, Buffer, Space, reals, scale_range
from mcugrad.program.call import Argument, Call, Struct
from mcugrad.program.kernel import ROOM, SCRATCH, Kernel
from mcugrad.program.program import SATURATED
from mcugrad.program.segment import FORWARD, NOTES, Segment
from mcugrad.training.rules import IN_PLACE, PLANES, RULES
from mcugrad.training.rules.update import Update
from mcugrad.training.schedules import Schedule

ACC_LIMIT = 1 << 30


@dataclass(frozen=True)
class Plane:
    """Names of the buffers that keep the changes of a weight tensor, as a rule keeps weights.

    Attributes:
        data: int8.
        residual: residual bits; None where there are none.
        scale: one float per row.
    """

    data: str
    residual: str | None
    scale: str


class ProgramBuilder:
    """Collects the program of a quantized graph. Buffers are made when they are first asked for.

    Attributes:
        graph: the graph being lowered.
        node: the node being lowered, set by the lower pass.
        buffers: buffers so far, by name.
        calls: calls so far, in order, by segment.
        update_rate: share of the channels that a step updates, where it is always the same.

    Args:
        graph: the graph to be lowered.
        seed: of the random numbers.
        rate: the learning rate, or how it runs: one record of `SCHEDULE`.
        learned: what the buffers that training keeps hold for good, by name: they become constants. None to train.
        sizes_only: leave the contents of weights out.
    """

    def __init__(
        self,
        graph: Graph,
        seed: int,
        rate: float | NDArray[Any],
        learned: Mapping[str, NDArray[Any]] | None = None,
        *,
        sizes_only: bool = False,
    ) -> None:
        self.graph = graph
        self.node: Node = graph.nodes[0]
        self.buffers: dict[str, Buffer] = {}
        self.calls: dict[str, list[Call]] = {FORWARD: []}
        self.update_rate = 1.0
        self._segment = FORWARD
        self._when: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        self._active: dict[str, str] = {}
        self._odds: dict[str, str] = {}
        self._layers = {node.name: i for i, node in enumerate(graph.trained, 1)}
        self._layer_of = {tensor: node.name for node in graph.trained for tensor in node.inputs}
        self._seed = seed
        self._rate = rate if isinstance(rate, np.ndarray) else Schedule().record(rate, 0)
        self._learned = learned
        self.sizes_only = sizes_only
        self._encoded: dict[str, tuple[NDArray[np.int8], NDArray[np.uint8]]] = {}

    # -- tensors ---------------------------------------------------------------------------------------------

    def data(self, tensor: str) -> str:
        """Buffer of a tensor's elements: int8, or float32 for a bias and in float layers."""
        tensor = self._aliases.get(tensor, tensor)
        t = self.graph[tensor]
        if t.name == self.graph.input:
            return self._define("x", "int8_t", t.shape, Space.ARGUMENT, None, "input")
        if isinstance(t.quant, WeightScale):
            space = Space.STATE if t.trainable else Space.CONST
            codes = SYMMETRIC if t.quant.zero is None else None
            return self._define(t.name, "int8_t", t.shape, space, self._planes(t)[0], "weights", codes)
        if t.value is not None:
            space = Space.STATE if t.trainable else Space.CONST
            note = "weights, real units" if isinstance(t.quant, Float32) else "bias, real units"
            value = t.value.astype(np.float32)
            return self._define(t.name, "float", t.shape, space, value, note, reals(value))
        if isinstance(t.quant, Float32):
            return self._define(t.name, "float", t.shape, Space.ARENA, None, "real units")
        note = "error" if isinstance(t.quant, ErrorScale) else "activation"
        return self._define(t.name, "int8_t", t.shape, Space.ARENA, None, note)

    def alias(self, tensor: str, of: str) -> None:
        """Let a tensor share the bytes of another."""
        self._aliases[tensor] = self._aliases.get(of, of)

    def zero(self, tensor: str) -> int:
        """Zero point of an activation."""
        return self.activation(tensor).zero

    def activation(self, tensor: str) -> ActivationScale:
        """Quantization of an activation."""
        quant = self.graph[tensor].quant
        assert isinstance(quant, ActivationScale), tensor
        return quant

    def error(self, tensor: str) -> ErrorScale:
        """Quantization of an error."""
        quant = self.graph[tensor].quant
        assert isinstance(quant, ErrorScale), tensor
        return quant

    def is_tracked(self, tensor: str) -> bool:
        """Whether an activation's scale changes on the device."""
        return self.graph[self.activation(tensor).owner].tracked

    def scale(self, tensor: str) -> str:
        """Buffer of an activation's scale: one float."""
        quant = self.activation(tensor)
        space = Space.STATE if self.is_tracked(tensor) else Space.CONST
        value = np.asarray([quant.scale], np.float32)
        return self._define(
            f"{quant.owner}_scale", "float", (1,), space, value, "real units per step", scale_range(value)
        )

    def weight_scale(self, weights: str) -> str:
        """Buffer of a weight tensor's scales: one float per output channel."""
        t = self.graph[weights]
        assert isinstance(t.quant, WeightScale), weights
        space = Space.STATE if t.trainable else Space.CONST
        value = t.quant.scales.astype(np.float32)
        note = "real units per step, per channel"
        return self._define(f"{weights}_scale", "float", value.shape, space, value, note, scale_range(value))

    def weight_zero(self, weights: str) -> str | None:
        """Buffer of a weight tensor's zero point: one int32; None where it is 0 for good."""
        t = self.graph[weights]
        assert isinstance(t.quant, WeightScale), weights
        if t.quant.zero is None:
            return None
        space = Space.STATE if t.trainable else Space.CONST
        value = np.asarray([t.quant.zero], np.int32)
        return self._define(f"{weights}_zero", "int32_t", (1,), space, value, "zero point of weights", CODE)

    def largest_weight(self, weights: str) -> int:
        """Largest magnitude of a weight in steps; of a code and a zero point together, which sums take one by one."""
        quant = self.graph[weights].quant
        assert isinstance(quant, WeightScale), weights
        return 127 if quant.zero is None else 256

    def peak(self, tensor: str) -> str:
        """Buffer of an activation's largest magnitude in this step."""
        return self.temporary(f"{tensor}_peak", "int32_t", (1,), "largest magnitude before saturation, steps")

    def error_unit(self, error: str) -> str:
        """Buffer of an error's unit c and its fill p, the largest magnitude as it is stored, of 127: two floats."""
        return self.temporary(
            f"{self.error(error).owner}_c", "float", (2,), "unit of the error, and its fill"
        )

    def keep(self, error: str, active: str, odds: str | None = None) -> None:
        """Say that an error holds the channels of a list alone.

        Args:
            error: the error.
            active: buffer of the list.
            odds: buffer of the odds of those channels, by which changes are yet to be divided; None if they are not.
        """
        self._active[error] = active
        if odds is not None:
            self._odds[error] = odds

    def active(self, error: str) -> str | None:
        """Buffer of the list of channels that an error holds; None where it holds all of them."""
        return self._active.get(error)

    def odds(self, error: str) -> str | None:
        """Buffer of the odds that changes made from an error are to be divided by; None for none."""
        return self._odds.get(error)

    def error_channels(self, error: str) -> int:
        """Channels that an error is scaled by: innermost, repeating."""
        carrier = self.error(error).carrier
        return self.graph[carrier].shape[0] if carrier else self.graph[error].channels

    def error_scale(self, error: str) -> str:
        """Buffer of the weight scales that an error carries; ones if it carries none."""
        carrier = self.error(error).carrier
        if carrier:
            return self.weight_scale(carrier)
        channels = self.error_channels(error)
        return self.constant(f"ones{channels}", "float", np.ones(channels, np.float32), "no scale")

    def update(self, tensor: str) -> Update:
        """How a trainable tensor learns."""
        update = self.graph[tensor].update
        assert update is not None, tensor
        return update

    def update_arguments(self, weights: str) -> dict[str, Any]:
        """Arguments that every weight update takes: rule, random numbers, planes, scales.

        With a plane of changes it is this plane that the gradient changes, as if it were the weights.
        """
        update = self.update(weights)
        if not update.has_plane:
            return self.weight_arguments(weights)
        plane = self.plane(weights)
        return {
            **self.random(self._layer_of[weights], ar.STREAM_UPDATE),
            "rule": PLANES[update.velocity_bits],
            "w": plane.data,
            "residual": plane.residual,
            "w_scale": plane.scale,
        }

    def weight_arguments(self, weights: str) -> dict[str, Any]:
        """The same for the weights themselves."""
        t = self.graph[weights]
        return {
            **self.random(self._layer_of[weights], ar.STREAM_UPDATE),
            "rule": IN_PLACE[t.rule],
            "w": self.data(weights),
            "residual": self._residual(t),
            "w_scale": self.weight_scale(weights),
        }

    def random(self, layer: str, purpose: int) -> dict[str, Any]:
        """Arguments of what draws random numbers.

        Args:
            layer: name of the layer; something in it trains.
            purpose: what for, `STREAM_CHOOSE`: each has a stream of its own.
        """
        return {
            "seed": self.seed(),
            "step": self.step(),
            "tensor": self._layers[layer] * ar.LAYER_STREAMS + purpose,
        }

    def plane(self, weights: str) -> Plane:
        """Buffers that keep the changes of a weight tensor until they are applied."""
        t, update = self.graph[weights], self.update(weights)
        assert isinstance(t.quant, WeightScale), weights
        low = 2.0**-16 if update.rule == "standardized" else t.quant.scales * 2.0**-10
        scales = np.broadcast_to(np.asarray(low, np.float32), t.quant.scales.shape).copy()
        data, residual = PLANES[update.velocity_bits].encode(np.zeros(t.shape), scales)
        name, scale = f"{weights}_change", f"{weights}_change_scale"
        self.state(name, "int8_t", t.shape, data, "changes to be made", SYMMETRIC)
        self.state(scale, "float", scales.shape, scales, "real units per step, per channel", POSITIVE)
        if not residual.size:
            return Plane(name, None, scale)
        low_bits = f"{name}_residual"
        self.state(low_bits, "uint8_t", residual.shape, residual, "residual bits", None)
        return Plane(name, low_bits, scale)

    def bias_change(self, bias: str) -> str:
        """Buffer that keeps the changes of biases until they are applied."""
        shape = self.graph[bias].shape
        nothing = np.zeros(shape, np.float32)
        return self.state(f"{bias}_change", "float", shape, nothing, "changes to be made", REAL)

    def _residual(self, t: Tensor) -> str | None:
        plane = self._planes(t)[1]
        if not plane.size:
            return None
        return self.state(f"{t.name}_residual", "uint8_t", plane.shape, plane, "residual bits", None)

    # -- buffers of other kinds --------------------------------------------------------------------------------

    def temporary(self, name: str, ctype: str, shape: tuple[int, ...], note: str) -> str:
        """A buffer that lives for a part of one step."""
        return self._define(name, ctype, shape, Space.ARENA, None, note)

    def alone(self, name: str, ctype: str, shape: tuple[int, ...], note: str) -> str:
        """A buffer of one call alone, in which nothing is left for others: who asks again gets another one."""
        found, count = name, 1
        while found in self.buffers:
            count += 1
            found = f"{name}{count}"
        return self.temporary(found, ctype, shape, note)

    def state(
        self,
        name: str,
        ctype: str,
        shape: tuple[int, ...],
        value: NDArray[Any],
        note: str,
        within: tuple[float, float] | None,
    ) -> str:
        """A buffer that training keeps; `within` says what it can hold, as `Buffer` does."""
        return self._define(name, ctype, shape, Space.STATE, value, note, within)

    def constant(self, name: str, ctype: str, value: NDArray[Any], note: str) -> str:
        """A buffer in flash."""
        return self._define(name, ctype, value.shape, Space.CONST, value, note)

    def rate(self) -> str:
        """The learning rate of this step: one float."""
        return self.temporary("rate", "float", (1,), "learning rate of the step")

    def schedule(self) -> str:
        """How the learning rate runs."""
        return self.state("schedule", "mcg_schedule_t", (1,), self._rate, "how the learning rate runs", None)

    def saturated(self) -> str:
        """Tensors that saturated in this step: one int32."""
        return self.temporary(SATURATED, "int32_t", (1,), "tensors that saturated in this step")

    def watch(self) -> str:
        """How training is going."""
        return self.state("watch", "mcg_watch_t", (1,), np.zeros(1, WATCH), "how training is going", None)

    def seed(self) -> str:
        """The seed of the random numbers."""
        value = np.asarray([self._seed], np.uint32)
        return self.state("seed", "uint32_t", (1,), value, "random numbers", None)

    def step(self) -> str:
        """The step counter."""
        return self.state("step", "uint32_t", (1,), np.zeros(1, np.uint32), "training steps so far", None)

    def label(self) -> str:
        """The sample's class, passed by value."""
        return self._define("label", "uint32_t", (1,), Space.ARGUMENT, None, "class of the sample")

    def soft_label(self, classes: int) -> str:
        """What is wanted of each class, relative to their sum."""
        return self._define("soft", "uint8_t", (classes,), Space.ARGUMENT, None, "wanted share of each class")

    def label_array(self, ctype: str, outputs: int) -> str:
        """What the sample's outputs should be: `uint8_t` bits or `int8_t` values."""
        return self._define("label", ctype, (outputs,), Space.ARGUMENT, None, "wanted outputs")

    def _define(
        self,
        name: str,
        ctype: str,
        shape: tuple[int, ...],
        space: Space,
        value: NDArray[Any] | None,
        note: str,
        within: tuple[float, float] | None = None,
    ) -> str:
        if name not in self.buffers:
            if space is Space.STATE and self._learned is not None:
                space, value = Space.CONST, self._learned[name]
            self.buffers[name] = Buffer(name, ctype, shape, space, value, note, within)
        return name

    def _planes(self, t: Tensor) -> tuple[NDArray[np.int8], NDArray[np.uint8]]:
        assert t.value is not None
        assert isinstance(t.quant, WeightScale)
        if t.name not in self._encoded:
            rule = RULES[t.rule or "sr8"]
            if self.sizes_only:
                residual = np.zeros((t.shape[0], rule.residual_row(t.size // t.shape[0])), np.uint8)
                self._encoded[t.name] = np.zeros(t.shape, np.int8), residual
            else:
                self._encoded[t.name] = rule.encode(t.value, t.quant.scales, t.quant.zero or 0)
        return self._encoded[t.name]

    # -- calls -------------------------------------------------------------------------------------------------

    def call(self, kernel: Kernel, *, note: str = "", **arguments: Any) -> None:
        """Add a kernel call. Arguments by parameter name: a buffer's name, None, a Struct, a Rule or an int.

        Scratch is none of them: how much of it there is turns out when all else has its place.
        """
        if kernel.scratch is not None:
            arguments = {**arguments, ROOM: 0, SCRATCH: None}
        names = [p.name for p in kernel.params]
        if set(names) != set(arguments):
            raise TypeError(f"{kernel.name} takes {', '.join(names)}; got {', '.join(arguments)}")
        ordered = tuple(_argument(arguments[n]) for n in names)
        self.calls.setdefault(self._segment, []).append(Call(kernel, ordered, self.node.name, note))

    def enter(self, segment: str) -> None:
        """Let the calls from here on belong to a segment; a node that says nothing goes on where lowering put it."""
        self._segment = segment

    def only_where(self, segment: str, number: str) -> None:
        """Let a segment run only where a buffer holds a number that is not 0."""
        self._when[segment] = number

    def segments(self) -> dict[str, Segment]:
        """All segments so far."""
        return {
            name: Segment(tuple(calls), self._when.get(name, ""), NOTES[name])
            for name, calls in self.calls.items()
        }

    def bound_terms(self, terms: int, largest: int, offset: int = 0) -> None:
        """Refuse a sum of `terms` products of at most `largest` that could reach 2^30. Raises ModelError."""
        most = (ACC_LIMIT - 1 - offset) // largest
        if terms > most:
            raise ModelError(
                f"a sum of {terms} products can overflow the 32-bit accumulator; {most} are safe",
                where=self.node.title,
                hint="a smaller input or a stride before this layer",
            )


def _argument(value: Any) -> Argument:
    if isinstance(value, str):
        return Argument(buffer=value)
    if isinstance(value, Struct):
        return Argument(struct=value)
    if isinstance(value, int):
        return Argument(value=value)
    if value is None:
        return Argument()
    return Argument(rule=value.name)
