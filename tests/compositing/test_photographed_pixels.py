"""Holes that are filled with photographed pixels only."""

import numpy as np
import pytest
import skimage.data

from realfill.album.placement import CERTAIN, Proposal
from realfill.album.schemas import Window
from realfill.compositing.photographed_pixels import (
    classify_photographed,
    compute_photographed_shares,
    find_photographed,
    make_left_transparent,
    picture_photographed,
    place_photographed,
)
from realfill.core.params import BlendParams
from realfill.photo_io.photo import Photo
from support.scenes import rectangle_mask

SHAPE = (200, 300)
MASK = rectangle_mask(SHAPE, slice(60, 140), slice(100, 200))
TRUTH = skimage.data.coffee()[:200, :300]
CANVAS = np.where(MASK[..., None] > 0, np.uint8(128), TRUTH)
WINDOW = Window("file", 300, 200, 0, 0, 300, 200, 50, -50, 300, 0.13)


def propose(offset: int = 0) -> Proposal:
    """Certain in the left half of the hole, uncertain in the rest, nothing in its last rows; darker by an offset."""
    confidence = np.full(SHAPE, CERTAIN - 1, np.uint8)
    confidence[:, :150] = 255
    confidence[130:] = 0
    return Proposal(0, 0, (TRUTH.astype(int) - offset).clip(0, 255).astype(np.uint8), confidence)


def test_only_what_is_certain_changes() -> None:
    placed = find_photographed(MASK, propose())
    assert placed[60:120, 100:150].all()
    assert not placed[:, 150:].any()
    assert not placed[130:].any()
    assert not placed[MASK == 0].any()
    patch = place_photographed(CANVAS, MASK, WINDOW, propose(), BlendParams(feather=3.0))
    assert set(np.unique(patch.weight)) == {0, 1}
    completed = CANVAS.copy()
    completed[patch.area] = patch.composite(np.rint(patch.colors * 255), CANVAS[patch.area])
    assert np.array_equal(completed[~placed], CANVAS[~placed])
    assert np.abs(completed[placed].astype(int) - TRUTH[placed]).mean() < 2


def test_the_placed_pixels_get_the_light_of_the_photo() -> None:
    errors = []
    for match_color in (False, True):
        patch = place_photographed(CANVAS, MASK, WINDOW, propose(12), BlendParams(match_color=match_color))
        shown = patch.weight > 0
        errors.append(np.abs(patch.colors[shown] * 255 - TRUTH[patch.area][shown]).mean())
    assert errors[1] < 4 < errors[0]


def test_without_a_proposal_nothing_changes() -> None:
    patch = place_photographed(CANVAS, MASK, WINDOW, None, BlendParams())
    assert not patch.weight.any()
    assert compute_photographed_shares(find_photographed(MASK, None), MASK) == {
        "reference_pixel": 0.0,
        "confirmed": 0.0,
        "generated_only": 0.0,
        "left": 1.0,
        "score": 0.0,
    }


def test_the_map_and_the_shares_tell_what_was_left() -> None:
    placed = rectangle_mask(SHAPE, slice(60, 140), slice(100, 125)) > 0
    classes = classify_photographed(placed)
    assert (classes[placed] == 255).all()
    assert not classes[~placed].any()
    shares = compute_photographed_shares(placed, MASK)
    assert (shares["reference_pixel"], shares["left"], shares["score"]) == (0.25, 0.75, 0.25)


def test_the_picture_shows_certain_pixels_and_the_canvas() -> None:
    picture = picture_photographed(CANVAS, MASK, WINDOW, propose())
    assert picture.shape == (300, 300, 3)
    assert np.array_equal(picture[50 + 70, 60:90], TRUTH[70, 110:140])
    assert (picture[50 + 70, 110:140] == 128).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_left_beyond_an_outpainted_photo_becomes_transparent(dtype: type[np.unsignedinteger]) -> None:
    window = Window("outpaint", 300, 200, 0, 0, 250, 200, 0, 0, 300, 0.2)
    left = rectangle_mask(SHAPE, slice(0, 200), slice(230, 280)) > 0
    photo = Photo(np.ones((*SHAPE, 3), dtype), None, None, "PNG", 1)
    alpha = make_left_transparent(photo, window, left).alpha
    assert alpha is not None
    assert alpha.dtype == dtype
    assert (alpha[:, 250:280] == 0).all()
    assert (alpha[:, :250] == np.iinfo(dtype).max).all()
    assert (alpha[:, 280:] == np.iinfo(dtype).max).all()


def test_a_photo_without_such_pixels_gets_no_alpha_channel() -> None:
    photo = Photo(np.ones((*SHAPE, 3), np.uint8), None, None, "PNG", 1)
    assert make_left_transparent(photo, WINDOW, MASK > 0) is photo
