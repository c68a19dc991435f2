import mmap
import struct
from pathlib import Path

import pytest

from realfill.photo_io.exif_copy import ExifSettings, extract_from_tiff
from realfill.photo_io.tiff_block import BrokenTiffError, TiffBlock
from support.camera_photos import COFFEE, POSITION, camera_block, second_directory, small_jpeg

THUMBNAIL = small_jpeg(COFFEE)
MAIN = 8


def number(block: TiffBlock, directory: int, tag: int) -> int:
    (entry,) = block.find(directory, tag)
    return block.number(entry)


def extracted(path: Path, data: bytes, settings: ExifSettings = ExifSettings()) -> TiffBlock:
    path.write_bytes(data)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        about = extract_from_tiff(mapped, settings=settings)
    assert about.xmp == about.iptc == ()
    return TiffBlock(bytearray(about.exif))


def test_a_tiffs_directories_are_copied_with_their_values(tmp_path: Path) -> None:
    block = extracted(tmp_path / "a.tif", camera_block(THUMBNAIL))
    assert [entry.tag for entry in block.entries(MAIN)] == [0x010F, 0x0112, 0x0132, 0x8769, 0x8825]
    assert block.value(block.find(MAIN, 0x010F)[0]) == b"Canon\0"
    gps = number(block, MAIN, 0x8825)
    assert block.value(block.find(gps, 2)[0]) == POSITION
    assert second_directory(bytes(block.data)) == 0, "further images are not metadata"


def test_large_values_are_left_out_and_large_metadata_is_refused(tmp_path: Path) -> None:
    block = extracted(tmp_path / "a.tif", camera_block(), ExifSettings(max_value_bytes=19))
    assert block.find(MAIN, 0x0132) == []
    assert block.find(MAIN, 0x010F) != []
    with pytest.raises(BrokenTiffError, match="too large"):
        extracted(tmp_path / "b.tif", camera_block(), ExifSettings(max_block_bytes=19))


def test_directories_that_point_to_themselves_are_refused(tmp_path: Path) -> None:
    block = bytearray(camera_block())
    struct.pack_into("<HHII", block, 200 + 2, 0x8769, 4, 1, MAIN)
    with pytest.raises(BrokenTiffError, match="cannot be"):
        extracted(tmp_path / "a.tif", bytes(block))
