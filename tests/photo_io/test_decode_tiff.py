import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.photo_io.decode import read_photo
from realfill.photo_io.decode_tiff import is_supported_page
from support.camera_photos import ADOBE_RGB


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
        (np.zeros((20, 20), np.int16), "minisblack"),
        (np.zeros((20, 20), np.uint64), "minisblack"),
        (np.zeros((20, 20, 3), np.uint8), "cielab"),
        (np.zeros((20, 20, 9), np.uint8), "rgb"),
    ],
    ids=["signed", "64 bits", "lab", "9 channels"],
)
def test_other_kinds_of_pixels_are_not_supported(tmp_path: Path, samples: Pixels, photometric: str) -> None:
    planar = "contig" if samples.ndim == 3 else None
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric=photometric, planarconfig=planar)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert not is_supported_page(tiff.pages[0])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [10, 12, 14, 32])
def test_all_bits_of_integers_count(tmp_path: Path, picture: Pixels, bits: int, channels: int) -> None:
    full = 2**bits - 1
    samples = np.dstack([picture, picture[..., 0]])[..., :channels]  # black to white
    values = np.rint(samples * (full / 255)).astype(np.uint16 if bits <= 16 else np.uint32)
    write_packed(tmp_path / "a.tif", values, bits)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.bits == 16
    assert np.abs(photo.samples / 257 - samples).max() <= 127.5 / full + 0.01


def write_packed(path: Path, values: Pixels, bits: int) -> None:
    """Write samples [H, W, C] of any number of bits, each row packed."""
    height, width, channels = values.shape
    places = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    rows = (values.reshape(height, -1, 1).astype(np.uint32) >> places & 1).reshape(height, -1)
    data = np.packbits(rows.astype(np.uint8), axis=1).tobytes()
    tags = {
        256: width,
        257: height,
        259: 1,
        262: 2 if channels > 2 else 1,
        277: channels,
        278: height,
        279: len(data),
    }
    table = [struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items()]
    start = 8 + 2 + 12 * (len(table) + 2 + (channels == 4)) + 4
    per_channel = struct.pack(">4H", *[bits] * channels, *[0] * (4 - channels))
    table.append(
        struct.pack(">HHI", 258, 3, channels) + (per_channel[:4] if channels == 1 else struct.pack(">I", start))
    )
    table.append(struct.pack(">HHII", 273, 4, 1, start + 8))
    if channels == 4:
        table.append(struct.pack(">HHIHH", 338, 3, 1, 2, 0))
    directory = struct.pack(">H", len(table)) + b"".join(sorted(table)) + bytes(4)
    path.write_bytes(b"MM\0*" + struct.pack(">I", 8) + directory + per_channel + data)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}], ids=["plain", "predictor"])
def test_floating_point_is_black_to_white(
    tmp_path: Path, picture: Pixels, dtype: npt.DTypeLike, options: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (picture / 255).astype(dtype), photometric="rgb", **options)
    photo = read_photo(tmp_path / "a.tif")
    assert photo.bits == 16 and "taken for sRGB" in photo.warning
    assert np.abs(photo.pixels / 257 - picture).max() < 0.2
    tifffile.imwrite(tmp_path / "a.tif", (picture / 255).astype(dtype), photometric="rgb", iccprofile=ADOBE_RGB)
    assert read_photo(tmp_path / "a.tif").warning == ""


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, np.nan, np.inf])
def test_floating_point_of_no_clear_meaning_is_refused(tmp_path: Path, value: float) -> None:
    samples = np.full((20, 20, 3), 0.5, np.float32)
    samples[3, 4, 1] = value
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb")
    with pytest.raises(PhotoError, match="only 0 to 1, black to white, is read. Scale the values"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("old", [False, True], ids=["NewSubfileType", "SubfileType"])
@pytest.mark.parametrize("compression", [None, "palette"])
def test_thumbnails_masks_and_depth_maps_are_passed_over(
    tmp_path: Path, picture: Pixels, old: bool, compression: str | None
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        small = picture[::4, ::4]
        if old:
            tiff.write(small, photometric="rgb", extratags=[(255, "H", 1, 2, True)], metadata=None)
        else:
            tiff.write(small, photometric="rgb", subfiletype=1, metadata=None)
            tiff.write(small[..., 0] > 99, photometric="minisblack", subfiletype=4, metadata=None)
            tiff.write(small[..., 0], photometric="minisblack", subfiletype=8, metadata=None)
        if compression == "palette":  # decoded by another library
            colors = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, axis=0)
            tiff.write(picture[..., 0], photometric="palette", colormap=colors, metadata=None)
        else:
            tiff.write(picture, photometric="rgb", metadata=None)
    photo = read_photo(tmp_path / "a.tif")
    expected = picture if compression is None else np.repeat(picture[..., :1], 3, axis=2)
    assert np.array_equal(photo.pixels, expected) and photo.warning == ""


def test_a_page_inside_of_a_thumbnail_is_read_with_the_metadata_of_the_file(tmp_path: Path, picture: Pixels) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tags = [(274, "H", 1, 6, True)]
        small = picture[::4, ::4]
        tiff.write(small, photometric="rgb", subfiletype=1, subifds=2, extratags=tags, iccprofile=ADOBE_RGB)
        tiff.write(small, photometric="rgb", subfiletype=1, metadata=None)
        tiff.write(picture, photometric="rgb", metadata=None)
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, np.rot90(picture, -1))
    assert (photo.orientation, photo.icc) == (6, ADOBE_RGB)


def test_several_pages_are_told(tmp_path: Path, picture: Pixels) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in (picture, 255 - picture, picture[::2]):
            tiff.write(page, photometric="rgb", metadata=None)
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, picture)
    assert photo.warning == "It has 3 pages; the first is read."


@pytest.mark.parametrize("inside", [False, True])
def test_a_thumbnail_before_the_photo_is_told_by_its_size_alone(
    tmp_path: Path, picture: Pixels, inside: bool
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(picture[::3, ::3].copy(), photometric="rgb", subifds=int(inside))
        tiff.write(picture, photometric="rgb")
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, picture)
    assert "the largest is read, since the first looks like its thumbnail" in photo.warning


def test_a_smaller_page_of_another_shape_is_no_thumbnail(tmp_path: Path, picture: Pixels) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(picture[:40, :40].copy(), photometric="rgb")
        tiff.write(picture, photometric="rgb")
    photo = read_photo(tmp_path / "a.tif")
    assert (photo.width, photo.warning) == (40, "It has 2 pages; the first is read.")


@pytest.mark.parametrize("tag", [273, 279], ids=["StripOffsets", "StripByteCounts"])
def test_a_tiff_without_some_of_its_strips_is_damaged(tmp_path: Path, picture: Pixels, tag: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=30)
    with tifffile.TiffFile(path) as tiff:
        entry = tiff.pages[0].tags[tag]
        size = 2 if int(entry.dtype) == 3 else 4
        place = entry.valueoffset + 2 * size  # of the third strip
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    with pytest.raises(PhotoError, match="lacks parts"):
        read_photo(path)


def test_signed_colors_are_told_to_be_unsupported(tmp_path: Path, picture: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture.astype(np.int16), photometric="rgb")
    with pytest.raises(PhotoError, match="The kind of its pixels is not supported"):
        read_photo(tmp_path / "a.tif")
