"""The demo album: Middlebury's "motorcycle" stereo pair (CC0), which comes with scikit-image."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from realfill.core.atomic_io import atomic_directory
from realfill.core.errors import AlbumError, ModelError
from realfill.photo_io.working_files import write_png

HOLE = (0.36, 0.68, 0.33, 0.80)
_FINE = 4  # times as many columns as the photo has, in which a view is rendered
_SMOOTH = 2.0  # pixels of the photo: blur of what no pixel of it shows


def write_demo_album(folder: Path) -> Path:
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
    with atomic_directory(folder) as beside:
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
        [H, W, 3] uint8 sRGB; where no pixel of the left photo goes, the farther side is continued.
    """
    height, width = disparity.shape
    wide = width * _FINE
    fine = cv2.resize(left, (wide, height), interpolation=cv2.INTER_NEAREST)
    depth = cv2.resize(_completed(disparity, left), (wide, height), interpolation=cv2.INTER_NEAREST)
    rows, columns = np.divmod(np.argsort(depth, axis=None, kind="stable"), wide)  # the nearest last
    places = np.rint(columns - baseline * _FINE * depth[rows, columns]).astype(int)
    inside = (places >= 0) & (places < wide)
    view, drawn = np.zeros_like(fine), np.zeros((height, wide), np.float32)
    view[rows[inside], places[inside]] = fine[rows[inside], columns[inside]]
    drawn[rows[inside], places[inside]] = depth[rows[inside], columns[inside]]
    before, after = _neighbours(drawn > 0)
    farther = np.where(_along(drawn, before) <= _along(drawn, after), before, after)
    view = _smoothed(_along(view, farther), drawn == 0)
    rendered: np.ndarray = cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA)
    return rendered


def _completed(disparity: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Disparity [H, W] float32; where it was not measured, that of the neighbour whose colour is more similar."""
    known = np.isfinite(disparity)
    colours = left.astype(np.float32)
    before, after = _neighbours(known)
    apart = [np.linalg.norm(_along(colours, ends) - colours, axis=-1) for ends in (before, after)]
    return _along(np.where(known, disparity, 0).astype(np.float32), np.where(apart[0] <= apart[1], before, after))


def _neighbours(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the next known pixel to the left and right, each [H, W]; at the edges the one for the other."""
    width = known.shape[1]
    columns = np.broadcast_to(np.arange(width), known.shape)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == width, before, after)
    return before.clip(0, width - 1), after.clip(0, width - 1)


def _along(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    taken: np.ndarray = values[np.arange(len(values))[:, None], columns]
    return taken


def _smoothed(view: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Blur a view [H, W, 3] inside its gaps [H, W] bool only."""
    weight = gaps.astype(np.float32)
    blurred, total = (
        cv2.GaussianBlur(plane, (0, 0), sigmaX=_FINE * _SMOOTH, sigmaY=_SMOOTH)
        for plane in (view * weight[..., None], weight)
    )
    return np.where(gaps[..., None], np.rint(blurred / np.maximum(total, 1e-6)[..., None]), view).astype(np.uint8)


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
