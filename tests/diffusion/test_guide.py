from dataclasses import asdict

import cv2
import numpy as np
import pytest

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN, read_completed_canvas
from realfill.album.schemas import PlacementSummary
from realfill.core.atomic_io import write_json
from realfill.diffusion.album_inputs import read_guide
from realfill.diffusion.guide import Guide, restore_detail
from realfill.photo_io.working_files import read_png, write_png

SIDE = 64
BLUE = (10, 10, 250)


@pytest.fixture
def completed(album: Album) -> Album:
    """The album where nothing is placed and patches complete the hole in blue, at half the size."""
    height, width = read_png(album.work("masks") / "mask.png").shape
    write_json(
        album.work("align") / "placed.json", asdict(PlacementSummary("none", (0, 0, width, height), (), 0.0, 0.0))
    )
    write_png(album.work("align") / "completed.png", np.full((height // 2, width // 2, 3), BLUE, np.uint8))
    return album


@pytest.fixture
def placed(completed: Album) -> Album:
    """The same with red pixels placed all over its canvas, certain in the left half, and a gap in the hole."""
    album = completed
    mask = read_png(album.work("masks") / "mask.png")
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    confidence = np.full(mask.shape, CERTAIN, np.uint8)
    confidence[:, int(columns.mean()) :] = CERTAIN - 1
    confidence[int(rows.mean()) :, : int(columns.mean())] = 0
    summary = PlacementSummary("depth", (0, 0, width, height), ("ref.png",), 0.7, 0.3)
    write_json(album.work("align") / "placed.json", asdict(summary))
    write_png(album.work("align") / "proposal.png", np.full((*mask.shape, 3), (250, 10, 10), np.uint8))
    write_png(album.work("align") / "confidence.png", confidence)
    return album


def test_there_is_no_guide_where_nothing_is_completed(album: Album) -> None:
    assert read_guide(album, SIDE, 0.5) is None


def test_where_nothing_is_placed_the_guide_shows_patches_and_keeps_nothing(completed: Album) -> None:
    guide = read_guide(completed, SIDE, 0.5)
    assert guide is not None
    image, mask = read_model_window(completed, SIDE)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) == 0
    assert inside.any()
    assert (guide.init_image[inside] == BLUE).all()
    np.testing.assert_array_equal(guide.init_image[outside], image[outside])
    assert not guide.placed_mask.any()
    assert not guide.keep_weight.any()


def test_a_completed_canvas_changes_inside_its_hole_only(completed: Album) -> None:
    canvas = read_completed_canvas(completed)
    assert canvas is not None
    hole = read_png(completed.work("masks") / "mask.png") > 0
    assert (canvas[hole] == BLUE).all()
    np.testing.assert_array_equal(canvas[~hole], read_png(completed.work("masks") / "canvas.png")[~hole])


def test_the_guide_shows_what_is_placed_and_patches_in_the_gaps(placed: Album) -> None:
    guide = read_guide(placed, SIDE, 0.25)
    assert guide is not None
    image, mask = read_model_window(placed, SIDE)
    assert (guide.init_image.shape, guide.placed_mask.shape, guide.keep_weight.shape) == (
        (SIDE, SIDE, 3),
        (SIDE, SIDE),
        (SIDE, SIDE),
    )
    assert guide.strength == 0.25
    assert (guide.init_image[guide.placed_mask] == (250, 10, 10)).all(), "around the hole as well"
    known = ~guide.placed_mask & ~mask
    assert known.any()
    np.testing.assert_array_equal(guide.init_image[known], image[known])
    gap = ~guide.placed_mask & mask
    assert gap.any()
    assert (guide.init_image[gap & (cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0)] == BLUE).all()


def test_only_what_is_certain_is_kept_and_only_inside_the_hole(placed: Album) -> None:
    guide = read_guide(placed, SIDE, 0.25)
    assert guide is not None
    _, mask = read_model_window(placed, SIDE)
    assert guide.keep_weight.max() == pytest.approx(1)
    assert not guide.keep_weight[~mask].any()
    assert not guide.keep_weight[:, SIDE // 2 + 2 :].any()
    assert guide.placed_mask[mask][-1], "what is uncertain is placed, but not kept"


def test_detail_comes_back_only_where_the_candidate_still_shows_what_was_placed() -> None:
    rng = np.random.default_rng(0)
    detailed = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    decoded = np.clip(detailed // 2 + 64, 0, 255).astype(np.uint8)
    candidate = decoded.copy()
    candidate[:, SIDE // 2 :] = rng.integers(0, 256, (SIDE, SIDE // 2, 3))
    mask = np.ones((SIDE, SIDE), bool)
    mask[:8] = False
    guide = Guide(detailed, np.ones((SIDE, SIDE), bool), np.ones((SIDE, SIDE), np.float32), 0.5)
    restored = restore_detail(candidate, guide, decoded, mask).astype(int)
    same, other = np.s_[16:60, 4:24], np.s_[16:60, 40:60]
    assert np.abs(restored[same] - detailed[same]).mean() < 3
    assert (
        np.abs(restored[other] - candidate[other]).mean()
        < 0.3 * np.abs(detailed[other].astype(int) - decoded[other]).mean()
    )
    np.testing.assert_array_equal(restored[:4], candidate[:4])
