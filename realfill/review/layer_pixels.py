"""What the layers of a review show: read, composed and drawn; and where a photo is doubtful."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from realfill.album.placement import read_proposal
from realfill.album.schemas import AuthenticityClass
from realfill.album.store import canvas_path, mask_path, read_window
from realfill.core.params import Params, Region
from realfill.core.validation import validate_section
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.report.pictures import colorize_authenticity, draw_hatched
from realfill.review.collection import FinishedAlbum

Patch = tuple[Pixels, int, int]  # [h, w, 3] uint8 sRGB, and its left and top edge on the canvas
Place = tuple[int, int]
_MASK_COLOR = (204, 121, 167, 255)  # sRGB and alpha; reddish purple of Okabe and Ito's palette


@dataclass(frozen=True)
class DoubtfulPlaceSettings:
    """What counts as a doubtful place.

    Attributes:
        map_side: Longer side at which doubtful places are searched for, pixels. Set by hand.
        view: Side of the square that is looked at as one place, pixels of the canvas. Set by hand: a window shows it.
        min_place: Least size of what is doubtful in a place, as a share of the canvas. Set by hand.
        max_places: Upper limit of their number. Set by hand.
    """

    map_side: int = 1024
    view: int = 640
    min_place: float = 2e-5
    max_places: int = 50


def find_doubtful_places(
    album: FinishedAlbum, settings: DoubtfulPlaceSettings = DoubtfulPlaceSettings()
) -> list[Place]:
    """Find where the fill is generated or uncertain: squares that hold as much of it as possible, the fullest first.

    Returns:
        The middle of each, (x, y) in pixels of the canvas; it is doubtful itself, or right beside it.
    """
    path = album.album.completed / "authenticity.png"
    if not path.is_file():
        return []
    doubtful = (read_png(path) == AuthenticityClass.GENERATED_ONLY).astype(np.float32)
    height, width = doubtful.shape
    scale = min(1.0, settings.map_side / max(height, width))
    share = cv2.resize(doubtful, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    half = max(1, round(settings.view * scale / 2))
    places: list[Place] = []
    while len(places) < settings.max_places:
        amount = cv2.boxFilter(share, -1, (2 * half + 1,) * 2, normalize=False, borderType=cv2.BORDER_CONSTANT)
        amount[share < 0.5 * share.max()] = 0
        row, column = np.unravel_index(amount.argmax(), amount.shape)
        if amount[row, column] < settings.min_place * share.size:
            break
        top, left = max(row - half, 0), max(column - half, 0)
        y, x = _find_middle(share[top : row + half + 1, left : column + half + 1]) + (top, left)
        places.append((round((x + 0.5) / scale - 0.5), round((y + 0.5) / scale - 0.5)))
        share[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = 0
    return places


def _find_middle(share: np.ndarray) -> np.ndarray:
    """The most doubtful pixel, [row, column], that is nearest to the center of gravity of a square [h, w]."""
    pixels = np.argwhere(share >= 0.5 * share.max())
    center = np.average(np.argwhere(share > 0), axis=0, weights=share[share > 0])
    nearest: np.ndarray = pixels[((pixels - center) ** 2).sum(axis=1).argmin()]
    return nearest


def read_before(album: FinishedAlbum, reduction: int = 1) -> Pixels:
    """The target on the canvas, [H, W, 3] uint8 sRGB.

    Args:
        album: The album.
        reduction: As for `read_srgb`; an extended canvas is not reduced.
    """
    window = read_window(album.album)
    if (window.photo_width, window.photo_height) == (window.canvas_width, window.canvas_height):
        return read_srgb(album.album.target, reduction=reduction)
    canvas = np.zeros((window.canvas_height, window.canvas_width, 3), np.uint8)
    target = read_srgb(album.album.target)
    canvas[window.photo_top :, window.photo_left :][: target.shape[0], : target.shape[1]] = target
    return canvas


def compose_candidates(album: FinishedAlbum, candidate: int | str | None, regions: Sequence[Region]) -> Patch:
    """Complete the photo with other candidates, with the parameters that it was made with; None is its own."""
    from realfill.stages.blend import compose_preview  # loads torch

    made_with = album.provenance["params"]["blend"]
    choice = {"regions": [region.model_dump() for region in regions]}
    chosen = {} if candidate is None else {"candidate": candidate}
    params = validate_section(Params, {"blend": made_with | choice | chosen}, album.album.provenance)
    return compose_preview(album.album, params)


def touches_hole(album: FinishedAlbum, polygon: Sequence[tuple[float, float]]) -> bool:
    """Whether a polygon, (x, y) in pixels of the canvas, has some of the hole inside."""
    mask = read_png(mask_path(album.album))
    inside = np.zeros_like(mask)
    cv2.fillPoly(inside, [np.rint(polygon).astype(np.int32)], 255)
    return bool((mask & inside).any())


def draw_authenticity(album: FinishedAlbum) -> Patch:
    """The photo below its authenticity map, where it was filled."""
    mask = read_png(mask_path(album.album))
    left, top, width, height = cv2.boundingRect(mask)
    area = np.s_[top : top + height, left : left + width]
    path = album.album.completed / "authenticity.png"
    colors = colorize_authenticity(read_png(path)[area], mask[area])
    photo, opacity = read_srgb(album.photo)[area], colors[..., 3:] / np.float32(255)
    return np.rint(photo * (1 - opacity) + colors[..., :3] * opacity).astype(np.uint8), left, top


def draw_placed(album: FinishedAlbum) -> Patch:
    """The references' own pixels where they belong; what they do not cover is hatched."""
    mask = read_png(mask_path(album.album))
    left, top, width, height = cv2.boundingRect(mask)
    area = np.s_[top : top + height, left : left + width]
    hatched = draw_hatched(read_srgb(canvas_path(album.album))[area], mask[area])
    proposal = read_proposal(album.album, read_srgb)
    if proposal is None:
        return hatched, left, top
    placed = proposal.crop(left, top, width, height)
    shown = (placed.confidence > 0) & (mask[area] > 0)
    return np.where(shown[..., None], placed.colors, hatched), left, top


def draw_mask(album: FinishedAlbum, hole: Pixels) -> Pixels:
    """Draw a mask of the photo [h, w] uint8 over the canvas: [H, W, 4] uint8, transparent where the photo is kept."""
    window = read_window(album.album)
    colors = np.zeros((window.canvas_height, window.canvas_width, 4), np.uint8)
    photo = colors[window.photo_top :, window.photo_left :][: hole.shape[0], : hole.shape[1]]
    photo[hole > 0] = _MASK_COLOR
    return colors
