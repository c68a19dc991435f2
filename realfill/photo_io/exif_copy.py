"""EXIF blocks written anew: from TIFF and BigTIFF files, and without what is private."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap

from PIL import ExifTags

from realfill.photo_io.privacy import Privacy
from realfill.photo_io.tiff_block import (
    BYTE_ORDERS,
    ENTRY_SIZE,
    HEADER_SIZE,
    BrokenTiffError,
    DataType,
    TiffBlock,
    open_tiff,
)

_TAG, _IFD = ExifTags.Base, ExifTags.IFD
STORAGE_TAGS = frozenset(  # for how and where a TIFF file stores its pixels, and for its further images
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342}
    | {347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 530, 33421, 33422}
)
_PHOTOSHOP_LAYERS = 0x935C
CONTAINER_TAGS = frozenset(  # with data of another kind, which is not part of an EXIF block
    {_TAG.XMLPacket, _TAG.IPTCNAA, _TAG.InterColorProfile, _TAG.ImageResources, _PHOTOSHOP_LAYERS}
)
_POINTERS = (_IFD.Exif, _IFD.GPSInfo, _IFD.Interop)
_TEXT_TYPES = (DataType.BYTE, DataType.ASCII, DataType.UNDEFINED)
_BIG_TYPES = (16, 17, 18)  # of BigTIFF alone
_JPEG_THUMBNAIL = 6  # tag Compression of a thumbnail


@dataclass(frozen=True)
class ExifSettings:
    """Limits for metadata that is copied.

    Attributes:
        max_value_bytes: Tags with larger values are left out; set by hand.
        max_searched_bytes: The same where values are searched for coordinates; set by hand: an EXIF segment's size.
        max_block_bytes: Metadata of which one directory's values are larger is refused; set by hand.
    """

    max_value_bytes: int = 1 << 22
    max_searched_bytes: int = 1 << 16
    max_block_bytes: int = 1 << 24


@dataclass(frozen=True)
class TiffMetadata:
    """The metadata of a TIFF file.

    Attributes:
        exif: A new EXIF block with the tags of the first directory, of the EXIF and of the GPS directory, without
            those for the storage of pixels.
        xmp: The XMP packet, or None.
        iptc: The IPTC records, or None.
        resources: Photoshop's image resources; empty without.
    """

    exif: bytes
    xmp: bytes | None
    iptc: bytes | None
    resources: bytes


def extract_from_tiff(file: mmap, settings: ExifSettings = ExifSettings()) -> TiffMetadata:
    """Extract the metadata of a whole TIFF or BigTIFF file.

    Raises:
        BrokenTiffError: The first directory cannot be followed.
    """
    block = open_tiff(file)
    packet, records, resources = (
        next((block.value(entry) for entry in block.find(block.first_directory, tag)), None)
        for tag in (_TAG.XMLPacket, _TAG.IPTCNAA, _TAG.ImageResources)
    )
    return TiffMetadata(copy_block(block, Privacy(), settings), packet, records, resources or b"")


def copy_block(block: TiffBlock, privacy: Privacy, settings: ExifSettings) -> bytes:
    """A new block with the tags of the first directory and of those that it points to, as far as they are delivered.

    Raises:
        BrokenTiffError: The block cannot be followed, or its metadata is too large.
    """
    magic = next(magic for magic, order in BYTE_ORDERS.items() if order == block.byte_order)
    header = magic + struct.pack(block.byte_order + "I", HEADER_SIZE)
    copy = _DirectoryCopy(block, privacy, settings)
    return header + copy.copy(block.first_directory, HEADER_SIZE, (_IFD.Exif, _IFD.GPSInfo))


def append_thumbnail(block: TiffBlock, main: int, thumbnail: bytes) -> None:
    """Append a second directory with a JPEG thumbnail to a block that has none."""
    second = len(block.data) + len(block.data) % 2
    start = second + 2 + 3 * ENTRY_SIZE + 4
    order = block.byte_order
    table = struct.pack(order + "H", 3)
    table += struct.pack(order + "HHIHH", _TAG.Compression, DataType.SHORT, 1, _JPEG_THUMBNAIL, 0)
    for tag, number in ((_TAG.JpegIFOffset, start), (_TAG.JpegIFByteCount, len(thumbnail))):
        table += struct.pack(order + "HHII", tag, DataType.LONG, 1, number)
    block.write(second, table + bytes(4) + thumbnail)
    block.pack("I", block.link_offset(main), second)


@dataclass(frozen=True)
class _DirectoryCopy:
    """Copies directories of a block.

    Attributes:
        block: Where they are copied from.
        privacy: What is delivered.
        settings: Limits.
    """

    block: TiffBlock
    privacy: Privacy
    settings: ExifSettings

    def copy(self, directory: int, start: int, pointers: tuple[int, ...], *, is_gps: bool = False) -> bytes:
        """Copy a directory, its values and the directories inside it to another place.

        Args:
            directory: Its offset.
            start: Its offset in the copy.
            pointers: Tags that may point to directories inside this one.
            is_gps: Whether it is the GPS directory, whose tags have numbers of their own.
        """
        block, settings = self.block, self.settings
        limit = settings.max_value_bytes if self.privacy.keep_position else settings.max_searched_bytes
        entries = [
            entry
            for entry in block.entries(directory)
            if entry.tag not in STORAGE_TAGS | CONTAINER_TAGS
            and entry.size <= limit
            and (entry.data_type not in _BIG_TYPES or entry.tag in _POINTERS)
            and (is_gps or self.privacy.allows_tag(entry.tag))
        ]
        table = struct.pack(block.byte_order + "H", len(entries))
        values = b""
        for entry in entries:
            place = start + 2 + ENTRY_SIZE * len(entries) + 4 + len(values)
            value, data_type, count = block.value(entry), entry.data_type, entry.count
            if entry.tag in _POINTERS:
                if entry.tag not in pointers:
                    raise BrokenTiffError("a directory lies inside one where it cannot be")
                inner = (_IFD.Interop,) if entry.tag == _IFD.Exif else ()
                values += self.copy(block.number(entry), place, inner, is_gps=entry.tag == _IFD.GPSInfo)
                value, data_type, count = struct.pack(block.byte_order + "I", place), DataType.LONG, 1
            elif data_type in _TEXT_TYPES:
                value = self.privacy.redact_bytes(value)
            if len(value) > 4:
                values += value + bytes(len(value) % 2)
                value = struct.pack(block.byte_order + "I", place)
            if len(values) > settings.max_block_bytes:
                raise BrokenTiffError("the metadata is too large")
            table += struct.pack(block.byte_order + "HHI", entry.tag, data_type, count) + value.ljust(4, b"\0")
        return table + bytes(4) + values
