import struct

import pytest

from realfill.photo_io.exif import update_for_export
from realfill.photo_io.privacy import Privacy
from realfill.photo_io.reframing import Reframing
from realfill.photo_io.tiff_block import BrokenTiffError, TiffBlock
from support.camera_photos import (
    COFFEE,
    POSITION,
    SECRET,
    Tag,
    camera_block,
    directory,
    long,
    second_directory,
    short,
    small_jpeg,
)

THUMBNAIL = small_jpeg(COFFEE)
MAIN = 8
FRAME = Reframing(640, 480)


def updated(
    block: bytes, thumbnail: bytes = b"", privacy: Privacy = Privacy(), reframing: Reframing = FRAME
) -> TiffBlock:
    return TiffBlock(bytearray(update_for_export(block, reframing, thumbnail, privacy)))


def number(block: TiffBlock, directory: int, tag: int) -> int:
    (entry,) = block.find(directory, tag)
    return block.number(entry)


def test_orientation_and_dimensions_become_those_of_the_finished_photo() -> None:
    block = updated(camera_block())
    details = number(block, MAIN, 0x8769)
    assert number(block, MAIN, 0x0112) == 1
    assert (number(block, details, 0xA002), number(block, details, 0xA003)) == (640, 480)


def test_what_is_kept_stays_where_it_was() -> None:
    block = updated(camera_block())
    assert block.data[700 : 700 + len(SECRET)] == SECRET
    assert POSITION in block.data


def test_a_position_is_erased_with_its_directory() -> None:
    block = updated(camera_block(), privacy=Privacy(keep_position=False))
    assert POSITION not in block.data
    assert block.find(MAIN, 0x8825) == []


@pytest.mark.parametrize("size", [len(THUMBNAIL), len(THUMBNAIL) - 100, len(THUMBNAIL) + 1000])
def test_the_thumbnail_is_replaced_where_it_was_or_at_the_end(size: int) -> None:
    replacement = bytes(range(1, 256)) * (size // 255) + bytes(size % 255)
    block = updated(camera_block(THUMBNAIL), replacement)
    second = second_directory(bytes(block.data))
    start, length = number(block, second, 0x0201), number(block, second, 0x0202)
    assert bytes(block.data[start : start + length]) == replacement
    assert (start == 800) == (size <= len(THUMBNAIL))
    assert THUMBNAIL[200:300] not in block.data


def test_a_thumbnail_that_would_not_fit_is_dropped() -> None:
    block = camera_block(THUMBNAIL) + bytes(64_000)
    dropped = updated(block, bytes(9_000))
    assert second_directory(bytes(dropped.data)) == 0
    assert len(dropped.data) == len(block)


def test_a_block_without_a_thumbnail_gets_none() -> None:
    block = camera_block()
    assert len(updated(block, THUMBNAIL).data) == len(block)


@pytest.mark.parametrize("block", [b"", b"nonsense, and more of it", camera_block()[:60]])
def test_a_block_that_cannot_be_followed_is_an_error(block: bytes) -> None:
    with pytest.raises(BrokenTiffError):
        update_for_export(block, FRAME, b"")


def with_details(*tags: Tag) -> bytes:
    """A block with these tags alone in its EXIF directory."""
    return b"II*\0" + struct.pack("<I", 8) + directory(8, [long(0x8769, 26)]) + directory(26, list(tags))


def test_the_area_of_the_subject_goes_where_the_subject_is() -> None:
    data = with_details(Tag(0x9214, 3, 4, struct.pack("<4H", 30, 40, 10, 20)))
    block = updated(data, reframing=Reframing(640, 480, 6))
    (entry,) = block.find(26, 0x9214)
    assert block.unpack("4H", entry.start) == (640 - 40, 30, 20, 10)
    text = with_details(Tag(0x9214, 2, 6, b"center"))
    assert updated(text, reframing=Reframing(640, 480, 6)).find(26, 0x9214) == []
    assert updated(text).find(26, 0x9214) != []


def test_a_composite_that_the_camera_made_is_a_general_one_now() -> None:
    block = updated(with_details(short(0xA460, 3), Tag(0xA461, 3, 2, struct.pack("<2H", 5, 5))))
    assert number(block, 26, 0xA460) == 2
    assert block.find(26, 0xA461) == []


def test_a_block_without_what_is_private_has_a_thumbnail_of_the_finished_photo() -> None:
    block = updated(camera_block(THUMBNAIL), b"finished", Privacy(keep_identity=False))
    second = block.unpack("I", block.link_offset(MAIN))[0]
    start, size = number(block, second, 0x0201), number(block, second, 0x0202)
    assert bytes(block.data[start : start + size]) == b"finished"
    assert THUMBNAIL[200:300] not in block.data
    assert SECRET not in block.data
    assert POSITION in block.data


WHITE_POINT, TRANSFER_FUNCTION, GAMMA, COLOR_SPACE = 318, 301, 0xA500, 0xA001


def colors_block(color_space: int) -> bytes:
    main = [Tag(WHITE_POINT, 5, 2, bytes(16)), Tag(TRANSFER_FUNCTION, 3, 4, bytes(8)), long(0x8769, 200)]
    details = [Tag(GAMMA, 5, 1, bytes(8)), short(COLOR_SPACE, color_space)]
    head = b"II*\0" + struct.pack("<I", MAIN) + directory(MAIN, main)
    return head.ljust(200, b"\0") + directory(200, details)


@pytest.mark.parametrize(("is_srgb", "told", "delivered"), [(True, 1, 1), (False, 1, 0xFFFF), (False, 2, 2)])
def test_tags_do_not_contradict_a_profile(is_srgb: bool, told: int, delivered: int) -> None:
    block = TiffBlock(bytearray(update_for_export(colors_block(told), FRAME, b"", is_srgb=is_srgb)))
    details = number(block, MAIN, 0x8769)
    assert number(block, details, COLOR_SPACE) == delivered
    assert not any(block.find(MAIN, tag) for tag in (WHITE_POINT, TRANSFER_FUNCTION))
    assert not block.find(details, GAMMA)


def test_without_a_profile_tags_tell_the_colors_as_before() -> None:
    block = updated(colors_block(1))
    details = number(block, MAIN, 0x8769)
    assert block.find(MAIN, WHITE_POINT) and block.find(MAIN, TRANSFER_FUNCTION) and block.find(details, GAMMA)
    assert number(block, details, COLOR_SPACE) == 1
