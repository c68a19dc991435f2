import numpy as np
import pytest

from realfill.album.layout import Album
from realfill.album.store import canvas_path, mask_path
from realfill.core.params import Params
from realfill.evaluation import fills
from realfill.evaluation.fills import score_fills
from realfill.evaluation.metrics import Scorer
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png


@pytest.fixture
def album_scorer(album: Album) -> Scorer:
    assert album.ground_truth is not None
    return Scorer(read_srgb(album.ground_truth), read_png(mask_path(album)))


@pytest.fixture
def result(album: Album) -> Pixels:
    return read_srgb(album.completed / "motorcycle.png")


def test_every_fill_is_scored_in_order(
    album: Album, quick_params: Params, album_scorer: Scorer, result: Pixels
) -> None:
    scored = list(score_fills(album, quick_params, album_scorer, result, untuned=2))
    assert [(fill.name, fill.group) for fill, _ in scored] == [
        ("result", "result"),
        ("candidate 0", "candidate"),
        ("candidate 1", "candidate"),
        ("candidate 2", "candidate"),
        ("untuned 0", "untuned"),
        ("untuned 1", "untuned"),
        ("one homography", "baseline"),
        ("Telea", "baseline"),
        ("mean color", "baseline"),
    ]
    assert [fill.tuned for fill, _ in scored] == [False, True, True, True, False, False, False, False, False]
    assert all(fill.score == album_scorer.score(picture) for fill, picture in scored)


def test_candidates_are_blended_into_the_canvas_each_on_its_own(
    album: Album, quick_params: Params, album_scorer: Scorer, result: Pixels
) -> None:
    canvas, hole = read_png(canvas_path(album)), read_png(mask_path(album)) > 0
    scored = {fill.name: picture for fill, picture in score_fills(album, quick_params, album_scorer, result, 0)}
    pictures = [scored[f"candidate {number}"] for number in range(3)]
    for picture in pictures:
        np.testing.assert_array_equal(picture[0], canvas[0])
        assert not np.array_equal(picture[hole], canvas[hole])
    assert not np.array_equal(pictures[0], pictures[2])


def test_without_a_keypoint_detector_there_is_no_homography(
    album: Album, quick_params: Params, album_scorer: Scorer, result: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fills, "unavailable_metrics", lambda: {"recall": "XFeat is not installed."})
    names = [fill.name for fill, _ in score_fills(album, quick_params, album_scorer, result, untuned=0)]
    assert names[-2:] == ["Telea", "mean color"]
    assert "one homography" not in names
