from dataclasses import replace

import numpy as np
import pytest

from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.reconstruction import Reconstruction
from realfill.geometry.resection import resect_target
from realfill.matching.correspondences import Matches

POINTS = np.random.default_rng(0).uniform((-4, -3, 6), (4, 3, 14), (200, 3))
PRIOR = IntrinsicsPrior(640, 480, (320, 240))
TARGET = Camera(430.0, (319.5, 239.5), (-0.03, 0.0), np.eye(3), np.array([0.5, 0.2, 0.3]))
REFERENCE = Camera(500.0, (319.5, 239.5), (0.0, 0.0), np.eye(3), np.array([-1.0, 0, 0]))
ASTRAY = replace(TARGET, focal=250.0, translation=np.array([3.0, 0, 0]))


def see(camera: Camera) -> np.ndarray:
    columns, rows, _ = camera.project(POINTS @ camera.rotation.T + camera.translation)
    return np.stack([columns, rows], axis=1)


def matches_of(target_places: np.ndarray) -> dict[tuple[int, int], Matches]:
    ones = np.ones(len(POINTS), np.float32)
    return {(0, 1): Matches(target_places.astype(np.float32), see(REFERENCE).astype(np.float32), ones)}


def reconstruction_with(target: Camera) -> Reconstruction:
    errors, lengths = np.zeros(len(POINTS)), np.full(len(POINTS), 3)
    return Reconstruction({0: target, 1: REFERENCE}, POINTS, errors, lengths)


def with_wrong_matches(share: float) -> np.ndarray:
    places, draws = see(TARGET), np.random.default_rng(1)
    wrong = draws.random(len(places)) < share
    places[wrong] = draws.uniform((0, 0), (640, 480), (wrong.sum(), 2))
    return places


def test_a_camera_astray_is_brought_back_although_half_of_the_matches_are_wrong() -> None:
    resected = resect_target(
        reconstruction_with(ASTRAY), matches_of(with_wrong_matches(0.5)), [PRIOR, PRIOR], [1.0, 1.0]
    )
    assert resected.cameras[0].focal == pytest.approx(TARGET.focal, rel=0.02)
    assert np.abs(see(resected.cameras[0]) - see(TARGET)).max() < 3
    assert resected.cameras[1] is REFERENCE


def test_the_result_does_not_depend_on_the_size_at_which_errors_are_judged() -> None:
    resected = resect_target(
        reconstruction_with(ASTRAY), matches_of(with_wrong_matches(0.3)), [PRIOR, PRIOR], [0.5, 0.5]
    )
    assert np.abs(see(resected.cameras[0]) - see(TARGET)).max() < 6


def test_a_right_camera_is_left_as_it_is() -> None:
    reconstruction = reconstruction_with(TARGET)
    assert resect_target(reconstruction, matches_of(see(TARGET)), [PRIOR, PRIOR], [1.0, 1.0]) is reconstruction


def test_a_camera_is_not_replaced_where_nothing_agrees() -> None:
    reconstruction = reconstruction_with(ASTRAY)
    resected = resect_target(reconstruction, matches_of(with_wrong_matches(1.0)), [PRIOR, PRIOR], [1.0, 1.0])
    assert resected is reconstruction


def test_a_target_that_shares_too_few_points_keeps_its_camera() -> None:
    reconstruction = reconstruction_with(ASTRAY)
    few = {pair: matches[np.arange(10)] for pair, matches in matches_of(see(TARGET)).items()}
    assert resect_target(reconstruction, few, [PRIOR, PRIOR], [1.0, 1.0]) is reconstruction
    assert resect_target(reconstruction, {}, [PRIOR, PRIOR], [1.0, 1.0]) is reconstruction
