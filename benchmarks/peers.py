"""Our int8 inference kernels beside those of CMSIS-NN: instructions per MAC of the same layers, counted in one run.

CMSIS-NN is not part of this project: `git clone https://github.com/ARM-software/CMSIS-NN`, and `--cmsis-nn` says where
it is. Both are built by the same compilers, -O3, and called with the same inputs, weights and biases; theirs has the
scratch that it asks for, and must give our outputs but for one step, since it rounds otherwise.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bars import ROOT, Bar, Results, arguments, main, markdown, origin, write
from layer_calls import FORWARD, Layer, LayerCall
from numpy.typing import NDArray

from kernels import COMPILERS, CONV, DEPTHWISE, FC, LAYERS, POINTWISE, SMALL, STRIDED, Case, counted
from mcugrad import targets, toolchain
from mcugrad.emulator.cpu import Emulator
from mcugrad.ops.convolution.struct import Conv2dStruct
from mcugrad.ops.linear.linear_s8 import LinearStruct
from mcugrad.toolchain import startup

CORE = "cortex-m4f"
FOLDER = ROOT / "benchmarks/peers_c"
CALLS = ("peer_convolution", "peer_depthwise", "peer_linear")
ROOMS = {"peer_convolution": "peer_convolution_room", "peer_depthwise": "peer_depthwise_room"}
HALF = (POINTWISE, CONV, DEPTHWISE)
"""Layers of which we must take at most half as many instructions."""
SIDE_BY_SIDE = (*HALF, STRIDED, SMALL, "conv3x3 32->64, 4x4", FC)
APART = 1
"""Steps by which outputs may differ: two roundings, and another one of halves."""


def sources(root: Path) -> list[Path]:
    """The C files that int8 inference needs."""
    folders = ("ConvolutionFunctions", "FullyConnectedFunctions", "NNSupportFunctions")
    no = ("f16", "f32", "flt", "s4", "lstm", "svdf", "transpose")
    found = [
        path
        for folder in folders
        for path in sorted((root / "Source" / folder).glob("*.c"))
        if ("s8" in path.stem or "q7" in path.stem) and not any(each in path.stem for each in no)
    ]
    if not found:
        raise SystemExit(f"error: {root} holds no CMSIS-NN: there is no Source/ConvolutionFunctions/*s8*.c")
    return found


def commit(root: Path) -> str:
    """Which CMSIS-NN it is."""
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


class Peer:
    """CMSIS-NN on an emulated core."""

    def __init__(self, root: Path, compiler: str) -> None:
        target = targets.load(CORE)
        firmware = toolchain.build_firmware(
            [FOLDER / "cmsis_nn.c", *sources(root), startup.source(startup.IDLE_MAIN)],
            target,
            compiler=compiler,
            include_dirs=[FOLDER / "include", root / "Include"],
            flags=["-w"],
            keep=[*CALLS, *ROOMS.values()],
        )
        self.emulator = Emulator(firmware.elf, target)
        self.emulator.run()
        self._start = self._next = target.ram.address + target.ram.bytes // 2

    def _place(self, array: NDArray[Any]) -> int:
        address = self._next
        self.emulator.write(address, array.tobytes())
        self._next = (address + array.nbytes + 64) & ~15
        return address

    def run(
        self, call: str, g: NDArray[np.int32], given: dict[str, NDArray[Any]]
    ) -> tuple[int, int, NDArray[np.int8]]:
        """Instructions, bytes of scratch, and outputs."""
        self._next = self._start
        layer = self._place(g)
        room = self.emulator.call(ROOMS[call], layer) if call in ROOMS else 0
        names = ("x", "w", "bias", "multiplier", "shift", "y")
        places = {name: self._place(given[name]) for name in names}
        buffer = self._place(np.zeros(room, np.uint8)) if room else 0
        status = self.emulator.call(call, layer, *places.values(), buffer)
        if status != 0:
            raise SystemExit(f"error: {call} returned {status - 2**32 if status >> 31 else status}")
        taken = self.emulator.last_instructions
        y = np.frombuffer(self.emulator.read(places["y"], given["y"].nbytes), np.int8)
        return taken, room, y


def fixed_point(scale: NDArray[np.float32]) -> dict[str, NDArray[np.int32]]:
    """Factors as CMSIS-NN has them: 31 bits and a shift to the left."""
    mantissa, exponent = np.frexp(scale.astype(np.float64))
    multiplier = np.round(mantissa * 2**31).astype(np.int64)
    over = multiplier == 2**31
    return {
        "multiplier": np.where(over, 2**30, multiplier).astype(np.int32),
        "shift": (exponent + over).astype(np.int32),
    }


def asked(layer: Layer, call: LayerCall) -> tuple[str, NDArray[np.int32], dict[str, NDArray[Any]]]:
    """The same layer for the peer: function, numbers, arrays."""
    g, given = call.given["g"], call.given
    w = given["w"]
    if isinstance(g, LinearStruct):
        name, numbers = "peer_linear", [1, 1, g.inputs, 1, 1, g.out, *[1] * 4, 0, 0, 1, 1, g.x_zero, g.y_zero]
    else:
        assert isinstance(g, Conv2dStruct), layer.name
        name, numbers = "peer_convolution", list(g.values())
        if layer.name == DEPTHWISE:
            name, w = "peer_depthwise", np.ascontiguousarray(w.reshape(g.out_c, -1).T).reshape(-1)
    low, high = np.clip(given["clip"].astype(np.int64) + g.y_zero, -128, 127)
    arrays = {"x": given["x"], "w": w, "bias": given["bias"], "y": np.zeros_like(given["y"])}
    return name, np.asarray([*numbers, low, high], np.int32), {**arrays, **fixed_point(given["scale"])}


def both(root: Path, compiler: str) -> Iterator[Case]:
    """A row for each layer."""
    peer = Peer(root, compiler)
    for layer in (each for each in LAYERS if each.name in SIDE_BY_SIDE):
        (call,) = (each for each in layer.calls("sr8") if each.which == FORWARD)
        (ours,) = counted([(layer, FORWARD, call)], CORE, compiler)
        taken, room, y = peer.run(*asked(layer, call))
        apart = np.abs(y.astype(int) - call.changed["y"].astype(int)).max()
        if apart > APART:
            raise SystemExit(f"error: {layer.name}: outputs of CMSIS-NN are {apart} steps from ours")
        yield {
            "layer": layer.name,
            "compiler": compiler,
            "macs": layer.macs,
            "ours": ours["instructions"],
            "ours_scratch": ours["scratch"],
            "theirs": taken,
            "theirs_scratch": room,
            "apart": int(apart),
        }


def run(options: argparse.Namespace) -> None:
    if options.cmsis_nn is None:
        raise SystemExit("error: --cmsis-nn PATH says where CMSIS-NN is; --check judges what is committed")
    root = options.cmsis_nn.resolve()
    cases = [case for compiler in COMPILERS for case in both(root, compiler)]
    versions = {name: toolchain.find_compiler(name).version for name in COMPILERS}
    write(options.json, {**origin(), "cmsis_nn": commit(root), "compilers": versions, "cases": cases})


def table(results: Results) -> str:
    """Ours and theirs by zig and by gcc."""
    rows = []
    for name in SIDE_BY_SIDE:
        cases = [case for case in results["cases"] if case["layer"] == name]
        each = {
            who: " / ".join(f"{case[who] / case['macs']:.2f}" for case in cases) for who in ("ours", "theirs")
        }
        times = " / ".join(f"{case['ours'] / case['theirs']:.2f}" for case in cases)
        rooms = (f"{cases[0][f'{who}_scratch']:,}" for who in ("ours", "theirs"))
        rows.append((name, each["ours"], each["theirs"], times, *rooms))
    head = (
        f"{CORE}: forward, instructions per MAC, zig / gcc",
        "ours",
        f"CMSIS-NN {results['cmsis_nn'][:10]}",
        "ours in theirs",
        "scratch of ours, B",
        "of theirs, B",
    )
    return markdown(head, rows)


def bars(results: Results) -> list[Bar]:
    found = []
    for name in HALF:
        ratios = [case["ours"] / case["theirs"] for case in results["cases"] if case["layer"] == name]
        found.append(Bar(f"{CORE}, {name}: times CMSIS-NN", max(ratios, default=None), 0.5, at_least=False))
    return found


if __name__ == "__main__":
    parser = arguments("peers", __doc__)
    parser.add_argument("--cmsis-nn", type=Path, metavar="PATH", help="a checkout of CMSIS-NN")
    raise SystemExit(main(parser.parse_args(), run, table, bars))
