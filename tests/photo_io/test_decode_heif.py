from pathlib import Path

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image

from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import profile_name, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import scale_bits
from support.camera_photos import ADOBE_RGB

RAMP = np.repeat(np.linspace(0, 1, 160)[None, :, None], 120, axis=0).repeat(3, axis=2)  # black to white


def save_heic(path: Path, samples: Pixels, **options: object) -> Path:
    mode = "RGB;16" if samples.dtype == np.uint16 else "RGB"
    size = samples.shape[1], samples.shape[0]
    pillow_heif.from_bytes(mode, size, samples.tobytes()).save(path, quality=-1, chroma=444, **options)
    return path


def test_a_heic_keeps_its_bits(tmp_path: Path) -> None:
    deep = np.rint(RAMP * 65535).astype(np.uint16)
    photo = read_photo(save_heic(tmp_path / "a.heic", deep, bit_depth=10))
    assert (photo.format, photo.bits) == ("HEIF", 16)
    assert photo.pixels[0, 0].tolist() == [0, 0, 0] and photo.pixels[0, -1].tolist() == [65535] * 3
    assert np.abs(photo.pixels / 65535 - RAMP).max() < 0.003


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_avif_keeps_its_bits(tmp_path: Path, bits: int, channels: int) -> None:
    ramp = np.dstack([RAMP, RAMP[..., :1]])[..., :channels]
    samples = np.rint(ramp * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    data = imagecodecs.avif_encode(samples if channels > 1 else samples[..., 0], level=100, bitspersample=bits)
    (tmp_path / "a.avif").write_bytes(data)
    photo = read_photo(tmp_path / "a.avif")
    assert (photo.format, photo.bits) == ("AVIF", 8 if bits == 8 else 16)
    assert np.array_equal(photo.samples[..., -1], scale_bits(samples, bits)[..., -1])


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_an_avif_is_turned_once(tmp_path: Path, picture: Pixels, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif.tobytes())
    Image.fromarray(picture).save(tmp_path / "a.avif", quality=95, exif=exif.tobytes())
    upright = to_srgb(read_photo(tmp_path / "a.png"))
    assert np.abs(to_srgb(read_photo(tmp_path / "a.avif")).astype(int) - upright).mean() < 4


def test_an_avif_with_the_brand_of_heif_is_read(tmp_path: Path, picture: Pixels) -> None:
    Image.fromarray(picture).save(tmp_path / "a.avif")
    data = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(data[:8] + b"mif1" + data[12:])
    assert read_photo(tmp_path / "a.avif").format == "AVIF"


@pytest.mark.parametrize(("primaries", "name"), [(1, ""), (9, "BT.2020"), (12, "Display P3")])
def test_nclx_tells_the_colors(tmp_path: Path, picture: Pixels, primaries: int, name: str) -> None:
    heic = save_heic(tmp_path / "a.heic", picture, color_primaries=primaries, transfer_characteristics=13)
    (tmp_path / "a.avif").write_bytes(
        imagecodecs.avif_encode(picture, level=95, primaries=primaries, transfer=13, matrix=6)
    )
    photos = [read_photo(heic), read_photo(tmp_path / "a.avif")]
    assert [profile_name(photo) for photo in photos] == [name, name]
    assert np.abs(to_srgb(photos[0]).astype(int) - to_srgb(photos[1])).mean() < 4


@pytest.mark.parametrize(("transfer", "kind"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_told(tmp_path: Path, transfer: int, kind: str) -> None:
    deep = np.rint(RAMP * 65535).astype(np.uint16)
    codes = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    photo = read_photo(save_heic(tmp_path / "a.heic", deep, bit_depth=10, **codes))
    assert f"({kind})" in photo.warning and profile_name(photo) == "BT.2020"


def test_a_profile_counts_more_than_nclx(tmp_path: Path, picture: Pixels) -> None:
    path = save_heic(tmp_path / "a.heic", picture, color_primaries=9, icc_profile=ADOBE_RGB)
    assert read_photo(path).icc == ADOBE_RGB
