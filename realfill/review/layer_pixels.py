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
Box = tuple[int, int, int, int]
_MASK_COLOR = (204, 121, 167, 150)  # sRGB and alpha; reddish purple of Okabe and Ito's palette


@dataclass(frozen=True)
class DoubtfulPlaceSettings:
    """What counts as a doubtful place.

    Attributes:
        map_side: Longer side at which doubtful places are searched for, pixels. Set by hand.
        min_place: Least size of a doubtful place, as a share of the canvas. Set by hand.
        max_places: Upper limit of their number. Set by hand.
    """

    map_side: int = 1024
    min_place: float = 2e-5
    max_places: int = 50


def find_doubtful_places(
    album: FinishedAlbum, settings: DoubtfulPlaceSettings = DoubtfulPlaceSettings()
) -> list[Box]:
    """Find where the fill is generated or uncertain, the largest place first.

    Returns:
        Left, top, width and height of each, pixels of the canvas.
    """
    path = album.album.completed / "authenticity.png"
    if not path.is_file():
        return []
    doubtful = (read_png(path) == AuthenticityClass.GENERATED_ONLY).astype(np.uint8)
    height, width = doubtful.shape
    scale = min(1.0, settings.map_side / max(height, width))
    small = cv2.resize(doubtful * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 0
    joined = cv2.dilate(small.astype(np.uint8), np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(joined)
    places = sorted((stats[label].tolist() for label in range(1, count)), key=lambda place: -place[4])
    least = settings.min_place * small.size
    factors = np.array([width / small.shape[1], height / small.shape[0]] * 2)
    boxes = [np.rint(np.array(place[:4]) * factors).astype(int) for place in places if place[4] >= least]
    return [tuple(box.tolist()) for box in boxes[: settings.max_places]]


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


def compose_candidates(album: FinishedAlbum, candidate: int | str, regions: Sequence[Region]) -> Patch:
    """Complete the photo with other candidates, with the parameters that it was made with."""
    from realfill.stages.blend import compose_preview  # loads torch

    made_with = album.provenance["params"]["blend"]
    choice = {"candidate": candidate, "regions": [region.model_dump() for region in regions]}
    params = validate_section(Params, {"blend": made_with | choice}, album.album.provenance)
    return compose_preview(album.album, params)


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
