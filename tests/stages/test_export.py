"""The delivered file: its pixels, its metadata, its provenance."""

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from realfill.album.layout import Album
from realfill.album.store import read_document
from realfill.core.atomic_io import MARK, write_json
from realfill.core.errors import ExportError, OutputError, StageError
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.photo_io import metadata, xmp
from realfill.photo_io.color_management import to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.icc_profile import write_gray_profile
from realfill.photo_io.working_files import read_png, write_lossless_tiff, write_png
from realfill.photo_io.xmp_xml import BrokenXmpError
from realfill.stages import export
from support.camera_photos import (
    COFFEE,
    KEYWORD,
    PHOTO_KINDS,
    POSITION,
    SOURCE_TYPE,
    read_exif_block,
    second_directory,
    small_jpeg,
    write_camera_jpeg,
)
from support.finished_album import choose_kind, finish


def finished(folder: Path, suffix: str, write: Callable[[Path], object]) -> Album:
    """An album whose target `write` writes."""
    (folder / "target").mkdir(parents=True)
    (folder / "ref").mkdir()
    Image.fromarray(COFFEE).save(folder / "ref" / "0.jpg")
    write(folder / "target" / f"target{suffix}")
    return finish(folder)


@pytest.mark.parametrize("kind", PHOTO_KINDS)
def test_the_targets_own_format_depth_and_profile_are_kept(kind: str, tmp_path: Path) -> None:
    suffix, write = PHOTO_KINDS[kind]
    album = finished(tmp_path / "album", suffix, write)
    result = export.run(album, load_params())
    delivered, blended = read_photo(result.photo), read_photo(album.work("blend") / "composite.tif")
    assert result.photo.name == f"album{suffix}"
    assert delivered.format == read_photo(album.target).format
    assert delivered.pixels.dtype == blended.pixels.dtype
    assert delivered.pixels.shape == blended.pixels.shape
    assert delivered.icc == blended.icc
    difference = np.abs(delivered.pixels.astype(float) - blended.pixels)
    if kind in ("jpeg", "jpeg-gray", "jpeg-cmyk", "webp", "heic"):
        assert difference.mean() < 2.5
    else:
        assert difference.max() == 0
        assert (delivered.alpha is None) == (blended.alpha is None)
        if delivered.alpha is not None and blended.alpha is not None:
            assert np.array_equal(delivered.alpha, blended.alpha)
    assert SOURCE_TYPE in result.photo.read_bytes()


@pytest.mark.parametrize(
    ("kind", "file_format", "expected"),
    [
        ("tiff-16", "jpeg", ("JPEG", 8, "rgb")),
        ("png-16-alpha", "jpeg", ("JPEG", 8, "rgb")),
        ("tiff-cmyk", "jpeg", ("JPEG", 8, "cmyk")),
        ("png-16-alpha", "tiff", ("TIFF", 16, "rgba")),
        ("jpeg-cmyk", "tiff", ("TIFF", 8, "cmyk")),
        ("tiff-16-big-endian", "png", ("PNG", 16, "rgb")),
        ("heic", "png", ("PNG", 8, "rgb")),
    ],
)
def test_another_format_keeps_what_it_can_hold(
    kind: str, file_format: str, expected: tuple[str, int, str], tmp_path: Path
) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS[kind])
    delivered = read_photo(export.run(album, load_params(assignments=[f"export.format={file_format}"])).photo)
    blended = read_photo(album.work("blend") / "composite.tif")
    assert (delivered.format, delivered.bits, delivered.mode) == expected
    levels = (
        delivered.pixels / np.iinfo(delivered.pixels.dtype).max - blended.pixels / np.iinfo(blended.pixels.dtype).max
    )
    assert np.abs(levels).mean() < 2.5 / 255


def leave_transparent(album: Album) -> np.ndarray:
    """Leave the whole hole, [H, W] bool, transparent over hidden pixels, as `blend.generate: never` does."""
    choose_kind(album, "placed")
    left = read_png(album.work("masks") / "mask.png") > 0
    blended = read_photo(album.work("blend") / "composite.tif")
    alpha = np.where(left, 0, np.iinfo(blended.pixels.dtype).max).astype(blended.pixels.dtype)
    write_lossless_tiff(album.work("blend") / "composite.tif", replace(blended, alpha=alpha))
    write_png(album.work("blend") / "authenticity.png", np.zeros(left.shape, np.uint8))
    shares = {"reference_pixel": 0.0, "confirmed": 0.0, "generated_only": 0.0, "left": 1.0, "score": 0.0}
    write_json(
        album.work("blend") / "blend.json",
        {"candidate": 1, "kinds": ["placed"], "feather": 0, "authenticity": shares},
    )
    return left


