"""The demo album: Middlebury's "motorcycle" stereo pair (CC0), which comes with scikit-image."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from realfill.errors import AlbumError, ModelError
from realfill.files import publishing
from realfill.images import write_png

HOLE = (0.36, 0.68, 0.33, 0.80)


def write_album(folder: Path) -> Path:
    """Write the album: the right photo with a hole over the heart of the machine, and three references.

    The references are the left photo and two views rendered from it with its measured disparity, so that
    nothing of the truth leaks into them.

    Raises:
        AlbumError: The folder exists already.
        ModelError: scikit-image came without its photos.
    """
    if folder.exists():
        raise AlbumError("The folder exists already.", "Name another one, or remove it.", folder)
    photos = Path(str(find_spec("skimage").origin)).parent / "data"  # type: ignore[union-attr]
    left, right, disparity = (_read(photos / f"motorcycle_{name}") for name in ("left.png", "right.png", "disp.npz"))
    mask = hole(right.shape[0], right.shape[1])
    with publishing(folder) as beside:
        for name in ("target", "ref"):
            (beside / name).mkdir()
        write_png(beside / "target" / "gt.png", right)
        write_png(beside / "target" / "target.png", np.where(mask[..., None], np.uint8(255), right))
        write_png(beside / "target" / "mask.png", mask.astype(np.uint8) * 255)
        write_png(beside / "ref" / "0.png", left)
        write_png(beside / "ref" / "1.png", render(left, disparity, -0.6))
        write_png(beside / "ref" / "2.png", _warmer(render(left, disparity, 0.4)))
    return folder


def hole(height: int, width: int) -> np.ndarray:
    """[H, W] bool: 36-68 % of the width, 33-80 % of the height."""
    mask = np.zeros((height, width), bool)
    left, right, top, bottom = HOLE
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return mask


def render(left: np.ndarray, disparity: np.ndarray, baseline: float) -> np.ndarray:
    """Forward-splat the left photo into a camera further along the baseline.

    Args:
        left: [H, W, 3] uint8 sRGB.
        disparity: [H, W] float32, pixels between left and right; not finite where it was not measured.
        baseline: 0 = the left camera, 1 = the right one; outside as well.

    Returns:
        [H, W, 3] uint8 sRGB; what no pixel of the left photo reaches is inpainted.
    """
    height, width = disparity.shape
    known = np.isfinite(disparity)
    fine = cv2.resize(left, (2 * width, height), interpolation=cv2.INTER_LINEAR)
    depth = cv2.resize(np.where(known, disparity, 0), (2 * width, height), interpolation=cv2.INTER_NEAREST)
    measured = cv2.resize(known.astype(np.uint8), (2 * width, height), interpolation=cv2.INTER_NEAREST) > 0
    rows, columns = np.nonzero(measured)
    nearest_last = np.argsort(depth[rows, columns], kind="stable")
    rows, columns = rows[nearest_last], columns[nearest_last]
    places = np.rint((columns - 0.5) / 2 - baseline * depth[rows, columns]).astype(int)
    inside = (places >= 0) & (places < width)
    view = np.zeros_like(left)
    gaps = np.full((height, width), 255, np.uint8)
    view[rows[inside], places[inside]] = fine[rows[inside], columns[inside]]
    gaps[rows[inside], places[inside]] = 0
    filled: np.ndarray = cv2.inpaint(view, gaps, 3, cv2.INPAINT_TELEA)
    return filled


def _warmer(image: np.ndarray) -> np.ndarray:
    """A little brighter and warmer, as another exposure would be."""
    lit = image.astype(np.float32) * np.array([1.10, 1.05, 0.97], np.float32)
    return np.rint(lit.clip(0, 255)).astype(np.uint8)


def _read(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ModelError("The demo's photos are missing.", "Install scikit-image from a complete wheel.", path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            array: np.ndarray = archive["arr_0"]
            return array
    photo: np.ndarray = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return photo
