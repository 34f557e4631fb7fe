"""Programs written by hand, for what reads programs and does not mind what they compute."""

from __future__ import annotations

from collections.abc import Mapping

from mcugrad.program import Buffer, Entry, Program, Segment


def program_of(
    *buffers: Buffer, segments: Mapping[str, Segment], entries: Mapping[str, Entry], output: str
) -> Program:
    """A program over these buffers. The sample is `x`, whether it is there or not."""
    return Program(
        name="random",
        buffers={buffer.name: buffer for buffer in buffers},
        segments=segments,
        entries=entries,
        input="x",
        input_zero=0,
        output=output,
        watched=False,
        output_scale="",
        output_zero=0,
        values=None,
        update_rate=1.0,
        classes=2,
    )
