import struct

import pytest

from realfill.photo_io.tiff_block import BrokenTiffError, TiffBlock
from support.camera_photos import POSITION, camera_block

MAIN = 8


def make_block() -> TiffBlock:
    return TiffBlock(bytearray(camera_block()))


def tags_of(block: TiffBlock, directory: int) -> list[int]:
    return [entry.tag for entry in block.entries(directory)]


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"PK\3\4" + bytes(20)])
def test_bytes_without_a_header_are_no_block(data: bytes) -> None:
    with pytest.raises(BrokenTiffError, match="no TIFF header"):
        TiffBlock(bytearray(data))


def test_the_tags_of_a_directory_are_listed_with_their_values() -> None:
    block = make_block()
    assert block.first_directory == MAIN
    assert tags_of(block, MAIN) == [0x010F, 0x0112, 0x0132, 0x8769, 0x8825]
    maker, orientation, *_, gps = block.entries(MAIN)
    assert block.value(maker) == b"Canon\0"
    assert block.number(orientation) == 6
    assert block.value(block.find(block.number(gps), 2)[0]) == POSITION


def test_both_byte_orders_are_read() -> None:
    directory = struct.pack(">HHHIHH", 1, 0x0112, 3, 1, 8, 0) + bytes(4)
    block = TiffBlock(bytearray(b"MM\0*" + struct.pack(">I", 8) + directory))
    assert block.number(block.entries(8)[0]) == 8
    block.set_number(8, 0x0112, 1)
    assert block.data[18:20] == b"\0\1"


def test_tags_whose_values_lie_outside_are_left_out() -> None:
    block = make_block()
    block.pack("I", MAIN + 2 + 8, 1 << 20)
    assert 0x010F not in tags_of(block, MAIN)


def test_an_offset_outside_the_block_is_an_error() -> None:
    block = make_block()
    for offset in (-1, len(block.data) - 1, 1 << 30):
        with pytest.raises(BrokenTiffError, match="outside"):
            block.unpack("H", offset)


def test_a_number_replaces_a_tag_that_is_present_and_adds_none() -> None:
    block = make_block()
    block.set_number(MAIN, 0x0112, 1)
    block.set_number(MAIN, 0x0100, 240)
    assert block.number(block.find(MAIN, 0x0112)[0]) == 1
    assert block.find(MAIN, 0x0100) == []


def test_removed_tags_leave_the_others_and_the_link_in_order() -> None:
    block = TiffBlock(bytearray(camera_block(b"thumbnail")))
    second = block.unpack("I", block.link_offset(MAIN))
    before = len(block.data)
    block.remove_tags(MAIN, [0x010F, 0x8769, 0x9999])
    assert tags_of(block, MAIN) == [0x0112, 0x0132, 0x8825]
    assert block.unpack("I", block.link_offset(MAIN)) == second
    assert len(block.data) == before


def test_bytes_are_written_and_erased_in_place_and_the_block_grows_at_its_end() -> None:
    block = make_block()
    end = len(block.data)
    block.write(end + 3, b"more")
    assert block.data[end:] == b"\0\0\0more"
    block.erase(end + 4, 100)
    assert block.data[end:] == b"\0\0\0m\0\0\0"
    with pytest.raises(BrokenTiffError, match="header"):
        block.erase(4, 2)
