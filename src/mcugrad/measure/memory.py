"""Where the bytes of a linked firmware are: RAM and flash in parts, whose sums are the image's, to the byte.

What lies in the model's struct is known from its layout, all else from sections and symbols of the ELF file. Stack is
bounded by the calls of the image; what was seen under emulation stands beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcugrad.emit.layout import HEADER_SIZE
from mcugrad.errors import FitError, ToolError
from mcugrad.ops.core.weighted import Weighted
from mcugrad.program import PREDICT, TRAIN_STEP, Buffer, Program, Space
from mcugrad.targets import Region
from mcugrad.toolchain import Firmware, size
from mcugrad.toolchain.stack import Bound, Calls, entries

if TYPE_CHECKING:
    from mcugrad.emulator.firmware import DeviceModel
    from mcugrad.pipeline import Build

COUNTED, LINKED = "counted", "linked"
"""How bytes are known: from the layout of the model's struct, or from the ELF file."""


@dataclass(frozen=True)
class Part:
    """Some of the bytes.

    Attributes:
        key: its name in JSON.
        label: its name for people.
        bytes: how many.
        how: `counted` or `linked`, and what of it is good to know.
        of: key of the part that these bytes are in as well; empty for those whose sum is the image's.
    """

    key: str
    label: str
    bytes: int
    how: str
    of: str = ""


@dataclass(frozen=True)
class Piece:
    """A function or constant in flash.

    Attributes:
        name: in C; of the initial state and a dot the array in it; empty for what has none: constants that the compiler
            made, and alignment.
        kind: key of the part that it is in.
        bytes: how many.
        what: of an array what it holds.
    """

    name: str
    kind: str
    bytes: int
    what: str = ""


@dataclass(frozen=True)
class Depth:
    """Stack of a function of the model's interface.

    Attributes:
        function: its name.
        bound: bytes, which no call of it exceeds; None where they cannot be bounded.
        path: the functions in use at that moment.
        seen: bytes, the deepest under emulation; None where it was not called.
        why: why there is no bound; empty where there is.
    """

    function: str
    bound: int | None
    path: tuple[str, ...]
    seen: int | None
    why: str = ""


@dataclass(frozen=True)
class Memory:
    """Memory of a firmware.

    Attributes:
        ram: parts whose sum is all RAM that is linked, and parts of parts.
        flash: the same of flash.
        pieces: flash by function and constant, largest first.
        stack: by function of the model's interface, by name; also of those that nothing calls.
    """

    ram: tuple[Part, ...]
    flash: tuple[Part, ...]
    pieces: tuple[Piece, ...]
    stack: tuple[Depth, ...]

    @property
    def stack_bound(self) -> int | None:
        """Bytes that neither a prediction nor a training step exceeds; None where there is no bound."""
        steps = [d.bound for d in self.stack if d.function.endswith((f"_{PREDICT}", f"_{TRAIN_STEP}"))]
        return None if None in steps or not steps else max(b for b in steps if b is not None)

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """For JSON."""
        return {
            "ram": [asdict(part) for part in self.ram],
            "flash": [asdict(part) for part in self.flash],
            "symbols": [asdict(piece) for piece in self.pieces],
            "stack": [asdict(depth) for depth in self.stack],
        }


def total(parts: Iterable[Part]) -> int:
    """Bytes of parts, each counted once."""
    return sum(part.bytes for part in parts if not part.of)


def memory(build: Build, device: DeviceModel, seen: Mapping[str, int] | None = None) -> Memory:
    """The memory of a firmware.

    Args:
        build: the model.
        device: it on an emulated core. Stack is bounded for functions that its harness does not call as well, in an
            image in which all are linked; where the target is too small for that, for those that are linked.
        seen: bytes of stack under emulation, by entry.

    Raises:
        ToolError: capstone is not installed.
    """
    name, firmware = build.compiled.program.name, device.firmware
    calls = _calls_of(firmware)
    depths = tuple(_depths(calls, _all_calls(device), name, seen or {}))
    placed = size.placed(firmware.elf)
    pieces = tuple(sorted(_pieces(build, placed), key=lambda piece: (-piece.bytes, piece.name)))
    return Memory(
        tuple(_ram(build, firmware, placed, depths)),
        tuple(_flash(firmware, pieces, calls, name)),
        pieces,
        depths,
    )


