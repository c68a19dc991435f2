"""EXIF blocks: the tag directories of the TIFF format (CIPA DC-008), edited where they lie.

A block is rewritten in place, never taken apart and put together again, because maker notes hold offsets that
count from the block's beginning: every byte that is kept stays where the camera put it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from typing import Literal

ORDERS: dict[bytes, Literal["<", ">"]] = {b"II*\0": "<", b"MM\0*": ">"}
JPEG_LIMIT = 65_527  # bytes that fit a JPEG's one EXIF segment
WIDTH, HEIGHT, ORIENTATION = 0x0100, 0x0101, 0x0112
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
THUMBNAIL_START, THUMBNAIL_SIZE = 0x0201, 0x0202
XMP, IPTC = 0x02BC, 0x83BB
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SHORT, _LONG = 3, 4
_HEADER = 8
_STORAGE = frozenset(  # how and where a TIFF file stores its pixels, and tags of its further pictures
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342}
    | {347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 530, 33421, 33422}
)
_CONTAINERS = frozenset({XMP, IPTC, 0x8649, 0x8773, 0x935C})  # XMP, IPTC, Photoshop resources, ICC, layers
_LARGEST_VALUE = 1 << 22
_LARGEST_BLOCK = 1 << 24


class BrokenExifError(ValueError):
    """The bytes are not an EXIF block that can be followed."""


@dataclass(frozen=True)
class Entry:
    """One tag of a directory.

    Attributes:
        at: Where its 12 bytes lie.
        tag: Number of the tag.
        kind: TIFF data type, 1 to 13.
        count: How many values of that type.
        start: Where the values lie.
        size: Bytes of all values.
    """

    at: int
    tag: int
    kind: int
    count: int
    start: int
    size: int


class Block:
    """A TIFF structure in memory.

    Args:
        data: The bytes, from the byte order mark on.

    Raises:
        BrokenExifError: There is no TIFF header.
    """

    def __init__(self, data: bytearray | mmap) -> None:
        order = ORDERS.get(bytes(data[:4]))
        if order is None or len(data) < 14:
            raise BrokenExifError("there is no TIFF header")
        self.data = data
        self.order = order

    def unpack(self, layout: str, at: int) -> tuple[int, ...]:
        """Read integers at an offset."""
        if at < 0 or at + struct.calcsize(self.order + layout) > len(self.data):
            raise BrokenExifError("an offset lies outside the block")
        return struct.unpack_from(self.order + layout, self.data, at)

    def pack(self, layout: str, at: int, *values: int) -> None:
        """Write integers at an offset."""
        assert isinstance(self.data, bytearray)
        struct.pack_into(self.order + layout, self.data, at, *values)

    @property
    def first(self) -> int:
        """Where the first directory lies."""
        return self.unpack("I", 4)[0]

    def next_at(self, directory: int) -> int:
        """Where the pointer to the directory after this one lies."""
        return directory + 2 + 12 * self.unpack("H", directory)[0]

    def entries(self, directory: int) -> list[Entry]:
        """The tags of a directory whose values lie inside the block."""
        return list(self._entries(directory))

    def _entries(self, directory: int) -> Iterator[Entry]:
        (count,) = self.unpack("H", directory)
        for at in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, values = self.unpack("HHI", at)
            size = _SIZES.get(kind, 0) * values
            start = at + 8 if size <= 4 else self.unpack("I", at + 8)[0]
            if size and start + size <= len(self.data):
                yield Entry(at, tag, kind, values, start, size)

    def value(self, entry: Entry) -> bytes:
        """The bytes of a tag's values."""
        return bytes(self.data[entry.start : entry.start + entry.size])

    def number(self, entry: Entry) -> int:
        """The first value of a SHORT or LONG tag."""
        return self.unpack("H" if entry.kind == _SHORT else "I", entry.start)[0]

    def find(self, directory: int, tag: int) -> list[Entry]:
        """Every occurrence of a tag; more than one is against the standard, but exists."""
        return [entry for entry in self.entries(directory) if entry.tag == tag]

    def set(self, directory: int, tag: int, value: int) -> None:
        """Overwrite a tag, where it is present, by one number."""
        for entry in self.find(directory, tag):
            if tag == ORIENTATION:
                self.pack("HIHH", entry.at + 2, _SHORT, 1, value, 0)
            else:
                self.pack("HII", entry.at + 2, _LONG, 1, value)

    def remove(self, directory: int, tags: Iterable[int]) -> None:
        """Take tags out of a directory; what follows in its table moves up."""
        unwanted = set(tags)
        for entry in reversed(self.entries(directory)):
            if entry.tag in unwanted:
                end = self.next_at(directory) + 4
                self.data[entry.at : end] = self.data[entry.at + 12 : end] + bytes(12)
                self.pack("H", directory, self.unpack("H", directory)[0] - 1)

    def put(self, start: int, value: bytes) -> None:
        """Overwrite bytes; the block grows where it is too short."""
        assert isinstance(self.data, bytearray)
        self.data.extend(bytes(max(0, start - len(self.data))))
        self.data[start : start + len(value)] = value

    def erase(self, start: int, size: int) -> None:
        """Overwrite bytes by zeros."""
        if start < _HEADER:
            raise BrokenExifError("a value lies in the header")
        end = min(start + size, len(self.data))
        self.data[start:end] = bytes(max(0, end - start))


