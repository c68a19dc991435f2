"""Photos with a hole, windows around it, candidates for it, and measures of what fills it."""

import cv2
import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.schemas import Window
from realfill.imaging.ops import resize

CAST = np.array([1.06, 0.97, 0.9]) * 255, np.array([8, -3, -10])  # gain and offset, in 8-bit levels


def window_at(mask: np.ndarray, left: int, top: int, side: int) -> Window:
    """A window of a canvas that is the photo."""
    height, width = mask.shape
    return Window("file", width, height, 0, 0, width, height, left, top, side, float((mask > 0).mean()))


def blank_out(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A photo with a gray hole, [H, W, 3] float32 in 0..1."""
    return np.where(mask[..., None] > 0, np.uint8(128), photo).astype(np.float32) / 255


def perfect_candidate(photo: np.ndarray, window: Window, resolution: int, cast: bool = False) -> np.ndarray:
    """A candidate that shows the truth at the model's resolution, perhaps with a color cast."""
    small = resize(crop_window(photo, window), resolution, resolution).astype(np.float32) / 255
    gain, offset = CAST if cast else (255, 0)
    return np.rint((small * gain + offset).clip(0, 255)).astype(np.uint8)


def beyond_feather(mask: np.ndarray, feather: int) -> np.ndarray:
    """Pixels farther from the hole than the feather, bool."""
    distance = cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance > feather)


def psnr(image: np.ndarray, truth: np.ndarray, region: np.ndarray) -> float:
    """Of an image, float in 0..1, against an 8-bit photo, in a region or a mask."""
    return float(-10 * np.log10(((image - truth / 255)[region > 0] ** 2).mean()))


def fine_energy(image: np.ndarray, region: np.ndarray) -> float:
    """Energy of what is finer than about four pixels, of an image in 0..1."""
    luma = image @ np.array([0.299, 0.587, 0.114])
    return float(((luma - cv2.GaussianBlur(luma, (0, 0), 2)) ** 2)[region].mean())
