"""Where pseudo-holes lie, and how ways of filling are judged by them."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from realfill.compositing.pseudo_holes import PseudoHoleSettings, make_pseudo_holes, measure_errors
from realfill.compositing.scene import Scene
from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels
from realfill.matching.correspondences import Matches
from support.scenes import make_scene, rectangle_mask

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200), interpolation=cv2.INTER_AREA)
MASK = rectangle_mask(PHOTO.shape, slice(70, 130), slice(110, 190))
POINTS = np.stack(np.meshgrid(np.arange(2, 300, 4), np.arange(2, 200, 4)), axis=-1).reshape(-1, 2).astype(np.float32)
MATCHES = Matches(POINTS, POINTS, np.ones(len(POINTS), np.float32))
SCENE = make_scene([PHOTO, PHOTO, PHOTO], MASK, {(0, 1): MATCHES, (1, 2): MATCHES})

Way = Callable[[Scene], Pixels | None]


def show(photo: np.ndarray) -> Way:
    """A way that fills with what another photo of the same size shows."""
    return lambda scene: scene.region.crop(photo)


def blurred(sigma: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(PHOTO, (0, 0), sigma))


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)), st.integers(0, 9))
def test_pseudo_holes_are_disjoint_and_lie_outside_the_hole(hole: np.ndarray, max_count: int) -> None:
    hole[hole.shape[0] // 2, hole.shape[1] // 2] = True
    mask = np.where(hole, np.uint8(255), np.uint8(0))
    pseudo_holes = make_pseudo_holes(mask, PseudoHoleSettings(max_count=max_count))
    assert len(pseudo_holes) <= max_count
    assert all(piece.any() and piece.shape == mask.shape and piece.dtype == bool for piece in pseudo_holes)
    assert np.sum([hole, *pseudo_holes], axis=0).max() == 1


def test_they_are_copies_of_half_the_size_that_touch_the_box_of_the_hole() -> None:
    mask = np.zeros((200, 300), np.uint8)
    cv2.ellipse(mask, (150, 100), (40, 30), 0, 0, 360, 255, -1)
    left, top, width, height = cv2.boundingRect(mask)
    around = np.zeros(mask.shape, bool)
    around[top - 1 : top + height + 1, left - 1 : left + width + 1] = True
    pseudo_holes = make_pseudo_holes(mask)
    assert len(pseudo_holes) == 6
    for piece in pseudo_holes:
        x, y, piece_width, piece_height = cv2.boundingRect(piece.astype(np.uint8))
        assert (piece_width, piece_height) == pytest.approx((width / 2, height / 2), abs=1)
        assert around[y : y + piece_height, x : x + piece_width].any()
        assert piece.sum() == pytest.approx((mask > 0).sum() / 4, rel=0.08)
    assert not any(piece[top : top + height, left : left + width].any() for piece in pseudo_holes)


def test_they_keep_a_distance() -> None:
    pieces = [piece.astype(np.uint8) for piece in make_pseudo_holes(MASK, PseudoHoleSettings(gap=0.2))]
    assert len(pieces) > 3
    reach = np.ones((2 * 15 + 1, 2 * 15 + 1))  # .2 of 80 pixels is 16
    for number, piece in enumerate(pieces):
        widened = cv2.dilate(piece, reach)
        assert not any((widened & other).any() for other in pieces[:number])


@pytest.mark.parametrize(("max_count", "count"), [(0, 0), (1, 1), (4, 4), (99, 8)])
def test_there_are_as_many_as_asked_for(max_count: int, count: int) -> None:
    assert len(make_pseudo_holes(MASK, PseudoHoleSettings(max_count=max_count))) == count


@pytest.mark.parametrize("rim", [0, 3])
def test_there_are_none_where_the_hole_leaves_no_room(rim: int) -> None:
    mask = rectangle_mask((100, 150), slice(rim, 100 - rim), slice(rim, 150 - rim))
    assert make_pseudo_holes(mask) == []


def test_a_hole_at_the_border_has_them_where_there_is_room() -> None:
    mask = rectangle_mask((100, 150), slice(0, 100), slice(0, 60))
    (piece,) = make_pseudo_holes(mask)
    assert cv2.boundingRect(piece.astype(np.uint8)) == (60, 25, 30, 50)


def test_a_way_that_knows_the_truth_makes_no_error() -> None:
    assert measure_errors(SCENE, {"truth": show(PHOTO)}) == {"truth": 0}


def test_a_way_cannot_read_what_it_has_to_restore() -> None:
    ways: dict[str, Way] = {
        "canvas": lambda scene: scene.region.crop(scene.region.canvas),
        "photo": lambda scene: scene.region.crop(scene.photos[0]),
        "guess": lambda scene: np.full((*scene.region.full_size[::-1], 3), 128, np.uint8),
    }
    errors = measure_errors(SCENE, ways)
    assert errors["guess"] > 20
    assert errors["canvas"] == errors["photo"] == errors["guess"]


def test_a_way_sees_a_larger_hole_and_no_matches_in_it() -> None:
    scenes: list[Scene] = []
    measure_errors(SCENE, {"look": scenes.append})
    (hidden,) = scenes
    pseudo_holes = np.logical_or.reduce(make_pseudo_holes(MASK))
    np.testing.assert_array_equal(hidden.region.mask > 0, (MASK > 0) | pseudo_holes)
    columns, rows = POINTS.astype(int).T
    near = cv2.dilate(pseudo_holes.astype(np.uint8), np.ones((5, 5)))[rows, columns] > 0
    assert near.any()
    np.testing.assert_array_equal(hidden.matches[0, 1].points0, POINTS[~near])
    assert hidden.matches[1, 2] is MATCHES


def test_the_way_that_restores_better_has_the_smaller_error() -> None:
    sharp = cv2.resize(skimage.data.coffee(), (1200, 800))
    mask = rectangle_mask(sharp.shape, slice(280, 520), slice(440, 760))
    sizes = []

    def show_reduced(sigma: float) -> Way:
        def fill(scene: Scene) -> Pixels:
            height, width = scene.region.mask.shape
            sizes.append((width, height))
            return scene.region.crop(cv2.resize(blurred(sigma), (width, height)))

        return fill

    errors = measure_errors(make_scene([sharp], mask), {str(sigma): show_reduced(sigma) for sigma in (9, 1, 3)})
    assert sorted(errors, key=errors.__getitem__) == ["1", "3", "9"]
    assert set(sizes) == {(400, 267)}


def test_an_error_is_a_root_mean_square_over_all_pseudo_holes() -> None:
    pseudo_holes = make_pseudo_holes(MASK)
    wrong = PHOTO.astype(np.int16)
    wrong[pseudo_holes[0]] += np.where(wrong[pseudo_holes[0]] < 128, 40, -40).astype(np.int16)
    share = pseudo_holes[0].sum() / sum(piece.sum() for piece in pseudo_holes)
    errors = measure_errors(SCENE, {"wrong": show(wrong.astype(np.uint8))})
    assert errors["wrong"] == pytest.approx(40 * np.sqrt(share))


def test_a_way_is_not_judged_elsewhere() -> None:
    elsewhere = ~np.logical_or.reduce(make_pseudo_holes(MASK))
    assert measure_errors(SCENE, {"way": show(np.where(elsewhere[..., None], np.uint8(0), PHOTO))}) == {"way": 0}


@pytest.mark.parametrize("error", [MemoryError("95.4 GiB"), cv2.error("bad argument"), np.linalg.LinAlgError("!")])
def test_a_way_that_cannot_fill_is_left_out(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    def fail(_: Scene) -> Pixels:
        raise error

    ways: dict[str, Way] = {"fails": fail, "gives up": lambda _: None, "works": show(blurred(2))}
    assert list(measure_errors(SCENE, ways)) == ["works"]
    assert f"The trial of fails failed and is left out ({type(error).__name__} {error})" in caplog.text


def test_an_error_that_the_user_can_mend_is_not_a_failure() -> None:
    def fail(_: Scene) -> Pixels:
        raise PhotoError("It is damaged.", "Replace it.")

    with pytest.raises(PhotoError):
        measure_errors(SCENE, {"fails": fail})


def test_where_there_is_no_room_no_way_is_tried() -> None:
    scene = make_scene([PHOTO], rectangle_mask(PHOTO.shape, slice(5, 195), slice(5, 295)))
    assert measure_errors(scene, {"fails": lambda _: pytest.fail("is not tried")}) == {}
