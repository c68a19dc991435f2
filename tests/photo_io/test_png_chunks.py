import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from realfill.photo_io.png_chunks import (
    BrokenChunkError,
    pack_text,
    read_chunks,
    read_raw_profile,
    read_text,
)
from support.camera_photos import COFFEE

LIMIT = 100_000


@pytest.mark.parametrize("text", ["Ann", "© Großmutter", "屋根"])
@pytest.mark.parametrize("is_compressed", [False, True])
def test_texts_are_read_as_pillow_writes_them_and_back(text: str, is_compressed: bool, tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Author", text, zip=is_compressed)
    info.add_itxt("Title", text, zip=is_compressed)
    path = tmp_path / "a.png"
    Image.fromarray(COFFEE).save(path, pnginfo=info)
    read = [read_text(name, data, LIMIT) for name, data in read_chunks(path, LIMIT) if name.endswith(b"Xt")]
    assert dict(read)["Title"].decode() == text
    path.write_bytes(path.read_bytes()[:33] + pack_text("Author", text) + path.read_bytes()[33:])
    with Image.open(path) as image:
        assert image.text["Author"] == text  # type: ignore[attr-defined]


def test_a_text_that_blows_up_is_refused() -> None:
    with pytest.raises(BrokenChunkError, match="too large"):
        read_text(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(LIMIT + 1)), LIMIT)


def test_a_raw_profile_is_taken_out_of_its_text() -> None:
    assert read_raw_profile("Raw profile type iptc", b"\niptc\n      3\n61\n6263\n") == ("iptc", b"abc")
    assert read_raw_profile("Author", b"Ann") is None
    with pytest.raises(BrokenChunkError):
        read_raw_profile("Raw profile type exif", b"\nexif\n 2\nno")


@given(data=st.binary(max_size=120), name=st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_chunks_are_one_kind_of_error(data: bytes, name: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    list(read_chunks(path, LIMIT))
    for chunk in (data, b"Author\0" + data, b"Raw profile type exif\0\n" + data):
        try:
            read_raw_profile(*read_text(name, chunk, LIMIT))
        except BrokenChunkError:
            continue
