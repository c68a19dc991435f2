"""EXIF blocks (CIPA DC-008): updated for the finished photo, its thumbnail included, and taken out of TIFF files."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap

from PIL import ExifTags

from realfill.photo_io.tiff_block import ENTRY_SIZE, HEADER_SIZE, BrokenTiffError, DataType, TiffBlock

JPEG_LIMIT = 65_527  # bytes that fit into the one EXIF segment of a JPEG: 65,533 without the prefix "Exif\0\0"
_TAG, _IFD = ExifTags.Base, ExifTags.IFD
_WIDTH, _HEIGHT = _TAG.ImageWidth, _TAG.ImageLength
_THUMBNAIL_START, _THUMBNAIL_SIZE = _TAG.JpegIFOffset, _TAG.JpegIFByteCount
_STORAGE = frozenset(  # tags for how and where a TIFF file stores its pixels, and for its further images
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291}
    | {292, 293, 297, 317, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342}
    | {347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 530, 33421, 33422}
)
_PHOTOSHOP_RESOURCES, _PHOTOSHOP_LAYERS = 0x8649, 0x935C
_CONTAINERS = frozenset(  # tags with data of another kind, which is not part of an EXIF block
    {_TAG.XMLPacket, _TAG.IPTCNAA, _TAG.InterColorProfile, _PHOTOSHOP_RESOURCES, _PHOTOSHOP_LAYERS}
)


@dataclass(frozen=True)
class ExifSettings:
    """Limits for the metadata of TIFF files.

    Attributes:
        max_value_bytes: Tags with larger values are left out; set by hand.
        max_block_bytes: Metadata of which one directory's values are larger is refused; set by hand.
    """

    max_value_bytes: int = 1 << 22
    max_block_bytes: int = 1 << 24


def update_for_export(data: bytes, width: int, height: int, thumbnail: bytes, *, keep_gps: bool) -> bytes:
    """Make a block describe a photo whose hole was filled and which was turned upright.

    The orientation becomes 1, the dimensions become those given, an embedded thumbnail is replaced. Pointers to
    further images are removed, and so is the GPS position unless it is kept. No tag is added.

    Args:
        data: The block, without the prefix "Exif\\0\\0".
        width: Width of the finished photo, pixels.
        height: Height of the finished photo, pixels.
        thumbnail: A small JPEG of the finished photo.
        keep_gps: Whether the position stays.

    Raises:
        BrokenTiffError: The block cannot be followed.
    """
    block = TiffBlock(bytearray(data))
    main = block.first_directory
    block.unpack("I", block.link_offset(main))
    block.set_number(main, _TAG.Orientation, 1)
    block.set_number(main, _WIDTH, width)
    block.set_number(main, _HEIGHT, height)
    for pointer in block.find(main, _IFD.Exif):
        block.set_number(block.number(pointer), _TAG.ExifImageWidth, width)
        block.set_number(block.number(pointer), _TAG.ExifImageHeight, height)
    _replace_thumbnail(block, main, thumbnail)
    if not keep_gps:
        _erase_gps(block, main)
    block.remove_tags(main, (_STORAGE | _CONTAINERS) - {_WIDTH, _HEIGHT})
    return bytes(block.data)


def extract_from_tiff(
    file: mmap, settings: ExifSettings = ExifSettings()
) -> tuple[bytes, bytes | None, bytes | None]:
    """Extract the metadata of a TIFF file.

    Args:
        file: The whole file.
        settings: Limits.

    Returns:
        A new EXIF block with the tags of the first directory, of the EXIF and of the GPS directory, without those for
        the storage of pixels; the XMP packet; the IPTC records. None for what the file does not have.

    Raises:
        BrokenTiffError: The first directory cannot be followed.
    """
    block = TiffBlock(file)
    main = block.first_directory
    packet, records = (
        next((block.value(entry) for entry in block.find(main, tag)), None) for tag in (_TAG.XMLPacket, _TAG.IPTCNAA)
    )
    header = bytes(file[:4]) + struct.pack(block.byte_order + "I", HEADER_SIZE)
    return header + _copy_directory(block, main, HEADER_SIZE, (_IFD.Exif, _IFD.GPSInfo), settings), packet, records


def _erase_gps(block: TiffBlock, main: int) -> None:
    """Overwrite the GPS directory with its values, and remove the pointer to it."""
    for pointer in block.find(main, _IFD.GPSInfo):
        directory = block.number(pointer)
        with suppress(BrokenTiffError):
            for entry in block.entries(directory):
                block.erase(entry.start, entry.size)
            block.erase(directory, block.link_offset(directory) - directory)
    block.remove_tags(main, [_IFD.GPSInfo])


def _replace_thumbnail(block: TiffBlock, main: int, thumbnail: bytes) -> None:
    """Replace the JPEG thumbnail of the second directory; unlink the directory if it has none, or if it does not fit.

    The new thumbnail takes the place of the previous one if it is not larger, otherwise the end of the block.
    """
    link = block.link_offset(main)
    second = block.unpack("I", link)[0]
    starts = block.find(second, _THUMBNAIL_START) if second else []
    sizes = block.find(second, _THUMBNAIL_SIZE) if second else []
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
    block.write(start, thumbnail)
    block.set_number(second, _THUMBNAIL_START, start)
    block.set_number(second, _THUMBNAIL_SIZE, len(thumbnail))
    block.set_number(second, _TAG.Orientation, 1)
    block.remove_tags(second, [_WIDTH, _HEIGHT])
    block.pack("I", block.link_offset(second), 0)


def _copy_directory(
    block: TiffBlock, directory: int, start: int, pointers: tuple[int, ...], settings: ExifSettings
) -> bytes:
    """Copy a directory, its values and the directories inside it to another place.

    Args:
        block: Where it is copied from.
        directory: Its offset there.
        start: Its offset in the copy.
        pointers: Tags that may point to directories inside this one.
        settings: Limits.
    """
    entries = [
        entry
        for entry in block.entries(directory)
        if entry.tag not in _STORAGE | _CONTAINERS and entry.size <= settings.max_value_bytes
    ]
    table = struct.pack(block.byte_order + "H", len(entries))
    values = b""
    for entry in entries:
        place = start + 2 + ENTRY_SIZE * len(entries) + 4 + len(values)
        value, data_type, count = block.value(entry), entry.data_type, entry.count
        if entry.tag in (_IFD.Exif, _IFD.GPSInfo, _IFD.Interop):
            if entry.tag not in pointers:
                raise BrokenTiffError("a directory lies inside one where it cannot be")
            inner = (_IFD.Interop,) if entry.tag == _IFD.Exif else ()
            values += _copy_directory(block, block.number(entry), place, inner, settings)
            value, data_type, count = struct.pack(block.byte_order + "I", place), DataType.LONG, 1
        elif len(value) > 4:
            values += value + bytes(len(value) % 2)
            value = struct.pack(block.byte_order + "I", place)
        if len(values) > settings.max_block_bytes:
            raise BrokenTiffError("the metadata is too large")
        table += struct.pack(block.byte_order + "HHI", entry.tag, data_type, count) + value.ljust(4, b"\0")
    return table + bytes(4) + values