@lru_cache(maxsize=8)  # two of each firmware: as linked, and with all functions
def _calls(elf: Path, changed: int) -> Calls:
    """Of a file as it is now: bounds are asked for by what measures a firmware and by what counts its layers."""
    return Calls(elf)


# -- RAM -----------------------------------------------------------------------------------------------------------


def weights(build: Build) -> frozenset[str]:
    """Buffers that hold weights of layers."""
    return frozenset(node.w for node in build.graph.nodes if isinstance(node, Weighted))


def largest_scratch(program: Program) -> int:
    """Bytes of the call that has most memory it could do without."""
    return max((call.room for call in program.calls), default=0)


def _ram(
    build: Build, firmware: Firmware, placed: Iterable[size.SymbolSize], depths: Iterable[Depth]
) -> Iterator[Part]:
    compiled = build.compiled
    program, plan, layout, sizes = compiled.emitted, compiled.plan, compiled.layout, firmware.sizes
    trained, tensors = weights(build), build.graph.tensors
    of_weights = [b for b in layout.params if b.name in trained]
    learned = [b for b in layout.params if b not in of_weights and _is_of(tensors, b.name)]
    known = sum(b.size for b in of_weights), sum(b.size for b in learned)
    yield Part("weights", "weights that train", known[0], COUNTED)
    yield Part("learned", "what else is learned", known[1], COUNTED)
    yield from _by_note(learned)
    rest = layout.arena_offset - sum(known)
    yield Part(
        "state", "other state", rest, f"{COUNTED}: steps, rate, seed, and {HEADER_SIZE} B that tell a model"
    )
    how = COUNTED if plan.least is None else f"{COUNTED}: {plan.least.text}"
    if plan.again is not None:
        how = f"{how}; {plan.again.text}"
    yield Part("arena", "working memory", plan.size, how)
    for entry, label in (
        (PREDICT, "of it a prediction at most"),
        (TRAIN_STEP, "of it a training step at most"),
    ):
        if entry in program.entries:
            at_most = max(plan.live[: program.end(entry)], default=0)
            yield Part(f"arena_{entry}", label, at_most, COUNTED, "arena")
    scratch = largest_scratch(program)
    yield Part(
        "scratch", "of it scratch, at most", scratch, f"{COUNTED}: of one call, which needs less", "arena"
    )
    own = {symbol.name: symbol.bytes for symbol in placed if symbol.section == ".mcg_harness_bss"}
    sample = own["mcg_device_x"]
    yield Part("sample", "one sample", sample, COUNTED)
    caller = sizes.harness_ram - own["mcg_device_model"] - sample
    yield Part("caller", "what calls the model", caller, f"{LINKED}: answers, labels, reports of the harness")
    yield Part("variables", "variables", sizes.data + sizes.bss, f"{LINKED}: of code beside the struct")
    yield Part("stack", "stack, kept free", sizes.stack, LINKED)
    for depth in depths:
        if depth.bound is not None:
            yield Part(
                f"stack_{depth.function}",
                f"of it {depth.function} at most",
                depth.bound,
                _how(depth),
                "stack",
            )
    yield Part("ram_gaps", "alignment", _gaps(firmware, firmware.target.ram), f"{LINKED}: between sections")


def _is_of(tensors: Iterable[str], buffer: str) -> bool:
    """Whether a buffer belongs to a tensor: its name is the tensor's, or begins with it."""
    return any(buffer == name or buffer.startswith(f"{name}_") for name in tensors)


def _by_note(learned: Iterable[Buffer]) -> Iterator[Part]:
    """What is learned beside weights, by what it is."""
    found: Counter[str] = Counter()
    for buffer in learned:
        found[buffer.note] += buffer.size
    for note, count in sorted(found.items(), key=lambda each: (-each[1], each[0])):
        yield Part(note, note, count, COUNTED, "learned")


def _how(depth: Depth) -> str:
    seen = "" if depth.seen is None else f"; {depth.seen:,} B seen under emulation"
    return f"bound: {' > '.join(depth.path[-3:])}{seen}"


def _all_calls(device: DeviceModel) -> Calls:
    """Calls of all functions of a model, as far as they can be linked for its target."""
    try:
        return _calls_of(device.whole())
    except FitError:
        return _calls_of(device.firmware)


def _calls_of(firmware: Firmware) -> Calls:
    return _calls(firmware.elf, firmware.elf.stat().st_mtime_ns)


