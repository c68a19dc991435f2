"""Which parts of a mosaic are mistakes, on references that show the same photo but for a strip."""

import cv2
import numpy as np
import skimage.data

from realfill.compositing.unjoined_parts import find_unjoined_parts
from realfill.compositing.warped_reference import WarpedReference
from support.warped_references import warped_reference

PHOTO = cv2.resize(skimage.data.coffee(), (90, 60)).astype(np.float32) / 255
STRIP = np.repeat(np.arange(60)[:, None] >= 48, 90, axis=1)  # what the first reference does not show
LABELS = STRIP.astype(int)


def first() -> WarpedReference:
    return warped_reference(np.where(STRIP[..., None], 0, PHOTO).astype(np.float32), valid=~STRIP)


def wrong(visible: np.ndarray | None = None, valid: np.ndarray | None = None) -> WarpedReference:
    """A reference that shows something else along the strip, and beside it."""
    colors = PHOTO.copy()
    colors[40:] = 1 - PHOTO[40:]
    return warped_reference(colors, visible, valid)


def test_a_part_that_differs_along_its_seam_is_a_mistake() -> None:
    np.testing.assert_array_equal(find_unjoined_parts([first(), wrong()], LABELS), STRIP)


def test_a_part_that_joins_is_none_and_one_that_lies_off_by_a_few_pixels() -> None:
    stripes = np.repeat((np.arange(90) // 4 % 2)[None, :, None], 60, axis=0) * np.ones(3, np.float32)
    plain = warped_reference(stripes.astype(np.float32), valid=~STRIP)
    for shift in (0, 4):
        other = warped_reference(np.roll(stripes, shift, axis=1).astype(np.float32))
        assert not find_unjoined_parts([plain, other], LABELS).any()


def test_a_part_that_another_reference_confirms_is_none() -> None:
    references = [first(), wrong(), wrong()]
    assert not find_unjoined_parts(references, LABELS).any()
    hidden = wrong(visible=~STRIP)
    assert find_unjoined_parts([first(), wrong(), hidden], LABELS)[STRIP].all(), "what is hidden confirms nothing"


def test_a_part_of_which_nothing_is_seen_beside_its_seam_is_none() -> None:
    assert not find_unjoined_parts([first(), wrong(valid=STRIP)], LABELS).any()


def test_a_part_in_other_light_is_none() -> None:
    assert not find_unjoined_parts([first(), warped_reference(PHOTO + np.float32(0.2))], LABELS).any()


def test_the_largest_part_is_kept_and_a_speck_is_judged() -> None:
    confirmed = warped_reference(1 - PHOTO)
    assert not find_unjoined_parts([first(), confirmed, confirmed], LABELS).any(), "the strip is confirmed"
    speck = np.zeros(PHOTO.shape[:2], int)
    speck[44:47, 40:43] = 1
    np.testing.assert_array_equal(find_unjoined_parts([first(), wrong()], speck), speck == 1)
