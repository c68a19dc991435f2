"""A scene with a smaller target, and with more of the target unknown."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from realfill.compositing.scene import Scene
from realfill.geometry.camera import Camera
from realfill.geometry.reconstruction import Reconstruction
from realfill.matching.correspondences import Matches
from support.scenes import make_scene, rectangle_mask

PHOTO = np.ascontiguousarray(skimage.data.coffee()[:, :, ::-1])  # 600 x 400
HEIGHT, WIDTH = PHOTO.shape[:2]
MASK = rectangle_mask(PHOTO.shape, slice(150, 250), slice(200, 350))
CAMERAS = {
    0: Camera(520.0, (301.0, 197.5), (0.08, 0.0), np.eye(3), np.zeros(3)),
    1: Camera(500.0, (299.5, 199.5), (0.02, 0.0), np.eye(3), np.array([0.3, 0.1, 0.0])),
}


def matches_everywhere(seed: int) -> Matches:
    points = np.random.default_rng(seed).uniform((0, 0), (WIDTH - 1, HEIGHT - 1), (400, 2)).astype(np.float32)
    return Matches(points, points + np.float32(3), np.linspace(0, 1, 400, dtype=np.float32))


@pytest.fixture
def scene() -> Scene:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-2, 2, 50), rng.uniform(-1, 1, 50), rng.uniform(4, 9, 50)])
    reconstruction = Reconstruction(CAMERAS, points, np.full(50, 0.4), np.full(50, 2))
    matches = {pair: matches_everywhere(sum(pair)) for pair in ((0, 1), (0, 2), (1, 2))}
    photos = [PHOTO, np.roll(PHOTO, 9, axis=1), PHOTO[::-1]]
    return make_scene(photos, MASK, matches, reconstruction)


def in_smaller_photo(points: np.ndarray, scale: float) -> np.ndarray:
    return (points + 0.5) * scale - 0.5


def test_what_is_known_of_the_target_shrinks_with_it(scene: Scene) -> None:
    small = scene.shrink_target(300)
    assert small.region.canvas.shape == (200, 300, 3)
    assert (small.priors[0].width, small.priors[0].height, small.priors[0].center) == (300, 200, (150, 100))
    assert small.photos[0].shape == small.region.canvas.shape
    for pair in ((0, 1), (0, 2)):
        before, after = scene.matches[pair], small.matches[pair]
        np.testing.assert_allclose(after.points0, in_smaller_photo(before.points0, 0.5), atol=1e-4)
        np.testing.assert_array_equal(after.points1, before.points1)
        np.testing.assert_array_equal(after.confidence, before.confidence)


def test_the_smaller_targets_camera_sees_what_the_camera_saw(scene: Scene) -> None:
    small = scene.shrink_target(300)
    assert scene.reconstruction
    assert small.reconstruction
    before, after = (each.cameras[0].project(each.points) for each in (scene.reconstruction, small.reconstruction))
    for coordinate in (0, 1):
        np.testing.assert_allclose(after[coordinate], in_smaller_photo(before[coordinate], 0.5), atol=1e-6)
    np.testing.assert_array_equal(after[2], before[2])


def test_the_references_stay_as_they_are(scene: Scene) -> None:
    small = scene.shrink_target(300)
    assert scene.reconstruction
    assert small.reconstruction
    assert small.reconstruction.cameras[1] is scene.reconstruction.cameras[1]
    assert small.priors[1:] == scene.priors[1:]
    assert small.matches[1, 2] is scene.matches[1, 2]
    assert all(after is before for after, before in zip(small.photos[1:], scene.photos[1:], strict=True))


def test_a_target_that_is_small_already_stays_so(scene: Scene) -> None:
    same = scene.shrink_target(1000)
    np.testing.assert_array_equal(same.region.canvas, scene.region.canvas)
    np.testing.assert_array_equal(same.region.mask, scene.region.mask)
    assert same.region.box == scene.region.box
    assert same.priors == scene.priors
    assert same.reconstruction
    assert same.reconstruction.cameras[0] == CAMERAS[0]


def test_a_hole_of_one_pixel_is_still_there_in_a_smaller_target() -> None:
    mask = rectangle_mask(PHOTO.shape, slice(201, 202), slice(301, 302))
    small = make_scene([PHOTO], mask).shrink_target(60)
    assert [*np.argwhere(small.region.mask)] == [pytest.approx([20, 30])]


def test_cameras_are_not_needed(scene: Scene) -> None:
    assert replace(scene, reconstruction=None).shrink_target(300).reconstruction is None


def test_what_is_hidden_is_shown_nowhere_and_its_matches_are_dropped(scene: Scene) -> None:
    extra = np.zeros((HEIGHT, WIDTH), bool)
    extra[50:90, 60:160] = True
    enlarged = scene.enlarge_hole(extra, margin=5)
    for picture in (enlarged.region.canvas, enlarged.photos[0]):
        assert len(np.unique(picture[extra])) == 1
        np.testing.assert_array_equal(picture[~extra], PHOTO[~extra])
    np.testing.assert_array_equal(enlarged.region.mask > 0, (MASK > 0) | extra)
    left, top, right, bottom = enlarged.region.box
    assert left < 60
    assert top < 50
    assert right > 350
    assert bottom > 250
    for pair in ((0, 1), (0, 2)):
        before, after = scene.matches[pair], enlarged.matches[pair]
        columns, rows = np.rint(before.points0).T
        near = (columns >= 55) & (columns < 165) & (rows >= 45) & (rows < 95)
        assert 0 < near.sum() < len(before)
        np.testing.assert_array_equal(after.points0, before.points0[~near])
        np.testing.assert_array_equal(after.points1, before.points1[~near])
    assert enlarged.matches[1, 2] is scene.matches[1, 2]


def test_hiding_leaves_the_scene_itself_alone(scene: Scene) -> None:
    everything = np.ones((HEIGHT, WIDTH), bool)
    enlarged = scene.enlarge_hole(everything, margin=2)
    assert len(enlarged.matches[0, 1]) == 0
    assert len(scene.matches[0, 1]) == 400
    np.testing.assert_array_equal(scene.region.mask, MASK)
    assert scene.region.canvas is PHOTO


def test_photos_without_any_match_are_no_obstacle(scene: Scene) -> None:
    empty = replace(scene, matches={(0, 1): Matches.empty()})
    enlarged = empty.shrink_target(300).enlarge_hole(np.zeros((200, 300), bool), margin=2)
    assert len(enlarged.matches[0, 1]) == 0


def test_what_is_hidden_is_shown_nowhere_in_a_target_that_was_matched_at_a_smaller_size() -> None:
    photo = np.full((60, 90, 3), 30, np.uint8)
    photo[:30, :30] = 220
    scene = replace(make_scene([photo], MASK[:60, :90]), photos=[photo[::2, ::2]])
    extra = np.zeros((60, 90), bool)
    extra[:30, :30] = True
    target = scene.enlarge_hole(extra, margin=2).photos[0]
    assert target.shape == (30, 45, 3)
    assert target.max() < 200
