"""Layers show what would be delivered, to the pixel."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from realfill.album.schemas import AuthenticityClass
from realfill.album.store import canvas_path, mask_path, read_document
from realfill.core.atomic_io import write_json
from realfill.core.params import Region, load_params
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision, Stroke
from realfill.review.layer_pixels import DoubtfulPlaceSettings, find_doubtful_places
from realfill.review.layers import Kind, Layers
from realfill.stages import blend, export
from support.color_spaces import DISPLAY_P3
from support.reviews import write_finished_albums

STROKE = Stroke(tool="grow", radius=4, base="0" * 64)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    return write_finished_albums(tmp_path_factory.mktemp("finished") / "albums", _small_album, ["roof"])


@pytest.fixture
def album(finished: Path, tmp_path: Path) -> FinishedAlbum:
    return Collection(Path(shutil.copytree(finished, tmp_path / "albums"))).albums()["roof"]


def pixels(album: FinishedAlbum, kind: Kind, number: int = 0, decision: Decision = Decision()) -> np.ndarray:
    """A layer at full size."""
    layers = Layers(album.album.root.parent / ".review")
    layer = layers.find(album, decision, kind, number)
    assert layer is not None
    pyramid = layers.pyramid(album, decision, layer)
    return pyramid.crop(pyramid.max_level, 0, 0, layer.width, layer.height)


@pytest.mark.parametrize("regions", [(), (Region(candidate=0, polygon=((100, 60), (160, 60), (160, 110))),)])
def test_a_candidate_and_a_choice_look_as_they_will_be_delivered(
    album: FinishedAlbum, regions: tuple[Region, ...]
) -> None:
    decision = Decision(candidate=2, regions=regions)
    shown = pixels(album, Kind.CHOICE, decision=decision)
    values = [region.model_dump() for region in regions]
    params = load_params(overrides={"blend": {"candidate": 2, "regions": values, "detail": False}})
    blend.run(album.album, params)
    delivered = read_srgb(export.run(album.album, params).photo)
    assert (shown == delivered).all()
    assert not regions or (shown != pixels(album, Kind.CANDIDATE, 2)).any()


def test_a_choice_that_was_applied_and_is_taken_back_is_shown(album: FinishedAlbum) -> None:
    kinds = [
        layer.kind for layer in Layers(album.album.root).describe(album, Decision(candidate=2, applied="0" * 64))
    ]
    assert Kind.CHOICE in kinds
    album.provenance["params"]["blend"]["regions"] = [{"candidate": 0, "polygon": [[1, 1], [9, 1], [9, 9]]}]
    taken_back, repainted = Decision(applied="0" * 64), Decision(applied="0" * 64, strokes=(STROKE,))
    shown = [Layers(album.album.root).find(album, decision, Kind.CHOICE, 0) for decision in (taken_back, repainted)]
    assert [layer is not None for layer in shown] == [True, False]


def test_candidates_are_blended_once(album: FinishedAlbum) -> None:
    first = pixels(album, Kind.CANDIDATE, 0)
    (kept,) = album.album.work(".previews").glob("*/0_*.png")
    stamp = kept.stat().st_mtime_ns
    assert (pixels(album, Kind.CANDIDATE, 0) == first).all()
    assert kept.stat().st_mtime_ns == stamp


def test_nothing_is_blended_that_the_run_prepared_or_delivered(
    album: FinishedAlbum, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pixels(album, Kind.CANDIDATE, 0)
    params = load_params(overrides={"blend": {"detail": False}})
    blend.run(album.album, params)
    export.run(album.album, params)
    monkeypatch.setattr(blend, "compose_preview", pytest.fail)
    assert (pixels(album, Kind.CANDIDATE, 0) == expected).all()
    assert (pixels(album, Kind.CANDIDATE, 1) == pixels(album, Kind.AFTER)).all()


def test_the_photo_and_what_was_before_have_their_own_pixels(album: FinishedAlbum) -> None:
    assert (pixels(album, Kind.AFTER) == read_srgb(album.photo)).all()
    assert (pixels(album, Kind.BEFORE) == read_srgb(album.album.target)).all()
    assert (pixels(album, Kind.REFERENCE) == read_srgb(album.album.references[0])).all()


def test_maps_are_drawn_in_the_hole_alone(album: FinishedAlbum) -> None:
    hole = read_png(album.album.work("masks") / "mask.png") > 0
    photo = pixels(album, Kind.AFTER)
    for kind in (Kind.AUTHENTICITY, Kind.PLACED):
        drawn = pixels(album, kind)
        assert (drawn[~hole] == photo[~hole]).all()
        assert (drawn[hole] != photo[hole]).any(axis=-1).mean() > 0.9
    mask = pixels(album, Kind.MASK)
    assert ((mask[..., 3] > 0) == hole).all()


def test_a_doubtful_place_smaller_than_a_window_is_shown_from_its_middle(album: FinishedAlbum) -> None:
    path = album.album.completed / "authenticity.png"
    doubtful = np.zeros_like(read_png(path))
    doubtful[20:60, 30:50] = AuthenticityClass.GENERATED_ONLY
    write_png(path, doubtful)
    ((x, y),) = find_doubtful_places(album)
    assert abs(x - 39.5) <= 1
    assert abs(y - 39.5) <= 1


def test_no_doubtful_pixel_lies_outside_of_all_places(album: FinishedAlbum) -> None:
    path = album.album.completed / "authenticity.png"
    doubtful = np.zeros_like(read_png(path))
    for left, right in ((5, 15), (36, 37), (63, 66)):
        doubtful[20:40, left:right] = AuthenticityClass.GENERATED_ONLY
    write_png(path, doubtful)
    settings = DoubtfulPlaceSettings(view=64)
    places = np.array(find_doubtful_places(album, settings))
    rows, columns = np.nonzero(doubtful)
    pixels = np.stack([columns, rows], axis=-1)
    distances = np.abs(pixels[:, None] - places[None]).max(axis=-1)  # to each place, along the farther axis
    assert distances.min(axis=1).max() <= settings.view // 2


def test_doubtful_places_are_those_of_the_authenticity_map(album: FinishedAlbum) -> None:
    path = album.album.completed / "authenticity.png"
    doubtful = np.zeros_like(read_png(path))
    doubtful[5, :] = AuthenticityClass.GENERATED_ONLY  # an outline, in the middle of which nothing is doubtful
    doubtful[5:60, 5] = doubtful[5:60, -6] = AuthenticityClass.GENERATED_ONLY
    write_png(path, doubtful)
    settings = DoubtfulPlaceSettings(view=21)
    places = find_doubtful_places(album, settings)
    assert all(doubtful[y, x] for x, y in places)
    rows, columns = np.nonzero(doubtful)
    seen = [(abs(rows - y) <= 10) & (abs(columns - x) <= 10) for x, y in places]
    assert np.any(seen, axis=0).mean() > 0.9
    assert seen[0].sum() == max(part.sum() for part in seen)
    (album.album.completed / "authenticity.png").unlink()
    assert find_doubtful_places(album) == []


def test_placed_references_of_a_wide_album_are_shown_in_srgb(album: FinishedAlbum) -> None:
    canvas, mask = read_png(canvas_path(album.album)), read_png(mask_path(album.album))
    write_png(canvas_path(album.album), canvas, DISPLAY_P3)
    red = np.zeros((*mask.shape, 3), np.uint16) + np.array([40000, 9000, 9000], np.uint16)
    folder = album.album.work("align")
    write_png(folder / "proposal.png", red, DISPLAY_P3)
    write_png(folder / "confidence.png", np.full_like(mask, 255))
    placed = {**read_document(folder / "placed.json"), "model": "depth", "box": [0, 0, *mask.shape[::-1]]}
    write_json(folder / "placed.json", placed)
    shown = pixels(album, Kind.PLACED)[mask > 0]
    assert (shown == read_srgb(folder / "proposal.png")[mask > 0]).all()
    assert abs(int(shown[0, 0]) - 40000 / 257) > 3, "the values of Display P3 are others in sRGB"
