"""EXIF blocks written anew: from TIFF and BigTIFF files, and without what is private."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap

from PIL import ExifTags

from realfill.photo_io.privacy import GEOTIFF_TAGS, Privacy
from realfill.photo_io.tiff_block import (
    BYTE_ORDERS,
    ENTRY_SIZE,
    HEADER_SIZE,
    BrokenTiffError,
    DataType,
    TagEntry,
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
COLOR_TAGS = frozenset({_TAG.TransferFunction, _TAG.WhitePoint, _TAG.PrimaryChromaticities, _TAG.Gamma})
_PAGE_TAGS = frozenset(  # true of the page that has them alone: resolution, colors, places of pixels
    {_TAG.XResolution, _TAG.YResolution, _TAG.ResolutionUnit, *GEOTIFF_TAGS, *COLOR_TAGS}
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
        exif: A new EXIF block with the tags of the page, of its EXIF and of its GPS directory, without those for the
            storage of pixels; and with what of these the first page alone has.
        xmp: The XMP packets: of the page, then of the first page.
        iptc: The IPTC records, likewise.
        resources: Photoshop's image resources, likewise.
    """

    exif: bytes
    xmp: tuple[bytes, ...]
    iptc: tuple[bytes, ...]
    resources: tuple[bytes, ...]


def extract_from_tiff(file: mmap, page: int | None = None, settings: ExifSettings = ExifSettings()) -> TiffMetadata:
    """Extract the metadata of a page of a TIFF or BigTIFF file.

    Captions and the like are often kept with the first page only, which may be a thumbnail.

    Args:
        file: The whole file.
        page: Offset of the page's directory; None for the first page.
        settings: Limits.

    Raises:
        BrokenTiffError: A directory cannot be followed.
    """
    block = open_tiff(file)
    first = block.first_directory
    directories = (first,) if page in (None, first) else (page or first, first)
    packets, records, resources = (
        tuple(block.value(entry) for directory in directories for entry in block.find(directory, tag)[:1])
        for tag in (_TAG.XMLPacket, _TAG.IPTCNAA, _TAG.ImageResources)
    )
    return TiffMetadata(copy_block(block, Privacy(), settings, directories), packets, records, resources)


def copy_block(
    block: TiffBlock, privacy: Privacy, settings: ExifSettings, directories: tuple[int, ...] | None = None
) -> bytes:
    """A new block with the tags of a directory and of those that it points to, as far as they are delivered.

    Args:
        block: Where they are copied from.
        privacy: What is delivered.
        settings: Limits.
        directories: Offsets of the directory, and of others that complete it; None for the first one alone.

    Raises:
        BrokenTiffError: The block cannot be followed, or its metadata is too large.
    """
    magic = next(magic for magic, order in BYTE_ORDERS.items() if order == block.byte_order)
    header = magic + struct.pack(block.byte_order + "I", HEADER_SIZE)
    copy = _DirectoryCopy(block, privacy, settings)
    return header + copy.copy(directories or (block.first_directory,), HEADER_SIZE, (_IFD.Exif, _IFD.GPSInfo))


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

    def copy(
        self, directories: tuple[int, ...], start: int, pointers: tuple[int, ...], *, is_gps: bool = False
    ) -> bytes:
        """Copy a directory, its values and the directories inside it to another place.

        Args:
            directories: Its offset, and those of others that complete it.
            start: Its offset in the copy.
            pointers: Tags that may point to directories inside this one.
            is_gps: Whether it is the GPS directory, whose tags have numbers of their own.
        """
        block, settings = self.block, self.settings
        limit = settings.max_value_bytes if self.privacy.keep_position else settings.max_searched_bytes
        entries = [
            entry
            for entry in self._merge(directories)
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
                places = tuple(
                    block.number(each) for place in directories for each in block.find(place, entry.tag)[:1]
                )
                is_position = entry.tag == _IFD.GPSInfo
                places = places[:1] if is_position else places  # two positions are not mixed
                values += self.copy(places, place, inner, is_gps=is_position)
                value, data_type, count = struct.pack(block.byte_order + "I", place), DataType.LONG, 1
            elif entry.tag == _TAG.XPKeywords and len(value) % 2 == 0:
                value = self.privacy.redact_keywords(value.decode("utf-16-le", "replace")).encode("utf-16-le")
                value = value[: entry.size].ljust(entry.size, b"\0")
            elif data_type in _TEXT_TYPES:
                value = self.privacy.redact_bytes(value)
            if len(value) > 4:
                values += value + bytes(len(value) % 2)
                value = struct.pack(block.byte_order + "I", place)
            if len(values) > settings.max_block_bytes:
                raise BrokenTiffError("the metadata is too large")
            table += struct.pack(block.byte_order + "HHI", entry.tag, data_type, count) + value.ljust(4, b"\0")
        return table + bytes(4) + values

    def _merge(self, directories: tuple[int, ...]) -> list[TagEntry]:
        """The tags of the first directory, and what it lacks of the others that is not of their page alone."""
        entries = self.block.entries(directories[0])
        for directory in directories[1:]:
            present = {entry.tag for entry in entries} | _PAGE_TAGS
            entries += [entry for entry in self.block.entries(directory) if entry.tag not in present]
        return sorted(entries, key=lambda entry: entry.tag) if directories[1:] else entries
