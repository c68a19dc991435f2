import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from realfill.photo_io.cicp import make_profile
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.photo import Photo
from realfill.photo_io.png_chunks import pack_chunk
from realfill.photo_io.png_colors import keep_true_chunks


def read_png_with(tmp_path: Path, *chunks: tuple[bytes, bytes], value: tuple[int, ...]) -> Photo:
    """A PNG of one color, or gray, whose chunks tell what it means; read as photos are."""
    data = bytes(imagecodecs.png_encode(np.full((8, 8, len(value)), value, np.uint8)))
    told = b"".join(pack_chunk(*chunk) for chunk in chunks)
    path = tmp_path / "photo.png"
    path.write_bytes(data[:33] + told + data[33:])
    return read_photo(path)


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)  # white, red, green, blue; of Display P3
SRGB = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def test_gamma_and_primaries_of_a_png_are_heeded(tmp_path: Path) -> None:
    linear = read_png_with(tmp_path, (b"gAMA", numbers(100_000)), value=(55, 55, 55))
    assert np.abs(to_srgb(linear).astype(int) - 128).max() <= 1
    told = read_png_with(tmp_path, (b"gAMA", numbers(45455)), (b"cHRM", numbers(*P3)), value=(200, 60, 40))
    named = Photo(told.pixels, None, make_profile(12), "PNG", 1)
    assert np.abs(to_srgb(told).astype(int) - to_srgb(named)).max() <= 1
    assert np.abs(to_srgb(told).astype(int) - told.pixels).max() > 10


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", numbers(45455))],
        [(b"gAMA", numbers(45455)), (b"cHRM", numbers(*SRGB))],
        [(b"gAMA", numbers(100_000)), (b"sRGB", b"\0")],
    ],
)
def test_what_a_png_tells_of_srgb_is_srgb(tmp_path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    photo = read_png_with(tmp_path, *chunks, value=(200, 60, 40))
    assert (photo.icc, photo.warning) == (None, "")


@pytest.mark.parametrize(
    "chunk",
    [
        (b"gAMA", numbers(1)),
        (b"gAMA", numbers(2**31)),
        (b"cHRM", numbers(*[0] * 8)),
        (b"cHRM", numbers(31270, 0, *P3[2:])),
        (b"cHRM", numbers(*[30000] * 8)),
    ],
)
def test_colors_of_a_png_that_make_no_sense_are_told(tmp_path: Path, chunk: tuple[bytes, bytes]) -> None:
    photo = read_png_with(tmp_path, chunk, value=(200, 60, 40))
    assert photo.icc is None
    assert "sRGB is assumed" in photo.warning


def test_a_linear_gray_png_is_read_as_linear(tmp_path: Path) -> None:
    linear = read_png_with(tmp_path, (b"gAMA", numbers(100_000)), value=(55,))
    assert np.abs(to_srgb(linear).astype(int) - 128).max() <= 1
    assert read_png_with(tmp_path, (b"gAMA", numbers(45455)), (b"cHRM", numbers(*P3)), value=(55,)).icc is None


SAYS_SRGB = ((b"sRGB", b"\0"), (b"gAMA", numbers(45455)), (b"cHRM", numbers(*SRGB)), (b"cICP", bytes([1, 13, 0, 1])))


def test_chunks_beside_a_profile_are_not_delivered() -> None:
    assert keep_true_chunks(SAYS_SRGB, has_profile=True) == ()


def test_only_chunks_that_say_srgb_are_delivered_without_a_profile() -> None:
    untrue = (
        (b"gAMA", numbers(100_000)),
        (b"gAMA", b"\0"),
        (b"cHRM", numbers(*P3)),
        (b"cHRM", b""),
        (b"cICP", bytes([9, 16, 0, 1])),  # high dynamic range, which was mapped
        (b"cICP", bytes([12, 13, 0, 1])),
        (b"cICP", b"\1"),
    )
    assert keep_true_chunks((*untrue, *SAYS_SRGB), has_profile=False) == SAYS_SRGB


def test_unspecified_code_points_leave_the_word_to_the_profile(tmp_path: Path) -> None:
    chunks = ((b"cICP", bytes([2, 2, 0, 1])), (b"gAMA", numbers(100_000)))
    assert read_png_with(tmp_path, *chunks, value=(55, 55, 55)).icc is not None
