"""The demo album: Middlebury's "motorcycle" stereo pair (CC0), which scikit-image includes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import cKDTree

from realfill.core.atomic_io import new_directory
from realfill.core.errors import ModelError
from realfill.photo_io.working_files import write_png


@dataclass(frozen=True)
class DemoAlbumSettings:
    """Where the hole is, how the references differ from the target, and how two of them are rendered.

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
        depth_edge: Least difference of the disparities at a depth edge, pixels. Set by hand.
        edge_radius: Pixels this near to a depth edge may be mixtures. Set by hand.
        edge_sigma: Standard deviation of the average that tells a mixture's colors, pixels. Set by hand.
        noise: Difference of colors that tells nothing, of 441. Set by hand.
        color_scale: Difference of color, where disparity is filled, that counts as a pixel's distance. Set by hand.
    """

    hole: tuple[float, float, float, float] = (0.36, 0.68, 0.33, 0.80)
    baselines: tuple[float, float] = (-0.6, 0.4)
    exposure: tuple[float, float, float] = (1.10, 1.05, 0.97)
    supersampling: int = 4
    gap_blur: float = 2.0
    depth_edge: float = 2.0
    edge_radius: int = 2
    edge_sigma: float = 1.5
    noise: float = 20.0
    color_scale: float = 5.0


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
    """Render the left photo as seen from another position on the baseline, by forward splatting of two layers.

    A pixel at a depth edge is a mixture of near and far. Moved as a whole it would be a speck or a halo. So the far
    layer goes on behind the rim of near things, and the near layer covers it as far as it covers the pixel.

    Args:
        left: [H, W, 3] uint8 sRGB.
        disparity: [H, W] float32, pixels between left and right photo; not finite where it was not measured, finite
            somewhere.
        baseline: Position of the camera; 0 = the left camera, 1 = the right one, other values are possible.
        settings: Depth edges, supersampling and blur of gaps.

    Returns:
        [H, W, 3] uint8 sRGB. Gaps that no pixel of the left photo is mapped to mirror what lies farther beside them,
        blurred.
    """
    far, near = _separate_layers(left, _fill_disparity(disparity, left, settings), settings)
    far = _fill_gaps(_splat(far, far[..., 3], baseline, settings), settings)
    near = _splat(near, near[..., 3] * near[..., 4], baseline, settings)
    alpha = np.where(near[..., 3] >= far[..., 3] - settings.depth_edge, near[..., 4], 0)[..., None]
    view = alpha * near[..., :3] + (1 - alpha) * far[..., :3]
    rendered = cv2.resize(view, disparity.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.rint(rendered.clip(0, 255)).astype(np.uint8)


def _fill_disparity(disparity: np.ndarray, left: np.ndarray, settings: DemoAlbumSettings) -> np.ndarray:
    """Fill gaps in a disparity map from the pixels that are alike in place and color.

    Values between those on both sides of a depth edge are filled as well: nothing lies there. Both disparity maps are
    [H, W] float32, the photo is [H, W, 3] uint8 sRGB.
    """
    rows, columns = np.indices(disparity.shape)
    features = np.dstack([rows, columns, left / settings.color_scale])

    def fill(known: np.ndarray) -> np.ndarray:
        filled = disparity.astype(np.float32)
        _, alike = cKDTree(features[known]).query(features[~known])
        filled[~known] = disparity[known][alike]
        return filled

    known = np.isfinite(disparity)
    filled = fill(known)
    for shape in ((1, 3), (3, 1)):
        low, high = cv2.erode(filled, np.ones(shape)), cv2.dilate(filled, np.ones(shape))
        known = known & ((filled < low + settings.depth_edge) | (filled > high - settings.depth_edge))
    filled = fill(known)
    return np.where(known, filled, cv2.medianBlur(filled, 3))


def _separate_layers(left: np.ndarray, depth: np.ndarray, settings: DemoAlbumSettings) -> np.ndarray:
    """Separate the pixels beside depth edges into what is far and what is near.

    Args:
        left: [H, W, 3] uint8 sRGB.
        depth: [H, W] float32 disparity.
        settings: Depth edges.

    Returns:
        [2, H, W, 5] float32: the far layer, which is the photo but for these pixels, and the near one. They have
        sRGB, disparity and the share of the pixel that they cover.
    """
    window = np.ones((2 * settings.edge_radius + 1,) * 2)
    low, high = cv2.erode(depth, window), cv2.dilate(depth, window)
    at = np.nonzero(high - low > settings.depth_edge)
    low, high = low[at], high[at]
    far, near = _average_sides(np.dstack([left, depth]).astype(np.float32), at, (low, high), settings)
    colors, span = left[at].astype(np.float32), near[:, :3] - far[:, :3]
    contrast = (span**2).sum(axis=-1)
    alpha = (((colors - far[:, :3]) * span).sum(axis=-1) / np.maximum(contrast, 1)).clip(0, 1)
    misfit = ((colors - far[:, :3] - alpha[:, None] * span) ** 2).sum(axis=-1)
    trust = contrast / (contrast + misfit + settings.noise**2)
    alpha = (trust * alpha + (1 - trust) * (depth[at] > (low + high) / 2))[:, None]
    near[:, :3] = (far[:, :3] + (colors - far[:, :3]) / np.maximum(alpha, 0.01)).clip(0, 255)
    layers = [np.dstack([left, depth, np.full_like(depth, covered)]).astype(np.float32) for covered in (1, 0)]
    layers[0][at] = np.hstack([far, 1 - alpha])
    layers[1][at] = np.hstack([near, alpha])
    return np.stack(layers)


def _average_sides(
    values: np.ndarray, at: tuple[np.ndarray, ...], limits: tuple[np.ndarray, np.ndarray], settings: DemoAlbumSettings
) -> np.ndarray:
    """Average the pixels on either side of a depth edge, of those right at the edge only little.

    Args:
        values: [H, W, 4] float32, sRGB and disparity.
        at: [N] int each, rows and columns of the pixels beside the edge.
        limits: [N] float32 each, the least and the greatest disparity near by.
        settings: Depth edges.

    Returns:
        [2, N, 4] float32, the far side and the near one.
    """
    height, width, _ = values.shape
    depth, cross = values[..., 3], np.ones((3, 3))
    at_edge = cv2.dilate(depth, cross) - cv2.erode(depth, cross) > settings.depth_edge
    margin = 0.2 * (limits[1] - limits[0])
    counted = np.insert(values, 4, 1, axis=-1)
    sums = np.zeros((2, len(margin), 5), np.float32)
    reach = math.ceil(settings.edge_radius + 1.5 * settings.edge_sigma)
    for dy, dx in product(range(-reach, reach + 1), repeat=2):
        places = (at[0] + dy).clip(0, height - 1), (at[1] + dx).clip(0, width - 1)
        weight = np.exp(-(dy**2 + dx**2) / (2 * settings.edge_sigma**2)) * np.where(at_edge[places], 0.01, 1)
        for side, chosen in enumerate((depth[places] < limits[0] + margin, depth[places] > limits[1] - margin)):
            sums[side] += (weight * chosen)[:, None] * counted[places]
    averages: np.ndarray = sums[..., :4] / sums[..., 4:]
    return averages


def _splat(layer: np.ndarray, priority: np.ndarray, baseline: float, settings: DemoAlbumSettings) -> np.ndarray:
    """Draw a layer as another camera sees it.

    Args:
        layer: [H, W, 5] float32: sRGB, disparity and the share of the pixel that it covers.
        priority: [H, W] float32; of the pixels that are drawn at one place, that of the highest stays.
        baseline: Position of the camera.
        settings: Supersampling.

    Returns:
        [H, W * supersampling, 5] float32; the disparity is minus infinity and the rest 0 where nothing is drawn.
    """
    source = np.repeat(layer, settings.supersampling, axis=1)
    wide = source.shape[1]
    order = np.argsort(np.repeat(priority, settings.supersampling, axis=1), axis=None, kind="stable")
    rows, columns = np.divmod(np.repeat(order, 2), wide)
    moved = columns - baseline * settings.supersampling * source[rows, columns, 3]
    moved = np.rint(moved + np.tile([-0.25, 0.25], len(order)))  # a bit wider, so that no surface has cracks
    visible = (moved >= 0) & (moved < wide)
    view = np.zeros_like(source)
    view[..., 3] = -np.inf
    view[rows[visible], moved[visible].astype(int)] = source[rows[visible], columns[visible]]
    return view


def _fill_gaps(far: np.ndarray, settings: DemoAlbumSettings) -> np.ndarray:
    """Fill gaps of the drawn far layer [H, W, 5] float32 with what is farther beside them, mirrored and blurred."""
    depth, gaps = far[..., 3], np.isinf(far[..., 3])
    sides = _neighbor_columns(~gaps)
    depths = [_take_columns(depth, side) for side in sides]
    behind = np.minimum(*depths)
    place = np.arange(gaps.shape[1])
    filled = np.zeros((*gaps.shape, 4), np.float32)  # colors and weights: of equally far sides the mean
    for side, side_depth in zip(sides, depths, strict=True):
        weight = (side_depth <= behind + settings.depth_edge).astype(np.float32)
        mirrored = (2 * side - place).clip(0, len(place) - 1)
        usable = _take_columns(~gaps, mirrored) & (_take_columns(depth, mirrored) <= behind + settings.depth_edge)
        colors = _take_columns(far[..., :3], np.where(usable, mirrored, side))
        filled += weight[..., None] * np.insert(colors, 3, 1, axis=-1)
    blur = settings.supersampling * settings.gap_blur, settings.gap_blur
    filled = cv2.GaussianBlur(np.where(gaps[..., None], filled / filled[..., 3:], 0), (0, 0), blur[0], sigmaY=blur[1])
    filled = np.dstack([filled[..., :3] / np.maximum(filled[..., 3:], 1e-6), behind, np.zeros_like(behind)])
    return np.where(gaps[..., None], filled, far)


def _neighbor_columns(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the nearest known pixels to the left and to the right, for known [H, W] bool; each [H, W] int.

    Where one side has no known pixel, the other side's column is in both.
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
