import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from realfill.core.errors import PhotoError
from realfill.photo_io.jpeg_damage import find_jpeg_damage
from realfill.photo_io.photo_info import inspect_photo

ENCODINGS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"optimize": True, "restart_marker_rows": 1},
    {"subsampling": 0, "quality": 95},
]
EOI = b"\xff\xd9"


def encode(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 85, **options})
    return buffer.getvalue()


def flip_bits(jpeg: bytes, start: int, flips: int) -> bytes:
    """Flip bits every so many bytes of the compressed data from `start` on."""
    damaged = bytearray(jpeg)
    for place in range(start, len(jpeg) - 2, (len(jpeg) - start) // flips):
        damaged[place] ^= 1 << place % 8
    return bytes(damaged)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", ENCODINGS)
def test_lost_data_is_noticed(options: dict[str, Any], mode: str) -> None:
    jpeg = encode(Image.fromarray(data.coffee()[:200, :300]).convert(mode), **options)
    start = jpeg.index(b"\xff\xda") + 300
    middle = (start + len(jpeg)) // 2
    damages = {
        "an early end": jpeg[:middle] + EOI + jpeg[middle + 2 :],
        "a part is missing": jpeg[:middle] + jpeg[middle + 500 :],
        "the rest is missing": jpeg[:middle],
        "a sector of zeros": jpeg[:middle] + bytes(512) + jpeg[middle + 512 :],
        "zeros to the end": jpeg[:middle] + bytes(len(jpeg) - middle - 2) + EOI,
        "a sector of ones": jpeg[:middle] + b"\xff" * 512 + jpeg[middle + 512 :],
        "another file's sector": jpeg[:middle] + random.Random(1).randbytes(512) + jpeg[middle + 512 :],
        "bit rot": flip_bits(jpeg, start, 60),
    }
    assert [name for name, damaged in damages.items() if not find_jpeg_damage(damaged)] == []


@pytest.mark.parametrize("options", ENCODINGS)
def test_a_whole_file_is_not_taken_for_damaged(options: dict[str, Any]) -> None:
    pixels = data.coffee()[:200, :300].copy()
    pixels[:60] = pixels[-60:] = 0  # flat areas are zeros in some files
    jpeg = encode(Image.fromarray(pixels), **options)
    whole = {
        "as it is": jpeg,
        "without its end marker": jpeg[:-2],
        "padded with zeros": jpeg[:-2] + bytes(5000) + EOI,
        "padded with ones": jpeg[:-2] + b"\xff" * 50 + EOI,
        "with other data behind it": jpeg + b"\0" * 600 + jpeg[:999],
        "flat": encode(Image.new("RGB", (400, 300)), **options),
        "a ramp": encode(Image.fromarray(np.tile(np.arange(800, dtype=np.uint16) // 20, (600, 1)).astype(np.uint8))),
        "with a thumbnail": jpeg[:2] + b"\xff\xe1" + (len(jpeg[:9000]) + 2).to_bytes(2) + jpeg[:9000] + jpeg[2:],
    }
    assert {name: report for name, file in whole.items() if (report := find_jpeg_damage(file))} == {}


def test_what_is_no_jpeg_can_be_asked_for() -> None:
    for junk in (b"", b"\xff\xd8", b"\xff\xd8\xff\xda\0\4\3\0", b"\xff\xd8\xff\xc4\0\x40" + bytes(9), bytes(99)):
        assert isinstance(find_jpeg_damage(junk), str)


def test_a_damaged_photo_is_refused(tmp_path: Path) -> None:
    jpeg = encode(Image.fromarray(data.coffee()[:200, :300]))
    (tmp_path / "a.jpg").write_bytes(jpeg[: len(jpeg) // 2] + EOI)
    with pytest.raises(PhotoError, match=r"a\.jpg: The photo is damaged.*Take an intact copy"):
        inspect_photo(tmp_path / "a.jpg", 1.0)
