from pathlib import Path

import numpy as np
import pytest
import tifffile

from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import DecodeSettings, read_photo
from realfill.photo_io.decode_tiff import is_supported_page


def test_reads_planar_and_inverted_tiffs(tmp_path: Path, picture: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(picture, -1, 0), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "b.tif", 255 - picture[..., 0], photometric="miniswhite")
    assert np.array_equal(read_photo(tmp_path / "a.tif").pixels, picture)
    assert np.array_equal(read_photo(tmp_path / "b.tif").pixels[..., 0], picture[..., 0])


def test_divides_premultiplied_colors(tmp_path: Path) -> None:
    samples = np.full((20, 20, 4), (50, 25, 10, 128), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    photo = read_photo(tmp_path / "a.tif")
    assert photo.pixels[0, 0].tolist() == [100, 50, 20]
    assert photo.alpha is not None and photo.alpha[0, 0] == 128


def test_alpha_is_told_from_other_extra_channels(tmp_path: Path, picture: Pixels) -> None:
    samples = np.dstack([picture, picture[..., 0], picture[..., 1]])
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, picture)
    assert photo.alpha is not None and np.array_equal(photo.alpha, picture[..., 1])


@pytest.mark.parametrize(
    ("samples", "photometric"),
    [
        (np.zeros((20, 20, 3), np.float32), "rgb"),
        (np.zeros((20, 20), np.uint32), "minisblack"),
        (np.zeros((20, 20, 3), np.uint8), "cielab"),
        (np.zeros((20, 20, 9), np.uint8), "rgb"),
    ],
    ids=["float", "32 bits", "lab", "9 channels"],
)
def test_other_kinds_of_pixels_are_not_supported(tmp_path: Path, samples: Pixels, photometric: str) -> None:
    planar = "contig" if samples.ndim == 3 else None
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric=photometric, planarconfig=planar)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert not is_supported_page(tiff.pages[0], DecodeSettings().max_tiff_channels)
