import shutil
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from realfill.album.canvas import crop_window
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate, RankedCandidate, Window
from realfill.album.store import accepted_references, read_document, read_rows, write_rows
from realfill.core.errors import StageError
from realfill.core.hashing import digest
from realfill.core.params import Params, load_params
from realfill.demo_album import write_demo_album
from realfill.imaging.ops import resize
from realfill.matching.sift import SiftMatcher
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.stages import masks, rank, validate
from support.finished_album import place_nothing

R = 128
XFEAT, SIFT = (load_params(assignments=[f"rank.matcher={name}"]) for name in ("xfeat", "sift"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo album up to masks."""
    album = open_album(write_demo_album(tmp_path_factory.mktemp("albums") / "motorcycle"))
    validate.run(album, load_params())
    masks.run(album, load_params())
    place_nothing(album)
    return album.root


@pytest.fixture
def album(prepared: Path, tmp_path: Path) -> Album:
    return open_album(Path(shutil.copytree(prepared, tmp_path / "motorcycle")))


def window_of(album: Album) -> Window:
    return Window(**read_document(album.work("masks") / "window.json"))


def truth(album: Album) -> np.ndarray:
    assert album.ground_truth is not None
    return resize(crop_window(read_srgb(album.ground_truth), window_of(album)), R, R)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (R, R, 3), np.uint8)


def sample(album: Album, fills: list[np.ndarray]) -> None:
    folder = album.work("sample")
    folder.mkdir(parents=True)
    rows = []
    for number, fill in enumerate(fills):
        rows.append(
            Candidate(
                candidate=number,
                file=f"{number:03d}.png",
                kind="noise",
                draw=number,
                seed=0,
                scheduler="unipc",
                steps=1,
                guidance=1.0,
                batch_size=1,
                count=len(fills),
                resolution=R,
                model="pocket",
                model_digest="",
                adapter_digest="",
                versions="{}",
            )
        )
        write_png(folder / rows[-1].file, fill)
    write_rows(folder / "candidates.parquet", Candidate, rows)


@pytest.mark.parametrize("params", [XFEAT, SIFT], ids=["xfeat", "sift"])
def test_the_truth_comes_first_and_what_is_foreign_last(album: Album, params: Params) -> None:
    true = truth(album)
    blurred = resize(resize(true, R // 8, R // 8), R, R)
    shifted = np.roll(true, (R // 10, R // 10), (0, 1))
    other = resize(data.coffee(), R, R)
    sample(album, [noise(), other, shifted, blurred, true])
    result = rank.run(album, params)
    order = [row.candidate for row in result.ranked]
    assert order[0] == 4
    assert set(order[-2:]) == {0, 1}
    inliers = {row.candidate: row.inliers for row in result.ranked}
    assert inliers[4] > 5 * max(inliers[number] for number in (0, 1, 2))


def test_what_is_written(album: Album) -> None:
    sample(album, [noise(), truth(album)])
    result = rank.run(album, XFEAT)
    rows = read_rows(result.folder / "ranking.parquet", RankedCandidate)
    assert tuple(rows) == result.ranked
    assert [row.rank for row in rows] == [1, 2]
    assert rows[0].score > rows[1].score
    assert rows[0].matches >= rows[0].inliers > 0
    assert rows[0].best_reference in {path.name for path in accepted_references(album)}
    assert rows[0].matcher == "xfeat"
    metrics = read_document(result.folder / "metrics.json")
    assert metrics == {"score": rows[0].score, "inliers": rows[0].inliers, "candidates": 2}
    height, width = read_png(result.folder / "matches.png").shape[:2]
    assert height > 300
    assert 1000 < width <= 1600


def test_same_inputs_same_bytes_whatever_the_number_of_threads(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    sample(album, [noise(), truth(album)])
    folders = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        folders.append(digest(rank.run(album, XFEAT).folder))
    assert folders[0] == folders[1]


def test_without_any_match_there_is_still_an_order_and_a_picture(album: Album) -> None:
    true = truth(album)
    mush = np.broadcast_to(true.mean(axis=(0, 1)).astype(np.uint8), true.shape)
    sample(album, [noise(), np.ascontiguousarray(mush)])
    best, worst = rank.run(album, SIFT).ranked
    assert (best.candidate, worst.candidate) == (1, 0)
    assert (best.inliers, best.best_reference) == (0, "")
    assert read_png(album.work("rank") / "matches.png").shape[1] <= 1600


def test_one_candidate_is_the_best_one(album: Album) -> None:
    sample(album, [truth(album)])
    assert [row.candidate for row in rank.run(album, SIFT).ranked] == [0]


def test_candidates_have_to_be_sampled_first(album: Album) -> None:
    with pytest.raises(StageError, match="realfill sample"):
        rank.run(album, SIFT)


def test_where_every_matching_fails_errors_make_the_order(
    album: Album, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(SiftMatcher, "extract_features", fail)
    monkeypatch.setattr(rank, "draw_matches", fail)
    sample(album, [noise(), truth(album)])
    best, worst = rank.run(album, SIFT).ranked
    assert (best.candidate, worst.candidate) == (1, 0)
    assert np.isfinite([best.score, worst.score]).all()
    assert read_png(album.work("rank") / "matches.png").any()
    assert "The drawing of the matches failed and is left out" in caplog.text
