from pathlib import Path

import numpy as np
import pytest
import tifffile

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import read_photo
from realfill.photo_io.decode_raw import is_raw
from support.camera_photos import save_raw


def test_a_raw_file_is_developed_neutrally(tmp_path: Path, picture: Pixels) -> None:
    photo = read_photo(save_raw(tmp_path / "a.dng", picture))
    dark = read_photo(save_raw(tmp_path / "b.dng", picture // 2))
    assert (photo.format, photo.mode, photo.bits, photo.icc) == ("RAW", "rgb", 8, None)
    assert np.abs(photo.pixels.astype(int) - picture).mean() < 6  # of which the color filter array is most
    assert np.abs(photo.pixels.mean((0, 1)) - picture.mean((0, 1))).max() < 5
    assert np.abs(dark.pixels.mean((0, 1)) - (picture // 2).mean((0, 1))).max() < 3


def test_a_raw_file_that_is_too_large_or_damaged_is_refused(tmp_path: Path, picture: Pixels) -> None:
    path = save_raw(tmp_path / "a.dng", picture)
    with pytest.raises(PhotoError, match="160 x 120 pixels, more than"):
        read_photo(path, max_megapixels=0.01)
    tifffile.imwrite(tmp_path / "b.dng", picture[..., 0], photometric=32803)
    path.write_bytes(path.read_bytes()[:2000])
    for damaged in (tmp_path / "b.dng", path):
        with pytest.raises(PhotoError, match="LibRaw does not know|damaged"):
            read_photo(damaged)


@pytest.mark.parametrize(
    "header",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0",
        b"MMOR\0\0",
        b"IIU\0\x18\0",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        b"II*\0\x10\0\0\0CR\2\0",
    ],
)
def test_cameras_are_told_by_their_first_bytes(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(header + bytes(100))
    assert is_raw(header) and not is_raw(b"II*\0\x08\0\0\0" + bytes(56))
    with pytest.raises(PhotoError, match="LibRaw does not know|damaged"):
        read_photo(path)
