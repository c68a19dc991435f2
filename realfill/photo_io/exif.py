"""EXIF blocks (CIPA DC-008): updated for the finished photo, its thumbnail included."""

from __future__ import annotations

from PIL import ExifTags

from realfill.photo_io.exif_copy import (
    COLOR_TAGS,
    CONTAINER_TAGS,
    STORAGE_TAGS,
    ExifSettings,
    append_thumbnail,
    copy_block,
)
from realfill.photo_io.privacy import GEOTIFF_TAGS, Privacy
from realfill.photo_io.reframing import Box, Reframing
from realfill.photo_io.tiff_block import DataType, TagEntry, TiffBlock

JPEG_LIMIT = 65_527  # bytes that fit into the one EXIF segment of a JPEG: 65,533 without the prefix "Exif\0\0"
_TAG, _IFD = ExifTags.Base, ExifTags.IFD
_WIDTH, _HEIGHT = _TAG.ImageWidth, _TAG.ImageLength
_THUMBNAIL_START, _THUMBNAIL_SIZE = _TAG.JpegIFOffset, _TAG.JpegIFByteCount
_SUBJECT_AREA = 0x9214
_GENERAL_COMPOSITE = 2  # tag CompositeImage: composed of several pictures, not by the camera while shooting
_SRGB, _UNCALIBRATED = 1, 0xFFFF  # tag ColorSpace
_CAPTURES_OF_COMPOSITE = frozenset({_TAG.CompositeImageCount, _TAG.CompositeImageExposureTimes})


def update_for_export(
    data: bytes,
    reframing: Reframing,
    thumbnail: bytes,
    privacy: Privacy = Privacy(),
    *,
    is_srgb: bool | None = None,
) -> bytes:
    """Make a block describe a photo whose hole was filled and which was turned upright.

    The orientation becomes 1, the dimensions become those of the finished photo, an embedded thumbnail is replaced,
    the area of the subject goes where the subject is. Pointers to further images are removed, and what is private. No
    tag is added. Where all is kept the block is edited in place, byte for byte; otherwise it is written anew, so that
    nothing is left between its tags.

    Args:
        data: The block, without the prefix "Exif\\0\\0".
        reframing: How the stored picture became the finished one.
        thumbnail: A small JPEG of the finished photo.
        privacy: What is delivered.
        is_srgb: Whether the photo's ICC profile, which tells its colors alone, is that of sRGB; None without one.

    Raises:
        BrokenTiffError: The block cannot be followed.
    """
    block = TiffBlock(bytearray(data))
    main = block.first_directory
    block.unpack("I", block.link_offset(main))
    if privacy.keeps_all:
        _replace_thumbnail(block, main, thumbnail)
    else:
        has_thumbnail = _find_thumbnail(block, main) is not None
        block = TiffBlock(bytearray(copy_block(block, privacy, ExifSettings())))
        main = block.first_directory
        if has_thumbnail and len(block.data) + len(thumbnail) < JPEG_LIMIT:
            append_thumbnail(block, main, thumbnail)
    block.set_number(main, _TAG.Orientation, 1)
    block.set_number(main, _WIDTH, reframing.width)
    block.set_number(main, _HEIGHT, reframing.height)
    for pointer in block.find(main, _IFD.Exif):
        _update_details(block, block.number(pointer), reframing, is_srgb)
    outdated: frozenset[int] = (STORAGE_TAGS | CONTAINER_TAGS) - {_WIDTH, _HEIGHT}
    outdated |= frozenset() if reframing.is_identity else GEOTIFF_TAGS
    outdated |= frozenset() if is_srgb is None else COLOR_TAGS
    block.remove_tags(main, outdated)
    return bytes(block.data)


def _update_details(block: TiffBlock, details: int, reframing: Reframing, is_srgb: bool | None) -> None:
    """Update the EXIF directory."""
    block.set_number(details, _TAG.ExifImageWidth, reframing.width)
    block.set_number(details, _TAG.ExifImageHeight, reframing.height)
    for entry in block.find(details, _TAG.CompositeImage):
        block.pack("HIHH", entry.offset + 2, DataType.SHORT, 1, _GENERAL_COMPOSITE, 0)
    outdated: set[int] = set(_CAPTURES_OF_COMPOSITE)
    if is_srgb is not None:
        outdated |= COLOR_TAGS
        if not is_srgb and any(block.number(entry) == _SRGB for entry in block.find(details, _TAG.ColorSpace)):
            block.set_number(details, _TAG.ColorSpace, _UNCALIBRATED)
    if not reframing.is_identity:
        for tag in (_SUBJECT_AREA, _TAG.SubjectLocation):
            for entry in block.find(details, tag):
                if not _move_subject(block, entry, reframing):
                    outdated.add(tag)
    block.remove_tags(details, outdated)


def _move_subject(block: TiffBlock, entry: TagEntry, reframing: Reframing) -> bool:
    """Move the area of a subject in a tag, see `move_subject`; whether it could be."""
    if entry.data_type != DataType.SHORT or entry.count not in (2, 3, 4):
        return False
    values = block.unpack(f"{entry.count}H", entry.start)
    moved = move_subject(values, reframing)
    block.pack(f"{entry.count}H", entry.start, *(max(0, min(65_535, round(value))) for value in moved))
    return True


def move_subject(values: tuple[float, ...], reframing: Reframing) -> list[float]:
    """Move the area of a subject.

    Args:
        values: Center, and diameter or width and height, or neither: pixels of the stored picture.
        reframing: How the stored picture became the finished one.

    Returns:
        As many values, pixels of the finished photo.
    """
    width, height = reframing.stored_size
    x, y, *size = values
    across, down = (size * 2)[:2] if size else (0.0, 0.0)
    box: Box = (
        (x - across / 2) / width,
        (y - down / 2) / height,
        (x + across / 2) / width,
        (y + down / 2) / height,
    )
    left, top, right, bottom = reframing.move(box)
    left, right = left * reframing.width, right * reframing.width
    top, bottom = top * reframing.height, bottom * reframing.height
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top][: len(values)]


def _find_thumbnail(block: TiffBlock, main: int) -> tuple[TagEntry, TagEntry] | None:
    """The tags with offset and size of the JPEG thumbnail of the second directory."""
    second = block.unpack("I", block.link_offset(main))[0]
    starts = block.find(second, _THUMBNAIL_START) if second else []
    sizes = block.find(second, _THUMBNAIL_SIZE) if second else []
    return (starts[0], sizes[0]) if starts and sizes else None


def _replace_thumbnail(block: TiffBlock, main: int, thumbnail: bytes) -> None:
    """Replace the JPEG thumbnail of the second directory; unlink the directory if it has none, or if it does not fit.

    The new thumbnail takes the place of the previous one if it is not larger, otherwise the end of the block.
    """
    link, tags = block.link_offset(main), _find_thumbnail(block, main)
    if tags is None:
        block.pack("I", link, 0)
        return
    second = block.unpack("I", link)[0]
    start, size = (block.number(tag) for tag in tags)
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
