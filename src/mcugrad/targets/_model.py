"""The types of a target. Frozen; an impossible combination cannot be constructed."""

from __future__ import annotations

from dataclasses import dataclass

from mcugrad.errors import UsageError

_FEATURES = {  # architecture: (may have an FPU, has the DSP extension: no, always or optional)
    "armv6-m": (False, (False,)),
    "armv7-m": (False, (False,)),
    "armv7e-m": (True, (True,)),
    "armv8-m.main": (True, (False, True)),
    "armv8.1-m.main": (True, (True,)),
}
_MOST = 1e12  # Hz of a clock, picojoules of a cycle: far beyond any
_PAGE = 4096  # bytes; the emulator maps whole pages


@dataclass(frozen=True)
class Core:
    """A CPU core and how the tools spell it.

    Attributes:
        name: as the user writes it, `cortex-m4f`.
        architecture: `armv6-m`, `armv7-m`, `armv7e-m`, `armv8-m.main` or `armv8.1-m.main`.
        has_fpu: single-precision floating-point instructions may be used.
        has_dsp: the DSP extension (SMLAD, SXTB16, ...) may be used.
        zig_target, zig_cpu: values of zig's `-target` and `-mcpu`.
        gcc_flags: for `arm-none-eabi-gcc`.
        unicorn_cpu: name of the model constant in `unicorn.arm_const`; empty where unicorn has no such core.
        timing: which table of `mcugrad.measure.cycles` applies.
        least_instructions, least_cycles: of one int8 multiply-accumulate in the best inner loop that the core's
            registers and multiplier allow, loads included; None where nobody has worked it out.
        has_mve: Helium, the vector extension, may be used.
        defines: macros that tell the generated C what no compiler does: which core of its architecture it is.
        priced_as: the core whose counted prices of kernels stand in for its own; empty where it has some.
    """

    name: str
    title: str
    architecture: str
    has_fpu: bool
    has_dsp: bool
    zig_target: str
    zig_cpu: str
    gcc_flags: tuple[str, ...]
    unicorn_cpu: str
    timing: str
    least_instructions: float | None = None
    least_cycles: float | None = None
    has_mve: bool = False
    defines: tuple[str, ...] = ()
    priced_as: str = ""

    def __post_init__(self) -> None:
        if self.architecture not in _FEATURES:
            raise UsageError(
                f"core {self.name} has the unknown architecture {self.architecture!r}",
                hint="one of " + ", ".join(_FEATURES),
            )
        fpu_possible, dsp_possible = _FEATURES[self.architecture]
        if self.has_fpu and not fpu_possible:
            raise UsageError(
                f"core {self.name} cannot have an FPU: {self.architecture} has none", hint="has_fpu = false"
            )
        if self.has_dsp not in dsp_possible:
            wanted = "true" if dsp_possible[0] else "false"
            state = "always has" if dsp_possible[0] else "never has"
            raise UsageError(
                f"core {self.name} is impossible: {self.architecture} {state} the DSP extension",
                hint=f"has_dsp = {wanted}",
            )
        if self.has_mve and self.architecture != "armv8.1-m.main":
            raise UsageError(
                f"core {self.name} is impossible: {self.architecture} never has Helium",
                hint="has_mve = false",
            )

    @property
    def is_emulated(self) -> bool:
        """Whether firmware for it runs on this computer."""
        return bool(self.unicorn_cpu)


@dataclass(frozen=True)
class Region:
    """One contiguous memory: first address and size in bytes."""

    address: int
    bytes: int

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.address + self.bytes

    def overlaps(self, other: Region) -> bool:
        """Whether the two share an address."""
        return self.address < other.end and other.address < self.end


@dataclass(frozen=True)
class EnergyPerCycle:
    """Energy of one CPU cycle in picojoules, how far it may be off, and who published it."""

    picojoules: float
    band_percent: float
    source: str

    def __post_init__(self) -> None:
        # Written so that NaN is refused.
        if not (0 < self.picojoules < _MOST and 0 <= self.band_percent < 100 and self.source):
            raise UsageError(
                f"energy of {self.picojoules} pJ per cycle +-{self.band_percent} % is not usable",
                hint="a positive figure, a band below 100 %, and the source of the figure",
            )


def shortage(need: int, have: int, memory: str, whose: str) -> str:
    """`301.4 KiB of RAM; nrf52840 has 256.0 KiB (45.4 KiB short)`.

    Args:
        need: bytes, more than there are.
        have: bytes that there are.
        memory: `RAM` or `flash`.
        whose: `nrf52840 has`.
    """
    return f"{kib(need)} of {memory}; {whose} {kib(have)} ({kib(need - have)} short)"


def kib(size: int) -> str:
    """`24.7 KiB`; `500 B` below one."""
    return f"{size} B" if abs(size) < 1024 else f"{size / 1024:.1f} KiB"


@dataclass(frozen=True)
class Target:
    """What firmware is built for.

    Attributes:
        flash, ram: the memories the linker may use.
        clock_hz: highest core clock in Hz; None for a plain core.
        energy: None = not known: no public figure, the user may supply one.
        sources: where sizes and addresses come from.
    """

    name: str
    title: str
    core: Core
    flash: Region
    ram: Region
    clock_hz: int | None = None
    energy: EnergyPerCycle | None = None
    sources: tuple[str, ...] = ()

    def shortage(self, need: int, memory: str) -> str:
        """`301.4 KiB of RAM; nrf52840 has 256.0 KiB (45.4 KiB short)`.

        Args:
            need: bytes, more than there are.
            memory: `RAM` or `flash`.
        """
        have = {"RAM": self.ram, "flash": self.flash}[memory].bytes
        return shortage(need, have, memory, f"{self.name} has")

    def __post_init__(self) -> None:
        for kind, region in (("flash", self.flash), ("RAM", self.ram)):
            if region.bytes <= 0 or region.address % _PAGE or region.bytes % _PAGE or region.address < 0:
                raise UsageError(
                    f"target {self.name}: {kind} of {region.bytes} B at {region.address:#010x} is impossible",
                    hint=f"address and size are multiples of {_PAGE} B",
                )
            if region.end > 0xE000_0000:
                raise UsageError(
                    f"target {self.name}: {kind} ends at {region.end:#010x}, inside the core's own registers",
                    hint="end below 0xe0000000",
                )
        if self.flash.overlaps(self.ram):
            raise UsageError(
                f"target {self.name}: flash {self.flash.address:#010x}..{self.flash.end:#010x} and "
                f"RAM {self.ram.address:#010x}..{self.ram.end:#010x} overlap"
            )
        if self.clock_hz is not None and not 0 < self.clock_hz < _MOST:
            raise UsageError(
                f"target {self.name}: a clock of {self.clock_hz:g} Hz is impossible", hint="64_000_000"
            )
