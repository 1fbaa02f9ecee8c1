"""Small pictures of one row, repeated, as `data:` addresses. Pure."""

import base64
import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int,
    height: int,
    bars: str,
    *,
    bar_width: int = 1,
    bar_height: int = 0,
    ground: int = 255,
) -> str:
    """A picture in greys: black bars (`1`, with `0` between them) in the middle of a ground, as a `data:` address.

    Widths and heights are pixels, `ground` is 0 for black to 255 for white. Source: PNG (W3C), 11.2.
    """
    empty = bytes([ground]) * width
    row = b"".join((b"\0" if bar == "1" else bytes([ground])) * bar_width for bar in bars)
    left = (width - len(row)) // 2
    barred = empty[:left] + row + empty[left + len(row) :]
    above = (height - bar_height) // 2
    rows = [barred if above <= line < above + bar_height else empty for line in range(height)]
    data = zlib.compress(b"".join(b"\0" + line for line in rows), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    picture = _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(picture).decode()
