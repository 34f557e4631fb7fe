"""Writes the linker script of a target.

The stack lies at the very bottom of RAM, below it nothing: an overflow faults at once instead of eating data.
Harness and startup have output sections of their own, so that what is left is the model's.
"""

from __future__ import annotations

from fnmatch import fnmatch

from mcugrad.targets import Target

_OWN = ("*mcg_device_startup.o", "*mcg_device_harness.o", "*mcg_device_call.o", "*mcg_device_idle.o")


def is_own(path: str) -> bool:
    """Whether an object file is of start-up or harness, not the model's."""
    return any(fnmatch(path, pattern) for pattern in _OWN)


def _own(*patterns: str) -> str:
    return " ".join(f"{name}({' '.join(patterns)})" for name in _OWN)


def script(target: Target, stack_bytes: int) -> str:
    """The linker script (GNU ld and lld) for `target` with `stack_bytes` of stack, a multiple of 8."""
    flash, ram = target.flash, target.ram
    return f"""\
MEMORY
{{
    FLASH (rx) : ORIGIN = {flash.address:#010x}, LENGTH = {flash.bytes}
    RAM (rw) : ORIGIN = {ram.address:#010x}, LENGTH = {ram.bytes}
}}

ENTRY(mcg_device_reset)

SECTIONS
{{
    .mcg_vectors : {{ KEEP(*(.mcg_vectors)) }} > FLASH
    .mcg_harness : {{ {_own(".text", ".text.*", ".rodata", ".rodata.*")} }} > FLASH
    .text : {{ *(.text .text.*) }} > FLASH
    .rodata : {{ *(.rodata .rodata.*) . = ALIGN(4); }} > FLASH

    .mcg_stack (NOLOAD) :
    {{
        mcg_ld_stack_bottom = .;
        . += {stack_bytes};
        mcg_ld_stack_top = .;
    }} > RAM
    .data : ALIGN(8)
    {{
        mcg_ld_data_start = .;
        *(.data .data.*)
        . = ALIGN(4);
        mcg_ld_data_end = .;
    }} > RAM AT > FLASH
    mcg_ld_data_load = LOADADDR(.data);
    .mcg_harness_bss (NOLOAD) : ALIGN(8)
    {{
        mcg_ld_bss_start = .;
        {_own(".bss", ".bss.*", "COMMON")}
    }} > RAM
    .bss (NOLOAD) : ALIGN(8)
    {{
        *(.bss .bss.* COMMON)
        . = ALIGN(4);
        mcg_ld_bss_end = .;
    }} > RAM

    /DISCARD/ : {{ *(.ARM.exidx* .ARM.extab* .debug* .comment .eh_frame*) }}
}}
"""