def update_for_export(data: bytes, width: int, height: int, thumbnail: bytes, *, keep_gps: bool) -> bytes:
    """Make a block tell the truth about a photo whose pixels were completed and turned upright.

    The orientation becomes 1, the pixel dimensions those given, an embedded thumbnail the one given; pointers to
    further pictures go, and the position too unless it is kept. What the block does not hold is not added.

    Args:
        data: The block, without the "Exif" prefix.
        width: Pixels.
        height: Pixels.
        thumbnail: A small JPEG of the finished photo.
        keep_gps: Whether the position stays.

    Raises:
        BrokenExifError: The block cannot be followed.
    """
    block = Block(bytearray(data))
    main = block.first
    block.unpack("I", block.next_at(main))
    block.set(main, ORIENTATION, 1)
    block.set(main, WIDTH, width)
    block.set(main, HEIGHT, height)
    for pointer in block.find(main, EXIF):
        block.set(block.number(pointer), PIXEL_WIDTH, width)
        block.set(block.number(pointer), PIXEL_HEIGHT, height)
    _renew_thumbnail(block, main, thumbnail)
    if not keep_gps:
        _erase_gps(block, main)
    block.remove(main, (_STORAGE | _CONTAINERS) - {WIDTH, HEIGHT})
    return bytes(block.data)


def _erase_gps(block: Block, main: int) -> None:
    for pointer in block.find(main, GPS):
        directory = block.number(pointer)
        with suppress(BrokenExifError):
            for entry in block.entries(directory):
                block.erase(entry.start, entry.size)
            block.erase(directory, block.next_at(directory) - directory)
    block.remove(main, [GPS])


def _renew_thumbnail(block: Block, main: int, thumbnail: bytes) -> None:
    link = block.next_at(main)
    second = block.unpack("I", link)[0]
    starts, sizes = (block.find(second, THUMBNAIL_START), block.find(second, THUMBNAIL_SIZE)) if second else ([], [])
    if not starts or not sizes:
        block.pack("I", link, 0)
        return
    start, size = block.number(starts[0]), block.number(sizes[0])
    block.erase(start, size)
    if len(thumbnail) > size or start + size > len(block.data):
        start = len(block.data) + len(block.data) % 2
    if start + len(thumbnail) > max(JPEG_LIMIT, len(block.data)):
        block.pack("I", link, 0)
        return
    block.put(start, thumbnail)
    block.set(second, THUMBNAIL_START, start)
    block.set(second, THUMBNAIL_SIZE, len(thumbnail))
    block.set(second, ORIENTATION, 1)
    block.remove(second, [WIDTH, HEIGHT])
    block.pack("I", block.next_at(second), 0)


def from_tiff(file: mmap) -> tuple[bytes, bytes | None, bytes | None]:
    """Take the metadata out of a TIFF file.

    Returns:
        The EXIF block (the camera's tags, EXIF and GPS directories, without what describes the picture's
        storage), the XMP packet, and the IPTC records.

    Raises:
        BrokenExifError: The file's first directory cannot be followed.
    """
    block = Block(file)
    xmp, iptc = (next((block.value(entry) for entry in block.find(block.first, tag)), None) for tag in (XMP, IPTC))
    header = bytes(file[:4]) + struct.pack(block.order + "I", 8)
    return header + _copied(block, block.first, 8, (EXIF, GPS)), xmp, iptc


def _copied(block: Block, directory: int, start: int, pointers: tuple[int, ...]) -> bytes:
    entries = [
        entry
        for entry in block.entries(directory)
        if entry.tag not in _STORAGE | _CONTAINERS and entry.size <= _LARGEST_VALUE
    ]
    table = struct.pack(block.order + "H", len(entries))
    values = b""
    for entry in entries:
        place = start + 2 + 12 * len(entries) + 4 + len(values)
        value, kind, count = block.value(entry), entry.kind, entry.count
        if entry.tag in (EXIF, GPS, INTEROPERABILITY):
            if entry.tag not in pointers:
                raise BrokenExifError("a directory lies in one where it cannot be")
            inner = (INTEROPERABILITY,) if entry.tag == EXIF else ()
            values += _copied(block, block.number(entry), place, inner)
            value, kind, count = struct.pack(block.order + "I", place), _LONG, 1
        elif len(value) > 4:
            values += value + bytes(len(value) % 2)
            value = struct.pack(block.order + "I", place)
        if len(values) > _LARGEST_BLOCK:
            raise BrokenExifError("the metadata is larger than any camera's")
        table += struct.pack(block.order + "HHI", entry.tag, kind, count) + value.ljust(4, b"\0")
    return table + bytes(4) + values
