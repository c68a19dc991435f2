"""The demo album: Middlebury's "motorcycle" stereo pair (CC0), which scikit-image includes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from realfill.core.atomic_io import new_directory
from realfill.core.errors import ModelError
from realfill.photo_io.working_files import write_png


@dataclass(frozen=True)
class DemoAlbumSettings:
    """Where the hole is, and how the references differ from the target.

    Attributes:
        hole: Left, right, top and bottom of the hole, as shares of the photo's width and height. Set by hand: it
            covers the middle of the motorcycle.
        baselines: Positions of the two rendered views on the line through the cameras; 0 is the left camera and 1 is
            the right one. Set by hand: one outside of the pair, one inside.
        exposure: Factors of red, green and blue in the last reference, as another exposure and white balance would
            have. Set by hand.
        supersampling: Columns that a view is rendered with for each column of the photo. Set by hand.
        gap_blur: Standard deviation of the blur in the parts of a view that no pixel of the photo shows, in pixels of
            the photo. Set by hand.
    """

    hole: tuple[float, float, float, float] = (0.36, 0.68, 0.33, 0.80)
    baselines: tuple[float, float] = (-0.6, 0.4)
    exposure: tuple[float, float, float] = (1.10, 1.05, 0.97)
    supersampling: int = 4
    gap_blur: float = 2.0


def write_demo_album(folder: Path, settings: DemoAlbumSettings = DemoAlbumSettings()) -> Path:
    """Write the demo album: the right photo with a hole in the middle of the motorcycle, and three references.

    The references are the left photo and two views rendered from it with its measured disparity. No pixel of the
    right photo is used for them.

    Returns:
        The folder.

    Raises:
        OutputError: The folder exists already.
        ModelError: scikit-image was installed without its photos.
    """
    with new_directory(folder) as partial:
        photos = Path(str(find_spec("skimage").origin)).parent / "data"  # type: ignore[union-attr]
        left, right = _read_photo(photos / "motorcycle_left.png"), _read_photo(photos / "motorcycle_right.png")
        disparity = _read_disparity(photos / "motorcycle_disp.npz")
        views = [render_view(left, disparity, baseline, settings) for baseline in settings.baselines]
        mask = hole_mask(right.shape[0], right.shape[1], settings)
        for name in ("target", "ref"):
            (partial / name).mkdir()
        write_png(partial / "target" / "gt.png", right)
        write_png(partial / "target" / "target.png", np.where(mask[..., None], np.uint8(255), right))
        write_png(partial / "target" / "mask.png", mask.astype(np.uint8) * 255)
        write_png(partial / "ref" / "0.png", left)
        write_png(partial / "ref" / "1.png", views[0])
        write_png(partial / "ref" / "2.png", _change_exposure(views[1], settings))
    return folder


def hole_mask(height: int, width: int, settings: DemoAlbumSettings = DemoAlbumSettings()) -> np.ndarray:
    """The hole in a photo of this size, [H, W] bool."""
    mask = np.zeros((height, width), bool)
    left, right, top, bottom = settings.hole
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return mask


def render_view(
    left: np.ndarray, disparity: np.ndarray, baseline: float, settings: DemoAlbumSettings = DemoAlbumSettings()
) -> np.ndarray:
    """Render the left photo as seen from another position on the baseline, by forward splatting.

    Args:
        left: [H, W, 3] uint8 sRGB.
        disparity: [H, W] float32, pixels between left and right photo; not finite where it was not measured.
        baseline: Position of the camera; 0 = the left camera, 1 = the right one, other values are possible.
        settings: Supersampling and blur of gaps.

    Returns:
        [H, W, 3] uint8 sRGB. Gaps that no pixel of the left photo is mapped to are filled with the more distant of
        the pixels beside them.
    """
    height, width = disparity.shape
    wide = width * settings.supersampling
    colors = cv2.resize(left, (wide, height), interpolation=cv2.INTER_NEAREST)
    depth = cv2.resize(_fill_disparity(disparity, left), (wide, height), interpolation=cv2.INTER_NEAREST)
    rows, columns = np.divmod(np.argsort(depth, axis=None, kind="stable"), wide)  # nearest last: it is drawn on top
    targets = np.rint(columns - baseline * settings.supersampling * depth[rows, columns]).astype(int)
    visible = (targets >= 0) & (targets < wide)
    view, view_depth = np.zeros_like(colors), np.zeros((height, wide), np.float32)
    view[rows[visible], targets[visible]] = colors[rows[visible], columns[visible]]
    view_depth[rows[visible], targets[visible]] = depth[rows[visible], columns[visible]]
    before, after = _neighbor_columns(view_depth > 0)
    farther = np.where(_take_columns(view_depth, before) <= _take_columns(view_depth, after), before, after)
    view = _blur_gaps(_take_columns(view, farther), view_depth == 0, settings)
    rendered: np.ndarray = cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA)
    return rendered


def _fill_disparity(disparity: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Fill gaps in a disparity map from the neighbor in the same row whose color is more similar.

    Args:
        disparity: [H, W] float32, not finite in the gaps.
        left: [H, W, 3] uint8 sRGB.

    Returns:
        [H, W] float32.
    """
    known = np.isfinite(disparity)
    colors = left.astype(np.float32)
    before, after = _neighbor_columns(known)
    distances = [np.linalg.norm(_take_columns(colors, side) - colors, axis=-1) for side in (before, after)]
    nearest = np.where(distances[0] <= distances[1], before, after)
    return _take_columns(np.where(known, disparity, 0).astype(np.float32), nearest)


def _neighbor_columns(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the nearest known pixels to the left and to the right.

    Args:
        known: [H, W] bool.

    Returns:
        Two [H, W] int arrays. Where one side has no known pixel, the other side's column is in both.
    """
    width = known.shape[1]
    columns = np.broadcast_to(np.arange(width), known.shape)
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after == width, before, after)
    return before.clip(0, width - 1), after.clip(0, width - 1)


def _take_columns(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values [H, W, ...] at other columns [H, W] of the same rows."""
    taken: np.ndarray = values[np.arange(len(values))[:, None], columns]
    return taken


def _blur_gaps(view: np.ndarray, gaps: np.ndarray, settings: DemoAlbumSettings) -> np.ndarray:
    """Blur a supersampled view [H, W, 3] uint8 inside its gaps [H, W] bool only."""
    weight = gaps.astype(np.float32)
    blurred, total = (
        cv2.GaussianBlur(plane, (0, 0), sigmaX=settings.supersampling * settings.gap_blur, sigmaY=settings.gap_blur)
        for plane in (view * weight[..., None], weight)
    )
    return np.where(gaps[..., None], np.rint(blurred / np.maximum(total, 1e-6)[..., None]), view).astype(np.uint8)


def _change_exposure(image: np.ndarray, settings: DemoAlbumSettings) -> np.ndarray:
    scaled = image.astype(np.float32) * np.array(settings.exposure, np.float32)
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _read_photo(path: Path) -> np.ndarray:
    """[H, W, 3] uint8 sRGB."""
    _require(path)
    photo: np.ndarray = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return photo


def _read_disparity(path: Path) -> np.ndarray:
    """[H, W] float32, pixels; not finite where it was not measured."""
    _require(path)
    with np.load(path, allow_pickle=False) as archive:
        disparity: np.ndarray = archive["arr_0"]
        return disparity


def _require(path: Path) -> None:
    if not path.is_file():
        raise ModelError("The demo's photos are missing.", "Install scikit-image from a complete wheel.", path)
