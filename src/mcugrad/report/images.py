"""Small grey images as PNG in a data address, so that a page needs no other file."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def data_address(image: NDArray[Any], top: float) -> str:
    """A grey image as `data:image/png;base64,...`; 0 is white, `top` is black. Same image, same text.

    Args:
        image: (height, width), values 0 to `top`.
        top: the darkest value.
    """
    grey = np.round(255 * (1 - image / top)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(png(grey)).decode("ascii")


def png(grey: NDArray[np.uint8]) -> bytes:
    """A PNG file of 8-bit grey pixels, (height, width), stored without compression."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
