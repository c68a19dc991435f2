"""Tag directories of the TIFF format, as TIFF files and EXIF blocks hold them, edited in place.

A block is never taken apart and written anew, because maker notes hold offsets from the block's beginning that nobody
else understands: every byte that is kept stays where the camera put it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap
from typing import Literal

from PIL import ExifTags

BYTE_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II*\0": "<", b"MM\0*": ">"}  # by the first 4 bytes
HEADER_SIZE = 8  # byte order, version, offset of the first directory
ENTRY_SIZE = 12
_BIG_ENTRY_SIZE = 20


class DataType(IntEnum):
    """Data types of tags that are written here (TIFF 6.0, section 2)."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    UNDEFINED = 7


_VALUE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}  # bytes by data type; the last three are of BigTIFF
_BIG_BYTE_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II+\0": "<", b"MM\0+": ">"}


class BrokenTiffError(ValueError):
    """The bytes are not a TIFF structure that can be followed."""


@dataclass(frozen=True)
class TagEntry:
    """One tag of a directory.

    Attributes:
        offset: Offset of the entry.
        tag: Number of the tag.
        data_type: TIFF data type, 1 to 13; in BigTIFF also 16 to 18.
        count: Number of values.
        start: Offset of the values.
        size: Size of all values, bytes.
    """

    offset: int
    tag: int
    data_type: int
    count: int
    start: int
    size: int


class TiffBlock:
    """A TIFF structure in memory. All offsets count from its beginning.

    Args:
        data: The bytes, from the byte order mark on. Only a bytearray can be edited.

    Attributes:
        data: As given.
        byte_order: "<" (little-endian) or ">" (big-endian), as in `struct`.

    Raises:
        BrokenTiffError: There is no TIFF header.
    """

    byte_orders = BYTE_ORDERS

    def __init__(self, data: bytearray | mmap) -> None:
        byte_order = self.byte_orders.get(bytes(data[:4]))
        if byte_order is None or len(data) < HEADER_SIZE + 6:  # at least an empty directory
            raise BrokenTiffError("there is no TIFF header")
        self.data = data
        self.byte_order = byte_order

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Read integers in the block's byte order; `layout` is as in `struct`."""
        if offset < 0 or offset + struct.calcsize(self.byte_order + layout) > len(self.data):
            raise BrokenTiffError("an offset lies outside the block")
        return struct.unpack_from(self.byte_order + layout, self.data, offset)

    def pack(self, layout: str, offset: int, *values: int) -> None:
        """Write integers in the block's byte order; `layout` is as in `struct`."""
        assert isinstance(self.data, bytearray)
        struct.pack_into(self.byte_order + layout, self.data, offset, *values)

    @property
    def first_directory(self) -> int:
        """Offset of the first directory."""
        return self.unpack("I", 4)[0]

    def link_offset(self, directory: int) -> int:
        """Offset of a directory's link to the next one, which follows its entries."""
        return directory + 2 + ENTRY_SIZE * self.unpack("H", directory)[0]

    def entries(self, directory: int) -> list[TagEntry]:
        """The tags of a directory whose values lie inside the block."""
        return list(self._iterate_entries(directory))

    def _iterate_entries(self, directory: int) -> Iterator[TagEntry]:
        start, end = directory + 2, self.link_offset(directory)
        for offset in range(start, end, ENTRY_SIZE):
            tag, data_type, count = self.unpack("HHI", offset)
            size = _VALUE_SIZES.get(data_type, 0) * count
            values = offset + 8 if size <= 4 else self.unpack("I", offset + 8)[0]
            if size and values + size <= len(self.data):
                yield TagEntry(offset, tag, data_type, count, values, size)

    def value(self, entry: TagEntry) -> bytes:
        """The bytes of a tag's values."""
        return bytes(self.data[entry.start : entry.start + entry.size])

    def number(self, entry: TagEntry) -> int:
        """The first value of a SHORT or LONG tag, or of one of 8 bytes."""
        layout = {DataType.SHORT: "H", 16: "Q", 18: "Q"}.get(entry.data_type, "I")
        return self.unpack(layout, entry.start)[0]

    def find(self, directory: int, tag: int) -> list[TagEntry]:
        """Every occurrence of a tag; the standard allows one, but there are files with more."""
        return [entry for entry in self.entries(directory) if entry.tag == tag]

    def set_number(self, directory: int, tag: int, value: int) -> None:
        """Overwrite a tag by one number, if it is present; a LONG, or for the orientation a SHORT."""
        for entry in self.find(directory, tag):
            if tag == ExifTags.Base.Orientation:
                self.pack("HIHH", entry.offset + 2, DataType.SHORT, 1, value, 0)
            else:
                self.pack("HII", entry.offset + 2, DataType.LONG, 1, value)

    def remove_tags(self, directory: int, tags: Iterable[int]) -> None:
        """Remove tags from a directory; the entries behind them, and the link, move up. Their values stay."""
        unwanted = set(tags)
        for entry in reversed(self.entries(directory)):
            if entry.tag in unwanted:
                end = self.link_offset(directory) + 4
                self.data[entry.offset : end] = self.data[entry.offset + ENTRY_SIZE : end] + bytes(ENTRY_SIZE)
                self.pack("H", directory, self.unpack("H", directory)[0] - 1)

    def write(self, start: int, value: bytes) -> None:
        """Overwrite bytes; the block grows if it is too short."""
        assert isinstance(self.data, bytearray)
        self.data.extend(bytes(max(0, start - len(self.data))))
        self.data[start : start + len(value)] = value

    def erase(self, start: int, size: int) -> None:
        """Overwrite bytes by zeros."""
        if start < HEADER_SIZE:
            raise BrokenTiffError("a value lies in the header")
        end = min(start + size, len(self.data))
        self.data[start:end] = bytes(max(0, end - start))


class BigTiffBlock(TiffBlock):
    """A BigTIFF file, to be read alone: its offsets and counts have 8 bytes."""

    byte_orders = _BIG_BYTE_ORDERS

    @property
    def first_directory(self) -> int:
        """Offset of the first directory."""
        return self.unpack("Q", 8)[0]

    def link_offset(self, directory: int) -> int:
        """Offset of a directory's link to the next one, which follows its entries."""
        return directory + 8 + _BIG_ENTRY_SIZE * self.unpack("Q", directory)[0]

    def _iterate_entries(self, directory: int) -> Iterator[TagEntry]:
        start, end = directory + 8, min(self.link_offset(directory), len(self.data))
        for offset in range(start, end, _BIG_ENTRY_SIZE):
            tag, data_type, count = self.unpack("HHQ", offset)
            size = _VALUE_SIZES.get(data_type, 0) * count
            values = offset + 12 if size <= 8 else self.unpack("Q", offset + 12)[0]
            if size and values + size <= len(self.data):
                yield TagEntry(offset, tag, data_type, count, values, size)


def open_tiff(data: bytearray | mmap) -> TiffBlock:
    """A TIFF or BigTIFF structure, to be read.

    Raises:
        BrokenTiffError: There is no TIFF header.
    """
    return BigTiffBlock(data) if bytes(data[:4]) in _BIG_BYTE_ORDERS else TiffBlock(data)
