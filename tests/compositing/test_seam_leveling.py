import cv2
import numpy as np
import skimage.data

from realfill.compositing.seam_leveling import estimate_seam_offsets

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 510 + 0.2
LABELS = np.zeros((200, 300), int)
LABELS[:, 150:] = 1
EVERYWHERE = np.ones((200, 300), bool)


def mosaic(other: np.ndarray) -> np.ndarray:
    pictures = [PHOTO, other]
    offsets = estimate_seam_offsets(pictures, [EVERYWHERE, EVERYWHERE], LABELS)
    leveled = [picture + cv2.resize(offset, (300, 200)) for picture, offset in zip(pictures, offsets, strict=True)]
    return np.where(LABELS[..., None] == 0, *leveled)


def test_a_step_of_light_between_two_pictures_is_leveled_and_one_of_content_is_not() -> None:
    brighter = mosaic(PHOTO + np.float32(0.1)) - PHOTO
    assert np.abs(brighter[:, 149] - brighter[:, 150]).max() < 0.01  # was 0.1
    assert np.abs(np.diff(brighter, axis=1)).max() < 0.02
    other = PHOTO + np.float32(0.4)
    np.testing.assert_allclose(mosaic(other), np.where(LABELS[..., None] == 0, PHOTO, other), atol=1e-6)


def test_pictures_beyond_the_256th_are_leveled_too() -> None:
    pictures = [PHOTO] * 257 + [PHOTO + np.float32(0.1)]
    labels = np.where(LABELS == 1, 257, 0)
    offsets = estimate_seam_offsets(pictures, [EVERYWHERE] * 258, labels)
    assert offsets[0].mean() - offsets[257].mean() > 0.02


def test_what_a_picture_does_not_show_is_not_leveled() -> None:
    valid = EVERYWHERE.copy()
    valid[:, :150] = False
    hidden = np.where(valid[..., None], PHOTO, np.float32(0))
    shown = estimate_seam_offsets([PHOTO, PHOTO], [EVERYWHERE, EVERYWHERE], LABELS)
    partly = estimate_seam_offsets([PHOTO, hidden], [EVERYWHERE, valid], LABELS)
    assert all(np.abs(offset).max() < 0.05 for offset in (*shown, *partly))


def test_a_single_picture_needs_no_offset() -> None:
    (offset,) = estimate_seam_offsets([PHOTO], [EVERYWHERE], np.zeros((200, 300), int))
    assert not offset.any()
