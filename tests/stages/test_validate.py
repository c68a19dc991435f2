"""Which photos are accepted, and what is said about the others."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from realfill.album.discovery import open_album
from realfill.album.store import accepted_references, read_inputs, read_warnings
from realfill.core.errors import AlbumError, PhotoError
from realfill.core.params import load_params
from realfill.imaging.ops import shrink_to
from realfill.photo_io.color_management import read_srgb
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


def scene() -> np.ndarray:
    """A photo of the demo's scene from a place beside the target's, [h, w, 3] uint8."""
    return np.ascontiguousarray(data.stereo_motorcycle()[1][:, :, :3])


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """An album of the demo's scene: a damaged target, and a reference from a place beside it."""
    for folder in ("target", "ref"):
        (tmp_path / folder).mkdir()
    target = shrink_to(data.stereo_motorcycle()[0], 400)
    mask = np.zeros(target.shape[:2], np.uint8)
    mask[90:160, 120:220] = 255
    target = np.where(mask[..., None] > 0, np.uint8(90), target)
    Image.fromarray(target).save(tmp_path / "target" / "target.jpg", quality=95)
    Image.fromarray(mask).save(tmp_path / "target" / "mask.png")
    Image.fromarray(shrink_to(scene(), 400)).save(tmp_path / "ref" / "good.jpg", quality=95)
    return tmp_path


def undamaged() -> np.ndarray:
    return shrink_to(data.stereo_motorcycle()[0], 400)


@pytest.mark.parametrize("crop", [0, 12])
@pytest.mark.parametrize(("side", "quality"), [(400, 60), (260, 85)])
def test_a_copy_of_the_damaged_target_is_left_out(damaged: Path, crop: int, side: int, quality: int) -> None:
    with Image.open(damaged / "target" / "target.jpg") as photo:
        copy = photo.crop((crop, 0, photo.width, photo.height - crop))
    copy.thumbnail((side, side))
    copy.save(damaged / "ref" / "sent.jpg", quality=quality)
    assert "is a copy of target/target.jpg" in refused(damaged)["ref/sent.jpg"]


def test_a_burst_neighbor_and_an_undamaged_copy_of_the_target_are_used(damaged: Path) -> None:
    Image.fromarray(shrink_to(undamaged(), 300)).save(damaged / "ref" / "before.jpg", quality=70)
    assert refused(damaged) == {}


def test_a_copy_of_a_transparent_target_is_left_out_if_it_shows_the_hole_blank(damaged: Path) -> None:
    with Image.open(damaged / "target" / "target.jpg") as photo, Image.open(damaged / "target" / "mask.png") as mask:
        blank = Image.composite(Image.new("RGB", photo.size, "white"), photo, mask)
        cut = Image.fromarray(undamaged())
        cut.putalpha(mask.point(lambda value: 255 - value))
    for path in (damaged / "target").iterdir():
        path.unlink()
    cut.save(damaged / "target" / "target.png")
    blank.save(damaged / "ref" / "flat.jpg", quality=80)
    Image.fromarray(undamaged()).save(damaged / "ref" / "whole.jpg", quality=80)
    assert list(refused(damaged)) == ["ref/flat.jpg"]


def test_a_copy_of_an_outpainted_target_is_left_out_unless_its_frame_is_larger(damaged: Path) -> None:
    (damaged / "target" / "mask.png").unlink()
    Image.fromarray(undamaged()[:, 60:]).save(damaged / "target" / "target.jpg", quality=95)
    (damaged / "album.yaml").write_text("outpaint: {left: 60px}")
    Image.fromarray(undamaged()).save(damaged / "ref" / "larger.jpg", quality=80)
    Image.fromarray(undamaged()[:, 60:]).save(damaged / "ref" / "same.jpg", quality=80)
    assert list(refused(damaged)) == ["ref/same.jpg"]


def test_of_copies_among_the_references_the_largest_is_used(damaged: Path) -> None:
    Image.fromarray(shrink_to(scene(), 300)).save(damaged / "ref" / "a.jpg", quality=60)
    Image.fromarray(shrink_to(scene(), 350)[5:]).save(damaged / "ref" / "z.jpg", quality=60)
    result = validate.run(open_album(damaged), load_params())
    assert [row.file for row in result.accepted] == ["ref/good.jpg"]
    assert {row.file: row.duplicate_of for row in result.refused} == {
        "ref/a.jpg": "ref/good.jpg",
        "ref/z.jpg": "ref/good.jpg",
    }


def test_a_mirrored_reference_is_used_mirrored(damaged: Path) -> None:
    path = damaged / "ref" / "good.jpg"
    with Image.open(path) as photo:
        pixels = np.asarray(photo)
    Image.fromarray(pixels[:, ::-1]).save(damaged / "ref" / "slide.png")
    path.unlink()
    album = open_album(damaged)
    row = validate.run(album, load_params()).accepted[0]
    assert row.mirrored and "mirrored" in row.reason
    (used,) = accepted_references(album)
    assert used.name == "slide.png"
    assert np.array_equal(read_srgb(used), pixels)


def test_references_without_color_are_told(damaged: Path) -> None:
    with Image.open(damaged / "ref" / "good.jpg") as photo:
        photo.convert("L").save(damaged / "ref" / "good.jpg", quality=90)
    row = validate.run(open_album(damaged), load_params()).accepted[0]
    assert row.monochrome and "no colors of its own" in row.reason


def test_what_is_doubtful_about_the_hole_is_told_with_its_file(damaged: Path) -> None:
    Image.fromarray(undamaged()).save(damaged / "target" / "target.jpg")
    with Image.open(damaged / "target" / "mask.png") as mask:
        Image.fromarray(255 - np.asarray(mask)).save(damaged / "target" / "mask.png")
    (damaged / "target" / "mask copy.png").write_bytes(b"")
    (damaged / "other.jpg").write_bytes(b"")
    album = open_album(damaged)
    validate.run(album, load_params())
    told = {line.partition(": ")[0]: line for line in read_warnings(album)}
    assert "invert it" in told["target/mask.png"]
    assert "not used" in told["target/mask copy.png"] and "not used" in told["other.jpg"]


def test_a_mirrored_copy_of_the_damaged_target_is_left_out(damaged: Path) -> None:
    with Image.open(damaged / "target" / "target.jpg") as photo:
        pixels = np.asarray(photo)
    Image.fromarray(pixels[:, ::-1]).save(damaged / "ref" / "slide.jpg", quality=85)
    assert "is a copy of target/target.jpg" in refused(damaged)["ref/slide.jpg"]
