"""Completion of a hole by patches of the target, or of the album."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from realfill.compositing.patch_completion import PatchCompletionSettings, PatchSource, complete_by_patches
from realfill.compositing.scene import Scene
from realfill.core.failures import skip_failing
from realfill.geometry.moving_least_squares import MovingLeastSquaresSettings, moving_least_squares_warps
from realfill.imaging.ops import Pixels, fill_from_nearest, resize
from realfill.imaging.region import Region


def complete_region(region: Region, patches: PatchCompletionSettings = PatchCompletionSettings()) -> Pixels:
    """Complete the hole of a region by patches of what is known around it.

    Args:
        region: The region with its hole.
        patches: How patches are searched.

    Returns:
        [h, w, 3] uint8 in the working space, the region at its working scale.
    """
    return _complete(region, [], patches)


def complete_scene_by_album(
    scene: Scene,
    patches: PatchCompletionSettings = PatchCompletionSettings(),
    deformation: MovingLeastSquaresSettings = MovingLeastSquaresSettings(),
) -> Pixels | None:
    """Complete the hole by patches of the target and of the references, at places by which these are aligned with it.

    Args:
        scene: The scene with its hole.
        patches: How patches are searched.
        deformation: How references are aligned.

    Returns:
        As `complete_region`; None where no reference is aligned.
    """
    sources = []
    for number in range(1, len(scene.photos)):
        with skip_failing(f"The alignment of {scene.references[number - 1].name} for patches"):
            sources.append(_patch_source(scene, number, deformation))
    aligned = [*filter(None, sources)]
    return _complete(scene.region, aligned, patches) if aligned else None


def _complete(region: Region, sources: Sequence[PatchSource], settings: PatchCompletionSettings) -> Pixels:
    picture, hole = region.crop_rescaled(region.canvas), region.hole
    if not hole.any():
        return picture
    with skip_failing("The completion by patches"):
        return complete_by_patches(picture, hole, sources, settings)
    return fill_from_nearest(picture, ~hole)


def _patch_source(scene: Scene, number: int, settings: MovingLeastSquaresSettings) -> PatchSource | None:
    """The part of a reference that is aligned with the region, at its working scale; None where it is not aligned."""
    matches = scene.matches.get((0, number))
    if matches is None:
        return None
    sides = [scene.sides[number], scene.sides[0]]
    warp = moving_least_squares_warps({(0, 1): matches.swap()}, sides, settings)[0].get(1)
    if warp is None:
        return None
    spreads = [float(points.std(axis=0).mean()) for points in (matches.points0, matches.points1)]
    prior, photo = scene.priors[number], scene.photos[number]
    scale = min(1.0, scene.region.scale * spreads[0] / spreads[1])
    width, height = max(1, round(prior.width * scale)), max(1, round(prior.height * scale))
    columns, rows = np.meshgrid(
        ((np.arange(width) + 0.5) * prior.width / width - 0.5).astype(np.float32),
        ((np.arange(height) + 0.5) * prior.height / height - 0.5).astype(np.float32),
    )
    x, y = scene.region.to_working(*warp.maps(columns, rows)[:2])
    near = (x >= 0) & (x < scene.region.size[0]) & (y >= 0) & (y < scene.region.size[1])
    if not near.any():
        return None
    left, top, width_near, height_near = cv2.boundingRect(near.astype(np.uint8))
    box = np.s_[top : top + height_near, left : left + width_near]
    return PatchSource(resize(photo, width, height)[box], x[box], y[box])
