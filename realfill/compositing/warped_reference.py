"""FIXME DOCSTRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill.compositing.color_transfer import (
    ColorTransform,
    detail_gains,
    fit_color_transform,
    match_color_statistics,
)
from realfill.compositing.region import Region
from realfill.geometry.warp import Warp, relative_stretch, remap_prefiltered
from realfill.imaging.ncc import ncc
from realfill.imaging.ops import float_gray, local_variance
from realfill.photo_io.color_management import read_srgb

_LEAST_LIKENESS = 0.15  # mean correlation with the target around the hole, below which a reference is not believed
_LEAST_KINSHIP = 0.2  # correlation of coarse colours, below which what is laid loosely shows something else
_COARSE = 12.0  # pixels
_SAME = 0.6  # correlation from which on reference and target show the same
_RING = (5.0, 100.0)  # pixels from the hole between which the likeness is measured
_TEXTURED = 1e-3  # variance of brightness
_FEWEST_TEXTURED = 200


@dataclass(frozen=True)
class WarpedReference:
    """One reference in the target's view and light, at the working scale.

    Attributes:
        path: The reference.
        warp: Where the canvas's pixels lie in it.
        light: How it is brought into the target's light.
        colours: [h, w, 3] float32 sRGB in 0..1.
        valid: Where it shows anything, bool [h, w].
        seen: Where that is the scene, and not what hides it, bool [h, w].
        stretch: How much coarser it shows a place than most, in the worst direction, octaves, float32 [h, w].
        likeness: Mean correlation with the target around the hole, -1 to 1.
        gains: What its detail has to be multiplied with at full size, see `relight.detail_gains`.
    """

    path: Path
    warp: Warp
    light: ColorTransform
    colours: np.ndarray
    valid: np.ndarray
    seen: np.ndarray
    stretch: np.ndarray
    likeness: float
    gains: tuple[float, ...]


def warp_and_match_color(part: Region, path: Path, warp: Warp) -> WarpedReference | None:
    """Warp a reference and bring it into the target's light.

    None where it shows too little around the hole, or is laid loosely and shows something else there.
    """
    image = read_srgb(path)
    columns, rows, defined = warp.maps(*part.grid())
    colours, valid = remap_prefiltered(image, columns, rows, defined)
    target = part.working(part.canvas).astype(np.float32) / 255
    seen = valid if warp.seen is None else valid & warp.seen
    learn = fit_color_transform if warp.exact else match_color_statistics
    light = learn(colours, target, seen & ~part.hole, part.hole)
    if light is None:
        return None
    colours = light(colours)
    if not warp.exact and _coarse_color_correlation(colours, target, seen & ~part.hole) < _LEAST_KINSHIP:
        return None
    alike = ncc(float_gray(target), float_gray(colours))
    likeness = _similarity_around_hole(alike, target, seen, part.hole)
    full, shown = remap_prefiltered(image, *warp.maps(*part.grid(full=True)))
    same = cv2.resize((alike > _SAME).astype(np.float32), full.shape[1::-1]) > 0.5
    known = shown & same & (part.cut(part.mask) == 0)
    gains = detail_gains(light(full), part.cut(part.canvas).astype(np.float32) / 255, known)
    return WarpedReference(
        path, warp, light, colours, valid, seen, relative_stretch(columns, rows, valid), likeness, gains
    )


def filter_by_similarity(candidates: Sequence[WarpedReference | None]) -> list[WarpedReference]:
    """Those that resemble the target around the hole, and not far less than the best one does."""
    found = [candidate for candidate in candidates if candidate is not None]
    best = max((candidate.likeness for candidate in found), default=0.0)
    return [candidate for candidate in found if candidate.likeness >= max(_LEAST_LIKENESS, best / 2)]


def _similarity_around_hole(alike: np.ndarray, target: np.ndarray, valid: np.ndarray, hole: np.ndarray) -> float:
    """Mean correlation [H, W] where the target has texture around the hole; 0 where that says too little."""
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    judged = valid & (distance > _RING[0]) & (distance < _RING[1]) & (local_variance(float_gray(target)) > _TEXTURED)
    if judged.sum() < _FEWEST_TEXTURED:
        return 0.0
    return float(alike[judged].mean())


def _coarse_color_correlation(placed: np.ndarray, target: np.ndarray, shared: np.ndarray) -> float:
    """Correlation of the coarse colours of two pictures [H, W, 3] where both show the scene, -1 to 1."""
    weight = shared.astype(np.float32)[..., None]
    apart = []
    for image in (placed, target):
        coarse = cv2.GaussianBlur(image * weight, (0, 0), _COARSE)[shared]
        coarse /= np.maximum(cv2.GaussianBlur(weight, (0, 0), _COARSE)[shared], 1e-3)[:, None]
        apart.append(coarse - coarse.mean(axis=0))  # [N, 3]
    theirs, ours = apart
    return float((theirs * ours).sum() / max(np.sqrt((theirs**2).sum() * (ours**2).sum()), 1e-9))
