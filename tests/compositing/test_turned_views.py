"""A wall seen by a target and two references from side to side."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing.scene import Scene
from realfill.compositing.turned_views import turn_views
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.depth_consistency import ReferenceDepth
from realfill.geometry.reconstruction import Reconstruction
from realfill.imaging.ops import Pixels
from realfill.imaging.region import Region

WIDTH, HEIGHT, FOCAL, FAR = 160, 120, 100.0, 0.1
SHIFTS = (0.0, 2.0, -2.0)  # of the cameras: 20 pixels each
HOLE = np.s_[30:90, 60:100]


def photo(shift: float) -> Pixels:
    left = 200 - round(FOCAL * FAR * shift)
    return np.ascontiguousarray(skimage.data.coffee()[100 : 100 + HEIGHT, left : left + WIDTH])


@pytest.fixture
def scene() -> Scene:
    center = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    cameras = {n: Camera(FOCAL, center, (0.0, 0.0), np.eye(3), np.array([s, 0, 0])) for n, s in enumerate(SHIFTS)}
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[HOLE] = 255
    photos = [photo(shift) for shift in SHIFTS]
    photos[0][HOLE] = 128
    depth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    return Scene(
        region=Region.around(photos[0], mask),
        references=[Path("1.png"), Path("2.png")],
        priors=[IntrinsicsPrior(WIDTH, HEIGHT, (WIDTH / 2, HEIGHT / 2))] * 3,
        photos=photos,
        matches={},
        reconstruction=Reconstruction(cameras, np.zeros((0, 3)), np.zeros(0), np.zeros(0)),
        reference_depths=[ReferenceDepth(cameras[1], depth, depth, 1), ReferenceDepth(cameras[2], depth, depth, 2)],
    )


def test_the_others_are_placed_where_a_reference_shows_the_same(scene: Scene) -> None:
    views = turn_views(scene)
    assert sorted(views) == [1, 2]
    for number, view in views.items():
        assert 0.7 < view.known.mean() < 0.95, "what lies beyond the others' borders is unknown"
        difference = np.abs(view.colors.astype(int) - scene.photos[number])[view.known]
        assert difference.mean() < 1


def test_nothing_is_taken_from_the_targets_hole(scene: Scene) -> None:
    assert scene.reconstruction is not None
    cameras = {n: camera for n, camera in scene.reconstruction.cameras.items() if n < 2}
    alone = replace(
        scene,
        reconstruction=replace(scene.reconstruction, cameras=cameras),
        reference_depths=scene.reference_depths[:1],
    )
    view = turn_views(alone)[1]
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[30:90, 80:120] = True
    inner, outer = (method(hole.astype(np.uint8), np.ones((7, 7))) > 0 for method in (cv2.erode, cv2.dilate))
    assert not view.known[inner].any()
    inside = np.s_[2:-2, 24:-2]
    assert view.known[inside][~outer[inside]].all()


def test_what_has_no_depth_stays_unknown(scene: Scene) -> None:
    depth = np.full((HEIGHT, WIDTH), FAR, np.float32)
    depth[:60] = 0
    partial = replace(scene, reference_depths=[replace(scene.reference_depths[0], inverse_depth=depth)])
    assert not turn_views(partial)[1].known[:60].any()