def _depths(calls: Calls, whole: Calls, name: str, seen: Mapping[str, int]) -> Iterator[Depth]:
    for function in entries(whole.image, name):
        deepest = seen.get(function.removeprefix(f"{name}_"))
        bound = _bound(calls if function in calls.image else whole, function)
        if isinstance(bound, Bound):
            yield Depth(function, bound.bytes, bound.path, deepest)
        else:
            yield Depth(function, None, (), deepest, bound)


def _bound(calls: Calls, function: str) -> Bound | str:
    """The most stack of a function, or why there is none that is known."""
    try:
        return calls.bound(function)
    except ToolError as error:
        return error.what


# -- flash ---------------------------------------------------------------------------------------------------------

_KINDS = (
    ("frozen", "weights that are frozen", LINKED),
    ("initial", "what training begins with", f"{LINKED}: copied to RAM by init"),
    ("constants", "other constants", f"{LINKED}: of layers, tables, scales"),
    ("unnamed", "without a name", f"{LINKED}: constants that the compiler made, alignment"),
    ("variables", "initial values of variables", LINKED),
    ("harness", "start-up and harness", f"{LINKED}: vectors, reset, what calls the model"),
)


_CODE = (
    ("kernels", "kernels", f"{LINKED}: those that are not inlined"),
    ("model", "the model's own", f"{LINKED}: its steps and its interface"),
    ("library", "the compiler's library", LINKED),
)


def _flash(firmware: Firmware, pieces: Iterable[Piece], calls: Calls, name: str) -> Iterator[Part]:
    found: Counter[str] = Counter()
    for piece in pieces:
        found[piece.kind] += piece.bytes
    kinds = [key for key, _, _ in _CODE]
    yield Part("code", "code", sum(found[key] for key in kinds), LINKED)
    for key, label, how in _CODE:
        yield Part(key, label, found[key], how, "code")
    bound = _bound(calls, f"{name}_{PREDICT}")
    if isinstance(bound, Bound):
        needed = sum(piece.bytes for piece in pieces if piece.kind in kinds and piece.name in bound.reaches)
        yield Part(
            "code_predict", "of it what a prediction can reach", needed, f"{LINKED}: by its calls", "code"
        )
    for key, label, how in _KINDS:
        yield Part(key, label, found[key], how)
    yield Part(
        "flash_gaps", "alignment", _gaps(firmware, firmware.target.flash), f"{LINKED}: between sections"
    )


def _pieces(build: Build, placed: Iterable[size.SymbolSize]) -> Iterator[Piece]:
    program, layout = build.compiled.emitted, build.compiled.layout
    begin, trained = f"{program.name}_", weights(build)
    rows = (
        each.frozen for name, each in program.in_flash.items() if name.removesuffix("_residual") in trained
    )
    frozen = {*trained, *rows}
    constants = {f"{begin}{b.name}": b for b in program.in_space(Space.CONST)}
    for symbol in placed:
        name, count = symbol.name, symbol.bytes
        if symbol.section in (".mcg_vectors", ".mcg_harness"):
            yield Piece(name, "harness", count)
        elif symbol.section == ".data":
            yield Piece(name, "variables", count)
        elif not name and symbol.section in (".text", ".rodata"):
            yield Piece(name, "unnamed", count, symbol.section)
        elif symbol.section == ".text":
            is_kernel = name.startswith("mcg_")
            yield Piece(
                name, "kernels" if is_kernel else "model" if name.startswith(begin) else "library", count
            )
        elif name == f"{begin}initial" and count == sum(b.size for b in layout.params):
            for b in layout.params:
                yield Piece(f"{name}.{b.name}", "initial", b.size, b.note)
        elif symbol.section == ".rodata":
            buffer = constants.get(name)
            kind = "frozen" if buffer and buffer.name in frozen else "constants"
            kind = "initial" if name == f"{begin}initial" else kind
            yield Piece(name, kind, count, buffer.note if buffer else "")


def _gaps(firmware: Firmware, region: Region) -> int:
    """Bytes between the sections of a memory, from its beginning on."""
    places = [*size.sections(firmware.elf).values(), *size.initial(firmware.elf)]
    inside = [(start, count) for start, count in places if count and region.address <= start < region.end]
    end = max((start + count for start, count in inside), default=region.address)
    return end - region.address - sum(count for _, count in inside)
