"""Which photos are accepted, and what is said about the others."""

import logging
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.store import accepted_references, read_inputs
from realfill.core.errors import AlbumError, PhotoError
from realfill.core.params import load_params
from realfill.stages import validate
from support.camera_photos import save_raw


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """An album with two good references."""
    for folder in ("target", "ref"):
        (tmp_path / folder).mkdir()
    Image.fromarray(data.astronaut()).save(tmp_path / "target" / "target.png")
    Image.fromarray(data.coffee()).save(tmp_path / "ref" / "coffee.jpg")
    Image.fromarray(data.chelsea()).save(tmp_path / "ref" / "chelsea.png")
    return tmp_path


def refused(folder: Path, *assignments: str) -> dict[str, str]:
    result = validate.run(open_album(folder), load_params(assignments=assignments))
    return {row.file: row.reason for row in result.refused}


def test_lists_every_photo(album: Path) -> None:
    opened = open_album(album)
    result = validate.run(opened, load_params())
    assert [row.file for row in result.inputs] == ["target/target.png", "ref/chelsea.png", "ref/coffee.jpg"]
    assert read_inputs(opened) == list(result.inputs)
    assert accepted_references(opened) == [album / row.file for row in result.accepted]
    coffee = result.inputs[2]
    assert (coffee.format, coffee.width, coffee.height, coffee.mode, coffee.bits) == ("JPEG", 600, 400, "rgb", 8)


def test_refuses_what_cannot_be_used_and_says_why(album: Path, caplog: pytest.LogCaptureFixture) -> None:
    ref = album / "ref"
    (ref / "broken.jpg").write_bytes((ref / "coffee.jpg").read_bytes()[:9000])
    (ref / "notes.txt").write_text("Scene in the morning.")
    (ref / "scan.gif").write_bytes(b"GIF89a")
    (ref / "Thumbs.db").write_bytes(b"")
    (ref / ".hidden.jpg").write_bytes(b"")
    Image.fromarray(data.coffee()[:40, :40]).save(ref / "tiny.png")
    with caplog.at_level(logging.WARNING, "realfill.validate"):
        reasons = refused(album)
    assert set(reasons) == {"ref/broken.jpg", "ref/notes.txt", "ref/scan.gif", "ref/tiny.png"}
    assert "damaged" in reasons["ref/broken.jpg"]
    assert "not a supported photo" in reasons["ref/notes.txt"]
    assert "40 x 40 pixels" in reasons["ref/tiny.png"]
    assert all(file in caplog.text for file in reasons)


def test_refuses_repetitions(album: Path) -> None:
    ref = album / "ref"
    shutil.copy(ref / "coffee.jpg", ref / "x-copy.jpg")
    Image.open(ref / "chelsea.png").save(ref / "y-saved-anew.tif")
    Image.open(album / "target" / "target.png").save(ref / "z-target.webp", lossless=True)
    result = validate.run(open_album(album), load_params())
    assert {row.file: row.duplicate_of for row in result.refused} == {
        "ref/x-copy.jpg": "ref/coffee.jpg",
        "ref/y-saved-anew.tif": "ref/chelsea.png",
        "ref/z-target.webp": "target/target.png",
    }


def test_refuses_more_references_than_allowed(album: Path) -> None:
    assert list(refused(album, "validate.max_references=1")) == ["ref/coffee.jpg"]


def test_an_album_without_a_usable_reference_is_an_error(album: Path) -> None:
    with pytest.raises(AlbumError, match="None of the 2 references"):
        validate.run(open_album(album), load_params(assignments=["validate.min_side=500"]))
    assert not (album / "work" / "validate").exists()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_a_target_that_cannot_be_used_is_an_error(album: Path, content: bytes) -> None:
    (album / "target" / "target.png").write_bytes(content)
    with pytest.raises(PhotoError) as caught:
        validate.run(open_album(album), load_params())
    assert caught.value.path == album / "target" / "target.png"


@pytest.mark.parametrize("name", ["target", "mask"])
def test_a_raw_file_is_a_reference_only(album: Path, name: str) -> None:
    save_raw(album / "ref" / "sensor.dng", data.rocket())
    accepted = validate.run(open_album(album), load_params()).accepted
    assert [(row.file, row.format) for row in accepted[2:]] == [("ref/sensor.dng", "RAW")]
    (album / "target" / f"{name}.png").unlink(missing_ok=True)
    (album / "ref" / "sensor.dng").rename(album / "target" / f"{name}.dng")
    with pytest.raises(PhotoError, match=rf"{name}\.dng.*Develop it in a raw converter"):
        validate.run(open_album(album), load_params())


@pytest.mark.parametrize("name", ["target", "mask"])
def test_a_jpeg_that_lost_data_is_refused(album: Path, name: str) -> None:
    whole = (album / "ref" / "coffee.jpg").read_bytes()
    damaged = whole[:9000] + b"\xff\xd9" + whole[9002:]
    (album / "ref" / "damaged.jpg").write_bytes(damaged)
    assert "The photo is damaged" in refused(album)["ref/damaged.jpg"]
    (album / "target" / f"{name}.png").unlink(missing_ok=True)
    (album / "ref" / "damaged.jpg").rename(album / "target" / f"{name}.jpg")
    with pytest.raises(PhotoError, match=rf"{name}\.jpg: The photo is damaged"):
        validate.run(open_album(album), load_params())


def test_what_was_not_certain_in_decoding_is_told(album: Path, caplog: pytest.LogCaptureFixture) -> None:
    pages = [Image.fromarray(data.rocket()), Image.fromarray(data.coffee())]
    pages[0].save(album / "ref" / "scan.tif", save_all=True, append_images=pages[1:])
    rows = {row.file: row for row in validate.run(open_album(album), load_params()).accepted}
    assert rows["ref/scan.tif"].reason == "It has 2 pages; the first is read."
    assert "ref/scan.tif: accepted: It has 2 pages" in caplog.text


def test_the_truth_is_not_opened(album: Path) -> None:
    (album / "target" / "gt.png").write_bytes(b"no photo")
    assert len(validate.run(open_album(album), load_params()).accepted) == 2


def test_a_broken_color_profile_is_a_warning(album: Path) -> None:
    Image.fromarray(data.rocket()).save(album / "ref" / "rocket.png", icc_profile=b"nonsense" * 30)
    rows = {row.file: row for row in validate.run(open_album(album), load_params()).accepted}
    assert "sRGB is assumed" in rows["ref/rocket.png"].reason


def test_a_name_that_is_not_text_is_refused(album: Path) -> None:
    shutil.copy(album / "ref" / "coffee.jpg", album / "ref" / os.fsdecode(b"\xff.jpg"))
    assert "UTF-8" in refused(album)["ref/�.jpg"]
