"""`blend.generate: never`: photographed pixels only, from the album to the delivered file."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate
from realfill.album.store import read_rows
from realfill.core.errors import ModelError
from realfill.core.params import load_params
from realfill.photo_io import metadata, xmp
from realfill.photo_io.decode import read_photo
from realfill.photo_io.working_files import read_png
from realfill.pipeline import STAGES, Stage, complete
from support.html import PageReader
from support.scenes import rectangle_mask, turned_view, write_scene

NEVER = ["blend.generate=never", "base.model=/nowhere/model", "rank.matcher=sift"]
NOTHING = [*NEVER, "align.enabled=false"]
MASK = rectangle_mask((320, 480), slice(110, 210), slice(170, 310))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Album:
    """A scene that a camera turned in, completed without a base model."""
    scene = cv2.resize(skimage.data.astronaut(), (900, 900))
    references = [turned_view(scene, 3, 1), turned_view(scene, -3, -1)]
    root = tmp_path_factory.mktemp("never") / "roof"
    album = open_album(write_scene(root, turned_view(scene, 0, 0), MASK, references))
    complete(album, load_params(assignments=NEVER))
    return album


@pytest.fixture
def album(tmp_path: Path) -> Album:
    photo = cv2.resize(skimage.data.coffee(), (480, 320))
    return open_album(write_scene(tmp_path / "roof", photo, MASK, [photo]))


def provenance(album: Album) -> dict[str, Any]:
    return dict(json.loads(album.provenance.read_text()))


def test_what_no_reference_shows_for_certain_is_the_targets_own(finished: Album) -> None:
    target, completed = read_png(finished.target), read_png(finished.completed / "roof.png")
    classes = read_png(finished.completed / "authenticity.png")
    assert set(np.unique(classes)) == {0, 255}
    assert not classes[MASK == 0].any()
    assert np.array_equal(completed[classes == 0], target[classes == 0])
    scene = turned_view(cv2.resize(skimage.data.astronaut(), (900, 900)), 0, 0)
    assert np.abs(completed[classes == 255].astype(int) - scene[classes == 255]).mean() < 3


def test_no_model_has_a_part_in_it(finished: Album) -> None:
    (row,) = read_rows(finished.work("sample") / "candidates.parquet", Candidate)
    assert (row.kind, row.steps, row.model, row.model_digest, row.adapter_digest) == ("placed", 0, "", "", "")
    assert sorted(
        path.suffix for path in finished.work("finetune").rglob("*.*") if path.stem in ("loss", "metrics")
    ) == [
        ".csv",
        ".json",
    ]
    assert not list(finished.out.rglob("*.safetensors"))
    told = provenance(finished)
    assert told["generate"] == told["params"]["blend"]["generate"] == "never"
    assert told["base_model"] is None
    assert told["tuning"]["steps"] == 0
    assert "/nowhere" not in finished.provenance.read_text()


def test_the_file_says_that_it_is_a_composite_of_photos(finished: Album) -> None:
    packet = metadata.read(finished.completed / "roof.png").xmp or b""
    assert xmp.read_source_type(packet).endswith("/compositeCapture")
    assert b"lgorithmic" not in packet
    assert provenance(finished)["digital_source_type"] == xmp.read_source_type(packet)


def test_provenance_and_page_say_how_much_was_left(finished: Album) -> None:
    told = provenance(finished)
    left = 1 - (read_png(finished.completed / "authenticity.png") > 0).sum() / (MASK > 0).sum()
    assert 0 < left < 0.3
    assert told["authenticity"]["left"] == pytest.approx(left, abs=1e-4)
    assert json.loads((finished.work("blend") / "blend.json").read_text())["authenticity"] == told["authenticity"]
    assert told["left_as"] == "as it was"
    text = " ".join(PageReader(finished.completed / "page" / "index.html").text.split())
    sentence = f"{100 * left:.0f} % of the hole is left as it was: no reference shows it for certain."
    assert sentence in told["verdict"]["sentence"]
    assert sentence in text
    assert "Nothing was generated" in text
    assert "DigitalSourceType: compositeCapture" in text
    assert "Part of this photo is generated" not in text


def test_a_second_run_does_nothing_and_another_value_reruns_what_it_decides(album: Album) -> None:
    def ran(assignments: list[str]) -> list[str]:
        names: list[str] = []

        def on_stage(stage: Stage, _: Album, skipped: bool) -> None:
            names.extend([] if skipped else [stage.name])

        complete(album, load_params(assignments=assignments), on_stage=on_stage)
        return names

    assert ran(NOTHING) == [stage.name for stage in STAGES]
    assert ran(NOTHING) == []
    assert ran([*NOTHING, "blend.feather=3"]) == ["blend", "export"]
    with pytest.raises(ModelError, match="base model"):
        ran([*NOTHING, "blend.generate=auto"])


def test_where_nothing_is_placed_the_photo_is_delivered_as_it_was(
    album: Album, caplog: pytest.LogCaptureFixture
) -> None:
    photo = complete(album, load_params(assignments=[*NOTHING, "blend.candidate=3"]))
    assert "No reference shows any of the hole for certain" in caplog.text
    assert np.array_equal(read_png(photo), read_png(album.target))
    (row,) = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    assert row.kind == "unchanged"
    told = provenance(album)
    assert told["authenticity"]["left"] == 1
    assert told["verdict"]["level"] == "left as it was: nothing is filled"
    assert "Nothing is filled" in PageReader(album.completed / "page" / "index.html").text


@pytest.mark.parametrize(
    ("file_format", "left_as"), [("png", "transparent"), ("tiff", "transparent"), ("jpeg", "black")]
)
def test_a_border_that_is_left_is_transparent_where_the_format_can(
    album: Album, file_format: str, left_as: str
) -> None:
    (album.root / "target" / "mask.png").unlink()
    (album.root / "album.yaml").write_text("outpaint: {right: 100px}\n")
    opened = open_album(album.root)
    photo = read_photo(complete(opened, load_params(assignments=[*NOTHING, f"export.format={file_format}"])))
    assert photo.pixels.shape == (320, 580, 3)
    if left_as == "black":
        assert photo.alpha is None
        assert photo.pixels[:, 490:].max() < 8
    else:
        assert photo.alpha is not None
        assert not photo.alpha[:, 480:].any()
        assert (photo.alpha[:, :480] == 255).all()
        assert np.array_equal(photo.pixels[:, :480], read_png(album.target))
    assert provenance(opened)["left_as"] == left_as
    assert f"100 %, {left_as}" in PageReader(opened.completed / "page" / "index.html").text