@pytest.mark.parametrize("kind", ["tiff-16", "tiff-cmyk", "jpeg", "jpeg-cmyk", "png", "webp-lossless", "heic"])
def test_what_was_left_transparent_is_black_where_the_format_has_no_transparency(kind: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS[kind])
    left = leave_transparent(album)
    result = export.run(album, load_params(assignments=["blend.generate=never"]))
    delivered, blended = read_photo(result.photo), read_photo(album.work("blend") / "composite.tif")
    told = json.loads(result.provenance.read_text())
    inside = cv2.erode(left.astype(np.uint8), np.ones((17, 17))) > 0  # beyond the blocks of lossy formats at the rim
    if kind.startswith("jpeg"):
        assert told["left_as"] == "black"
        assert delivered.alpha is None
        assert to_srgb(delivered)[inside].max() < 8
    else:
        assert told["left_as"] == "transparent"
        assert delivered.alpha is not None
        assert not delivered.alpha[inside if kind == "heic" else left].any()
        assert delivered.alpha[~left].all()
    if kind not in ("jpeg", "jpeg-cmyk", "heic"):
        assert np.array_equal(delivered.pixels, blended.pixels)
    assert xmp.read_source_type(metadata.read(result.photo).xmp or b"").endswith("compositeCapture")


def test_metadata_that_is_too_long_for_a_jpeg_keeps_the_source_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokenXmpError("its properties do not fit into a JPEG")

    monkeypatch.setattr(xmp, "split_for_jpeg", refuse)
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    choose_kind(album, "placed")
    photo = export.run(album, load_params(assignments=["blend.generate=never"])).photo
    assert xmp.read_source_type(metadata.read(photo).xmp or b"").endswith("compositeCapture")


