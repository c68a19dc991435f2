import io
import logging
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from realfill.core.errors import ExportError
from realfill.photo_io import metadata
from realfill.photo_io.cicp import make_profile
from realfill.photo_io.decode import read_photo
from realfill.photo_io.encode import SUFFIXES, EncodeSettings, encode
from realfill.photo_io.exif import JPEG_LIMIT
from realfill.photo_io.metadata import Metadata
from realfill.photo_io.metadata_update import Delivery, update_for_export
from realfill.photo_io.photo import Photo, to_8_bits
from realfill.photo_io.reframing import Reframing
from support.camera_photos import COFFEE, DEEP, KEYWORD, PACKET, SRGB, camera_block, make_photo

ABOUT = update_for_export(
    Metadata(exif=camera_block(), xmp=PACKET, iptc=KEYWORD, dpi=(300, 200)),
    Delivery(Reframing(240, 160)),
    Path("photo"),
)
ALPHA = np.tile(np.arange(240, dtype=np.uint16) * 273, (160, 1))


def written(
    folder: Path, photo: Photo, file_format: str, about: Metadata = Metadata(), *, lossless: bool = False
) -> Photo:
    path = folder / f"photo{SUFFIXES[file_format]}"
    path.write_bytes(encode(photo, file_format, about, 96, lossless=lossless))
    return read_photo(path)


@pytest.mark.parametrize("file_format", SUFFIXES)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("is_gray", [False, True])
def test_every_format_keeps_what_it_can_hold(
    file_format: str, deep: bool, has_alpha: bool, is_gray: bool, tmp_path: Path
) -> None:
    pixels, alpha = (DEEP, ALPHA) if deep else (COFFEE, to_8_bits(ALPHA))
    photo = make_photo(
        pixels[..., :1] if is_gray else pixels, alpha if has_alpha else None, None if is_gray else SRGB
    )
    read = written(tmp_path, photo, file_format, ABOUT)
    keeps_depth = file_format in ("PNG", "TIFF")
    expected = photo.pixels if keeps_depth else to_8_bits(photo.pixels)
    assert read.format == file_format
    assert read.pixels.dtype == expected.dtype
    assert read.icc == photo.icc
    assert (read.alpha is not None) == (has_alpha and file_format != "JPEG")
    if keeps_depth:
        assert np.array_equal(read.samples, photo.samples)
    else:
        assert np.abs(read.pixels.astype(int) - expected).mean() < 2.5


@pytest.mark.parametrize("file_format", SUFFIXES)
def test_the_same_photo_gives_the_same_bytes(file_format: str) -> None:
    photo = make_photo(COFFEE, icc=SRGB)
    assert encode(photo, file_format, ABOUT, 96) == encode(photo, file_format, ABOUT, 96)


@pytest.mark.parametrize("file_format", SUFFIXES)
def test_metadata_is_written(file_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo{SUFFIXES[file_format]}"
    path.write_bytes(encode(make_photo(COFFEE), file_format, ABOUT, 96))
    about = metadata.read(path)
    assert about.xmp == ABOUT.xmp
    with Image.open(path) as image:
        assert image.getexif()[0x010F] == "Canon"
        assert image.getexif().get_ifd(0x8825)[2] == (48, 8, 14)
    assert about.iptc == (KEYWORD if file_format in ("JPEG", "TIFF") else None)
    if file_format in ("JPEG", "PNG"):
        assert about.dpi == pytest.approx((300, 200), abs=0.1)


def test_a_lossless_webp_keeps_every_pixel(tmp_path: Path) -> None:
    clear = make_photo(COFFEE, to_8_bits(ALPHA))
    read = written(tmp_path, clear, "WEBP", lossless=True)
    assert np.array_equal(read.samples, clear.samples), "also where the photo is transparent"


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_ink_stays_ink(file_format: str, tmp_path: Path) -> None:
    ink = make_photo(np.dstack([255 - COFFEE, np.zeros_like(COFFEE[..., 0])]))
    read = written(tmp_path, ink, file_format)
    assert read.mode == "cmyk"
    assert np.abs(read.pixels.astype(int) - ink.pixels).mean() < 2.5


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "HEIF"])
def test_a_format_that_cannot_hold_ink_is_refused(file_format: str) -> None:
    with pytest.raises(ExportError, match=rf"{file_format} cannot hold CMYK.*jpeg or tiff"):
        encode(make_photo(np.zeros((9, 9, 4), np.uint8)), file_format, Metadata(), 96)


def test_a_format_that_is_not_known_is_refused() -> None:
    with pytest.raises(ExportError, match="GIF cannot be written"):
        encode(make_photo(COFFEE), "GIF", Metadata(), 96)


def test_a_jpeg_is_never_subsampled() -> None:
    with Image.open(io.BytesIO(encode(make_photo(COFFEE), "JPEG", Metadata(), 96))) as image:
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}  # type: ignore[attr-defined]


def test_heic_without_an_encoder_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif, "libheif_info", lambda: {"HEIF": ""})
    with pytest.raises(ExportError, match=r"export\.format"):
        encode(make_photo(COFFEE), "HEIF", Metadata(), 96)


@pytest.mark.parametrize(
    ("about", "part"),
    [
        (Metadata(exif=camera_block() + bytes(JPEG_LIMIT)), "EXIF"),
        (Metadata(xmp=PACKET.replace(b'r:about=""', b'r:about="' + b"x" * 70_000 + b'"')), "XMP"),
    ],
    ids=["exif", "xmp"],
)
def test_metadata_too_long_for_a_jpeg_is_left_out_with_a_warning(
    about: Metadata, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = encode(make_photo(COFFEE), "JPEG", about, 96)
    assert f"The {part} data is too long for a JPEG and was left out." in caplog.text
    assert len(data) < 60_000


def test_a_png_is_as_small_as_the_settings_say() -> None:
    photo = make_photo(COFFEE)
    quick, small = (
        encode(photo, "PNG", Metadata(), 96, settings=EncodeSettings(png_level=level)) for level in (1, 9)
    )
    assert len(small) < len(quick)


@pytest.mark.parametrize("file_format", ["PNG", "AVIF", "HEIF"])
@pytest.mark.parametrize("icc", [None, make_profile(12)])
def test_colors_are_told_once(file_format: str, icc: bytes | None) -> None:
    told = Metadata(colors=((b"gAMA", struct.pack(">I", 45455)), (b"cICP", bytes([1, 13, 0, 1]))))
    data = encode(make_photo(COFFEE, icc=icc), file_format, told, 96)
    if file_format == "PNG":
        assert (b"gAMA" in data, b"cICP" in data, b"iCCP" in data) == (icc is None, icc is None, icc is not None)
        return
    codes = [data[place + 8 : place + 12] for place in range(len(data)) if data[place : place + 8] == b"colrnclx"]
    unspecified, srgb = bytes([0, 2, 0, 2]), bytes([0, 1, 0, 13])
    assert all(code == (srgb if icc is None else unspecified) for code in codes)
