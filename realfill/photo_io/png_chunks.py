"""Chunks of PNG files (ISO/IEC 15948): the metadata in them, wherever they stand.

Pillow reads what stands behind the pixels only after it decoded them, keeps one text of each keyword, and gives up at
large ones.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IDAT", b"fdAT")
_RAW_PROFILE = "Raw profile type "  # as ImageMagick keeps metadata in texts, hexadecimal


class BrokenChunkError(ValueError):
    """A chunk cannot be read."""


def read_chunks(path: Path, max_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of each chunk but those of pixels; ends at the first that is cut off or larger than the limit."""
    with path.open("rb") as file:
        file.seek(len(SIGNATURE))
        while len(header := file.read(8)) == 8:
            size, name = int.from_bytes(header[:4]), header[4:]
            if name == b"IEND":
                return
            if name in _PIXELS:
                file.seek(size + 4, 1)
                continue
            if size > max_bytes or len(data := file.read(size)) < size:
                return
            file.seek(4, 1)  # the checksum
            yield name, data


def pack_chunk(name: bytes, data: bytes) -> bytes:
    """The bytes of a chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def read_text(name: bytes, data: bytes, max_bytes: int) -> tuple[str, bytes]:
    """Keyword and text of a chunk tEXt, zTXt or iTXt.

    Args:
        name: Name of the chunk.
        data: Its data.
        max_bytes: Larger texts are refused.

    Returns:
        The keyword, and the text: UTF-8 in iTXt, Latin-1 otherwise.

    Raises:
        BrokenChunkError: It cannot be read.
    """
    keyword, _, rest = data.partition(b"\0")
    is_compressed = name == b"zTXt"
    if name == b"zTXt":
        rest = rest[1:]  # compression method
    elif name == b"iTXt":
        is_compressed = rest[:1] == b"\1"
        parts = rest[2:].split(b"\0", 2)  # language tag, translated keyword, text
        if len(parts) < 3:
            raise BrokenChunkError("a text is cut off")
        rest = parts[2]
    return keyword.decode("latin-1"), _decompress(rest, max_bytes) if is_compressed else rest


def pack_text(keyword: str, text: str) -> bytes:
    """The chunk of a text: tEXt where Latin-1 has all its characters, otherwise iTXt."""
    name = keyword.encode("latin-1", "replace")[:79]
    try:
        return pack_chunk(b"tEXt", name + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return pack_chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


def read_raw_profile(keyword: str, text: bytes) -> tuple[str, bytes] | None:
    """Kind, such as "exif" or "iptc", and data of a profile that is kept as a text; None if the text is none."""
    if not keyword.startswith(_RAW_PROFILE):
        return None
    lines = text.split(b"\n", 3)  # an empty one, the kind, the size, the data
    if len(lines) == 4:
        with suppress(ValueError):
            return keyword.removeprefix(_RAW_PROFILE).strip().lower(), bytes.fromhex(lines[3].decode("ascii"))
    raise BrokenChunkError("a raw profile cannot be read")


def _decompress(data: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, max_bytes)
    except zlib.error as error:
        raise BrokenChunkError("a text cannot be decompressed") from error
    if inflater.unconsumed_tail:
        raise BrokenChunkError("a text is too large")
    return text
