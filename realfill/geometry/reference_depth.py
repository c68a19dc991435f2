"""Depth of the target's view from depth maps of the references, each in its own view.

In the hole the target shows nothing: depth there is a vote among references, and its edges lie on no picture's edges.
A reference sees the scene itself. Each one's depth is swept in its own view, propagated where it then agrees better
with the others, checked against them, and drawn into the target's view by `depth_fusion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realfill.core.failures import require_finite, skip_failing
from realfill.core.parallel import map_parallel
from realfill.geometry.camera import MIN_DEPTH, IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth, check_consistency
from realfill.geometry.depth_propagation import DepthPropagationSettings, propagate_depths
from realfill.geometry.photo_consistency import SourceView, TargetView
from realfill.geometry.plane_sweep import PlaneSweepSettings, estimate_inverse_depth
from realfill.geometry.projection import in_bounds, pixel_rays
from realfill.geometry.reconstruction import Reconstruction
from realfill.matching.photometric_alignment import AlignedPhotos


@dataclass(frozen=True)
class ReferenceDepthSettings:
    """How the references' depth maps are estimated, checked and merged.

    Attributes:
        side: Longer side of the depth maps, pixels.
        min_points: Sparse points in a reference, below which it has no depth map; set by hand.
        max_reprojection: How far a pixel may come back from where it left, through the depth of another reference
            and its own, for the two to agree, pixels of the depth map.
        unsupported: Weight of a depth that no other reference agrees with; one that n agree with weighs n more.
        max_deviation: How far merged depths may differ, pixels of displacement in the median reference.
        max_spacing: Distance of neighbors beyond which a map is enlarged before it is drawn, pixels of the target.
        max_enlargement: The most that it is enlarged.
        edge: Relative difference of inverse depth between neighbors that makes an edge, across which an enlarged map
            is not interpolated.
        speckle_area: Islands of merged depths up to this share of the region are mistakes.
        median_size: Side of the median filter of the merged depth, pixels.
        plane_sweep: Of a reference's depth map. The weight of colors was chosen on 8 views of 7 albums: 1 gave +1.3
            dB (room), +.8 (toy-table), +.4 (kermit), +.3 (castle-outpaint), +.2 and +.1 (turned views of
            cathedral-portal and pauls-front), and -.1 at worst; .5 and 2 did less, or alike.
        propagation: Of a reference's depth map.
        refinement: Of the merged depth, in the target's view. Without the blur that the sweep's own refinement begins
            with, the edges stay sharp.
    """

    side: int = 512
    min_points: int = 30
    max_reprojection: float = 1.5
    unsupported: float = 0.3
    max_deviation: float = 2.0
    max_spacing: float = 0.7
    max_enlargement: int = 6
    edge: float = 0.02
    speckle_area: float = 0.002
    median_size: int = 5
    plane_sweep: PlaneSweepSettings = PlaneSweepSettings(coarse_side=320, max_labels=96, color_weight=1.0)
    propagation: DepthPropagationSettings = DepthPropagationSettings()
    refinement: PlaneSweepSettings = PlaneSweepSettings(refine_reach=1.5, refine_labels=7, refine_blur=0)


def estimate_reference_depths(
    reconstruction: Reconstruction,
    photos: AlignedPhotos,
    priors: Sequence[IntrinsicsPrior],
    max_point_error: float,
    settings: ReferenceDepthSettings = ReferenceDepthSettings(),
) -> list[ReferenceDepth]:
    """Estimate the depth map of every posed reference from the other references.

    The target takes no part, so that the depth maps do not depend on its hole.

    Args:
        reconstruction: Of the scene; photo 0 is the target.
        photos: Target and references; they may be smaller than at full size.
        priors: Of the cameras, one per photo, at full size.
        max_point_error: Mean reprojection error beyond which a sparse point is not used.
        settings: Size and checks.

    Returns:
        One per reference that has one; empty where fewer than two have.
    """
    views = {
        number: SourceView.of(photos.photos[number], settings.side, camera, priors[number], photos.tolerance)
        for number, camera in sorted(reconstruction.cameras.items())
        if number
    }
    points = reconstruction.points[reconstruction.errors < max_point_error]

    def estimate(number: int) -> ReferenceDepth | None:
        view = views[number]
        others = [other.relative_to(view.camera) for n, other in views.items() if n != number]
        with skip_failing(f"The depth of reference {number}"):
            depth = _estimate_depth(view, others, points, settings) if others else None
            return None if depth is None else ReferenceDepth(view.camera, depth, np.zeros_like(depth), number)
        return None

    maps = [depth for depth in map_parallel(estimate, views) if depth is not None]
    if len(maps) < 2:
        return []
    with skip_failing("The propagation of the references' depth"):
        checked = check_consistency(maps, settings.max_reprojection)
        maps = propagate_depths(maps, checked, views, settings.propagation)
    return check_consistency(maps, settings.max_reprojection)


def _estimate_depth(
    view: SourceView, others: Sequence[SourceView], points: np.ndarray, settings: ReferenceDepthSettings
) -> np.ndarray | None:
    """Estimate the inverse depth of a reference, [h, w] float32; None where it shows too few points [N, 3]."""
    columns, rows, depth = view.camera.project_world(points)
    shown = (depth > MIN_DEPTH) & in_bounds(columns, rows, view.gray.shape)
    if shown.sum() < settings.min_points:
        return None
    sparse = np.stack([columns[shown], rows[shown], 1 / depth[shown]], axis=1)
    whole = np.zeros(view.gray.shape, bool)
    target = TargetView(view.gray, whole, pixel_rays(view.camera, view.gray.shape), sparse, view.colors)
    inverse_depth = estimate_inverse_depth(target, others, settings.plane_sweep)
    require_finite(inverse_depth=inverse_depth)
    return np.asarray(np.maximum(inverse_depth, MIN_DEPTH * inverse_depth.max()))  # 0 stands for nothing
