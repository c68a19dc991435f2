import cv2
import numpy as np
import pytest
import skimage.data

from realfill.geometry.camera import Camera
from realfill.geometry.photo_consistency import SourceView, TargetView
from realfill.geometry.plane_sweep import PlaneSweepSettings, estimate_inverse_depth
from realfill.geometry.projection import project

SLANT = np.array([0.15, -0.1, 0.25])  # inverse depth of a ray is its product with this
FOCAL, SIZE = 300.0, (240, 180)
CENTER = ((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2)
CAMERAS = [Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.array(shift)) for shift in ([0.4, 0, 0], [-0.3, 0.2, 0])]
COLUMNS, ROWS = np.meshgrid(np.arange(SIZE[0], dtype=np.float32), np.arange(SIZE[1], dtype=np.float32))


def plane_from(camera: Camera) -> np.ndarray:
    """A slanted plane, painted with a texture along x and y, as a camera sees it, [H, W] float32."""
    texture = cv2.cvtColor(cv2.resize(skimage.data.gravel(), (700, 700)), cv2.COLOR_GRAY2RGB)
    gray = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    directions = camera.rays(COLUMNS, ROWS).astype(np.float64) @ camera.rotation
    origin = -camera.rotation.T @ camera.translation
    distance = (1 - origin @ SLANT) / (directions @ SLANT)
    points = origin + directions * distance[..., None]
    x, y = (points[..., 0] * 100 + 350).astype(np.float32), (points[..., 1] * 100 + 350).astype(np.float32)
    view: np.ndarray = cv2.remap(gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return view


def slanted_plane() -> TargetView:
    """The plane from the target's camera, with a hole and a few points."""
    target = Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.zeros(3))
    hole = np.zeros(SIZE[::-1], bool)
    hole[50:130, 70:170] = True
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, SIZE[0] - 1, 60), rng.uniform(0, SIZE[1] - 1, 60)
    points = np.column_stack([x, y, target.rays(x, y) @ SLANT])
    gray = np.where(hole, 0, plane_from(target)).astype(np.float32)
    return TargetView(gray, hole, target.rays(COLUMNS, ROWS), points)


def test_the_depth_of_a_slanted_plane_is_found_inside_the_hole() -> None:
    target = slanted_plane()
    truth = (target.rays @ SLANT).astype(np.float32)
    estimate = estimate_inverse_depth(target, [SourceView(plane_from(camera), camera) for camera in CAMERAS])
    for camera in CAMERAS:
        (x, y, _), (true_x, true_y, _) = (project(camera, target.rays, depth) for depth in (estimate, truth))
        assert np.median(np.hypot(x - true_x, y - true_y)[target.hole]) < 0.25  # pixels


def test_a_coarser_sweep_with_fewer_depths_comes_close() -> None:
    target = slanted_plane()
    quick = PlaneSweepSettings(coarse_side=120, max_labels=24, refine_labels=7)
    estimate = estimate_inverse_depth(target, [SourceView(plane_from(camera), camera) for camera in CAMERAS], quick)
    assert estimate.shape == target.hole.shape
    assert estimate.dtype == np.float32
    assert np.median(np.abs(estimate - target.rays @ SLANT)) < 0.01


def test_a_near_thing_with_few_points_is_found_too() -> None:
    columns, rows = np.meshgrid(np.arange(240, dtype=np.float32), np.arange(180, dtype=np.float32))
    target = Camera(100.0, (119.5, 89.5), (0.0, 0.0), np.eye(3), np.zeros(3))
    paint = cv2.resize(skimage.data.gravel(), (480, 360)).astype(np.float32) / 255
    box = (slice(70, 110), slice(100, 150))

    def seen_from(shift: float) -> np.ndarray:
        """A wall at inverse depth 0.1 and the box before it at 0.6, from a camera moved along the columns."""
        view = cv2.remap(paint, columns + 100 - 10 * shift, rows + 100, cv2.INTER_LINEAR)
        aside = round(60 * shift)
        view[box[0], box[1].start + aside : box[1].stop + aside] = paint[:40, :50]
        return np.asarray(view)

    rng = np.random.default_rng(0)
    wall = np.column_stack([rng.uniform(0, 239, 6000), rng.uniform(0, 179, 6000), np.full(6000, 0.1)])
    before = (wall[:, 0] > 95) & (wall[:, 0] < 155) & (wall[:, 1] > 65) & (wall[:, 1] < 115)
    on_box = np.column_stack([rng.uniform(100, 149, 20), rng.uniform(70, 109, 20), np.full(20, 0.6)])
    hole = np.zeros((180, 240), bool)
    hole[50:130, 80:170] = True
    depth = estimate_inverse_depth(
        TargetView(
            np.where(hole, 0, seen_from(0)).astype(np.float32),
            hole,
            target.rays(columns, rows),
            np.concatenate([wall[~before], on_box]),
        ),
        [
            SourceView(seen_from(x), Camera(100.0, (119.5, 89.5), (0.0, 0.0), np.eye(3), np.array([x, 0, 0])))
            for x in (0.4, -0.4, 0.7)
        ],
    )
    assert np.median(depth[75:105, 105:145]) == pytest.approx(0.6, abs=0.01)
    assert np.median(depth[52:60, 85:165]) == pytest.approx(0.1, abs=0.01)
