import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from realfill.core.errors import ExportError
from realfill.photo_io.decode import read_photo
from realfill.photo_io.encode import encode
from realfill.photo_io.encode_tiff import TiffEncodeSettings, encode_tiff
from realfill.photo_io.metadata import Metadata
from realfill.photo_io.metadata_update import Delivery, update_for_export
from realfill.photo_io.reframing import Reframing
from support.camera_photos import (
    COFFEE,
    DEEP,
    SECRET,
    Tag,
    camera_block,
    directory,
    make_photo,
    read_exif_block,
    short,
)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_maker_notes_stay_where_their_offsets_point(suffix: str, tmp_path: Path) -> None:
    about = update_for_export(Metadata(exif=camera_block()), Delivery(Reframing(240, 160)), Path("photo"))
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(encode(make_photo(COFFEE), "JPEG" if suffix == ".jpg" else "TIFF", about, 96))
    block = path.read_bytes() if suffix == ".tif" else read_exif_block(path)
    with Image.open(path) as image:
        note = image.getexif().get_ifd(0x8769)[0x927C]
    (place,) = struct.unpack("<I", note[4:])
    assert block[place : place + len(SECRET)] == SECRET


@pytest.mark.parametrize("rows_per_strip", [1, 7, 160, 1000])
def test_the_pixels_do_not_depend_on_the_strips(rows_per_strip: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    settings = TiffEncodeSettings(rows_per_strip=rows_per_strip)
    path.write_bytes(encode_tiff(make_photo(DEEP), Metadata(), settings))
    assert np.array_equal(read_photo(path).pixels, DEEP)
    assert np.array_equal(tifffile.imread(path), DEEP)


def test_a_big_endian_block_makes_a_big_endian_file() -> None:
    maker = struct.pack(">HHHI", 1, 0x010F, 2, 6) + struct.pack(">I", 26) + bytes(4) + b"Nikon\0"
    data = encode_tiff(make_photo(DEEP), Metadata(exif=b"MM\0*" + struct.pack(">I", 8) + maker))
    assert data.startswith(b"MM\0*")
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x010F] == "Nikon"
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), DEEP)


def test_a_resolution_that_is_no_number_is_left_out() -> None:
    tags = [Tag(282, 2, 4, b"no.\0"), short(296, 2)]
    data = encode_tiff(make_photo(COFFEE), Metadata(exif=b"II*\0" + struct.pack("<I", 8) + directory(8, tags)))
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        assert 282 not in tiff.pages[0].tags
        assert tiff.pages[0].tags[296].value == 2


def test_a_photo_too_large_for_a_tiff_is_refused() -> None:
    with pytest.raises(ExportError, match=r"too large.*png"):
        encode_tiff(make_photo(COFFEE), Metadata(), TiffEncodeSettings(max_pixel_bytes=10_000))
