"""What the other photos show in the view of a reference: what `align` would place there if it were the target.

The depth map of the reference itself says where the others show its pixels, so that no second structure from motion
is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realfill.compositing.scene import Scene
from realfill.core.failures import skip_failing
from realfill.geometry.camera import Camera
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.projection import compute_visibility, project
from realfill.geometry.warp import remap_prefiltered
from realfill.imaging.ops import Pixels, resize_mask, to_uint8


@dataclass(frozen=True)
class TurnedView:
    """The other photos in the view of a reference.

    Attributes:
        colors: [h, w, 3] uint8 in the working space, the whole reference.
        known: Where any of the others shows the scene, bool [h, w].
    """

    colors: Pixels
    known: np.ndarray


def turn_views(scene: Scene) -> dict[int, TurnedView]:
    """Place the other photos, nearest first, in each reference that has a depth map; by number of the reference."""
    views = {}
    for depth in scene.reference_depths:
        with skip_failing(f"The view of reference {depth.number}"):
            views[depth.number] = _turn_view(scene, depth)
    return views


def _turn_view(scene: Scene, depth: ReferenceDepth) -> TurnedView:
    height, width = depth.inverse_depth.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    rays = depth.camera.rays(columns, rows)
    view = TurnedView(np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool))
    others = _relative_cameras(scene, depth)
    for number in sorted(others, key=lambda number: float(np.linalg.norm(others[number].translation))):
        colors, visible = _show(scene, number, others[number], rays, depth.inverse_depth)
        added = visible & ~view.known
        view.colors[added] = colors[added]
        view.known[added] = True
    return view


def _relative_cameras(scene: Scene, depth: ReferenceDepth) -> dict[int, Camera]:
    """Cameras of the other photos, of the size that they have in the scene, relative to the reference's."""
    assert scene.reconstruction is not None
    cameras = {}
    for number, camera in scene.reconstruction.cameras.items():
        if number != depth.number:
            scale = scene.photos[number].shape[1] / scene.priors[number].width
            cameras[number] = camera.rescale(scale).relative_to(depth.camera)
    return cameras


def _show(
    scene: Scene, number: int, camera: Camera, rays: np.ndarray, inverse_depth: np.ndarray
) -> tuple[Pixels, np.ndarray]:
    """What a photo shows at the pixels of a view, [h, w, 3] uint8, and where it shows them, bool [h, w]."""
    columns, rows, in_front = project(camera, rays, inverse_depth)
    seen = in_front & (inverse_depth > 0) & compute_visibility(camera, rays, inverse_depth)
    photo = scene.photos[number]
    colors, valid = remap_prefiltered(photo, columns, rows, seen)
    if number == 0:  # the target shows nothing in its hole
        hole = resize_mask(scene.region.mask > 0, *photo.shape[1::-1])
        x, y = (np.where(valid, values, 0).round().astype(int) for values in (columns, rows))
        valid = valid & ~hole[y, x]
    return to_uint8(colors), valid