def test_a_format_that_cannot_hold_the_photo_is_refused_and_nothing_is_delivered(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg-cmyk"])
    with pytest.raises(ExportError, match=r"target\.jpg: PNG cannot hold CMYK"):
        export.run(album, load_params(assignments=["export.format=png"]))
    assert not album.completed.exists()


@pytest.mark.parametrize("file_format", ["same", "tiff", "png"])
def test_a_turned_photo_is_delivered_upright_with_its_metadata(file_format: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", write_camera_jpeg)
    result = export.run(album, load_params(assignments=[f"export.format={file_format}"]))
    with Image.open(result.photo) as image:
        tags = image.getexif()
        assert image.size == (240, 160)
        assert tags[0x0112] == 1
        assert tags[0x010F] == "Canon"
        assert tags.get_ifd(0x8769)[0x829A] == 1 / 250
        assert (tags.get_ifd(0x8769)[0xA002], tags.get_ifd(0x8769)[0xA003]) == (240, 160)
        assert tags.get_ifd(0x8825)[2] == (48, 8, 14)
        corner = np.asarray(image.convert("RGB"))[:40, :40].astype(int)
    assert np.abs(corner - COFFEE[:40, :40]).mean() < 6


def test_the_thumbnail_shows_the_finished_photo(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", write_camera_jpeg)
    block = read_exif_block(export.run(album, load_params()).photo)
    second = second_directory(block)
    _, start, size = (struct.unpack_from("<I", block, second + 2 + 12 * i + 8)[0] for i in range(3))
    with Image.open(io.BytesIO(block[start : start + size])) as thumbnail:
        assert thumbnail.size == (160, 107)
        shown = np.asarray(thumbnail.resize((24, 16))).astype(int)
    expected = np.asarray(Image.open(io.BytesIO(small_jpeg(COFFEE))).resize((24, 16))).astype(int)
    assert np.median(np.abs(shown - expected)) < 8


@pytest.mark.parametrize(
    ("kind", "source_type", "said"),
    [
        ("placed", "compositeCapture", "No model generated any of it"),
        ("patches", "compositeCapture", "No model generated any of it"),
        ("guided", "compositeWithTrainedAlgorithmicMedia", "Part of this photo is generated"),
    ],
)
def test_a_photo_is_called_generated_only_where_a_model_made_a_part_of_it(
    kind: str, source_type: str, said: str, tmp_path: Path
) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    choose_kind(album, kind)
    result = export.run(album, load_params())
    assert xmp.read_source_type(metadata.read(result.photo).xmp or b"").endswith(f"/{source_type}")
    assert json.loads(result.provenance.read_text())["digital_source_type"].endswith(f"/{source_type}")
    assert said in result.page.read_text()


def test_a_region_of_a_generated_candidate_makes_the_photo_partly_generated(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    choose_kind(album, "placed")
    blended = read_document(album.work("blend") / "blend.json")
    write_json(album.work("blend") / "blend.json", {**blended, "kinds": ["noise", "placed"]})
    result = export.run(album, load_params())
    assert json.loads(result.provenance.read_text())["digital_source_type"].endswith("TrainedAlgorithmicMedia")
    assert "Part of this photo is generated" in result.page.read_text()


def test_a_generated_reference_makes_a_synthetic_composite(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    choose_kind(album, "placed")
    packet = xmp.minimal_packet(xmp.PARTLY_GENERATED)
    Image.fromarray(COFFEE).save(album.references[0], xmp=packet)
    photo = export.run(album, load_params()).photo
    assert xmp.read_source_type(metadata.read(photo).xmp or b"") == xmp.PARTLY_SYNTHETIC


@pytest.mark.parametrize("file_format", ["same", "tiff", "png"])
def test_a_position_is_kept_or_leaves_no_trace(file_format: str, tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", write_camera_jpeg)
    kept = export.run(album, load_params(assignments=[f"export.format={file_format}"])).photo.read_bytes()
    assert POSITION in kept
    assert b"48,8.2N" in kept
    result = export.run(album, load_params(assignments=[f"export.format={file_format}", "export.gps=strip"]))
    for path in sorted(album.completed.rglob("*")):
        if path.is_file():
            assert POSITION not in path.read_bytes()
            assert b"48,8.2N" not in path.read_bytes()
    with Image.open(result.photo) as image:
        assert not image.getexif().get_ifd(0x8825)
        assert image.getexif()[0x010F] == "Canon"


def test_xmp_and_iptc_are_kept_and_brought_up_to_date(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", write_camera_jpeg)
    for file_format in ("same", "tiff"):
        about = metadata.read(export.run(album, load_params(assignments=[f"export.format={file_format}"])).photo)
        packet = (about.xmp or b"").decode()
        assert 'xmp:Rating="4"' in packet
        assert 'my:note="kept"' in packet
        assert "Ann &amp; Bob" in packet
        assert 'tiff:Orientation="1"' in packet
        assert "stale" not in packet
        assert about.iptc == KEYWORD


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    first = finished(tmp_path / "here" / "album", ".jpg", write_camera_jpeg)
    second = finished(tmp_path / "there" / "album", ".jpg", write_camera_jpeg)
    export.run(first, load_params())
    export.run(second, load_params())
    assert digest(first.completed) == digest(second.completed)


def test_provenance_names_what_the_photo_was_made_from(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", ".jpg", write_camera_jpeg)
    result = export.run(album, load_params(assignments=["base.model=/models/pocket"]))
    provenance = json.loads(result.provenance.read_text())
    assert provenance["digest"] == digest(result.photo)
    assert {row["file"]: row["digest"] for row in provenance["inputs"]} == {
        "target/target.jpg": digest(album.target),
        "ref/0.jpg": digest(album.references[0]),
    }
    assert (provenance["candidate"], provenance["seed"], provenance["base_model"]["name"]) == (1, 0, "pocket")
    assert [row["candidate"] for row in provenance["ranking"]] == [1, 0, 2]
    assert set(provenance["versions"]) >= {
        "realfill",
        "torch",
        "diffusers",
        "transformers",
        "peft",
        "kornia",
        "python",
    }
    assert provenance["params"]["export"]["quality"] == 96
    text = result.provenance.read_text()
    assert str(tmp_path) not in text
    assert "/models" not in text


def test_a_second_export_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    export.run(album, load_params())
    export.run(album, load_params(assignments=["export.format=png"]))
    assert sorted(path.name for path in album.completed.iterdir()) == [
        MARK,
        "album.json",
        "album.png",
        "authenticity.png",
        "page",
    ]


def test_an_album_that_was_not_blended_is_told_so(tmp_path: Path) -> None:
    album = finished(tmp_path / "album", *PHOTO_KINDS["jpeg"])
    (album.work("blend") / "blend.json").unlink()
    with pytest.raises(StageError, match="realfill blend"):
        export.run(album, load_params())


def test_a_finished_photo_that_somebody_changed_is_not_replaced(album_folder: Path) -> None:
    album = finish(album_folder)
    photo = export.run(album, load_params()).photo
    export.run(album, load_params())
    photo.write_bytes(b"retouched")
    with pytest.raises(OutputError, match="changed since") as caught:
        export.run(album, load_params())
    assert caught.value.path == photo
    assert photo.read_bytes() == b"retouched"
    photo.rename(album.root / "retouched.png")
    assert export.run(album, load_params()).photo.is_file()


def test_a_profile_that_cannot_be_used_is_not_delivered(tmp_path: Path) -> None:
    gray = write_gray_profile("Gray", 2.2)
    album = finished(tmp_path / "album", ".png", lambda path: Image.fromarray(COFFEE).save(path, icc_profile=gray))
    result = export.run(album, load_params())
    assert read_photo(album.target).icc == gray
    assert read_photo(result.photo).icc is None
