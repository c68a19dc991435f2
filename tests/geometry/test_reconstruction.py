from pathlib import Path

import numpy as np
import pytest

from realfill.geometry.camera import Camera
from realfill.geometry.reconstruction import Reconstruction


@pytest.mark.parametrize("focal_unresolved", [True, False])
def test_a_reconstruction_is_read_as_it_was_written(tmp_path: Path, focal_unresolved: bool) -> None:
    rng = np.random.default_rng(0)
    cameras = {
        number: Camera(500.0 + number, (320.25, 240.5), (0.1, -0.05), rng.normal(size=(3, 3)), rng.normal(size=3))
        for number in (0, 3)
    }
    reconstruction = Reconstruction(
        cameras, rng.normal(size=(5, 3)), rng.uniform(size=5), np.array([2, 3, 2, 4, 2]), focal_unresolved
    )
    reconstruction.write(tmp_path / "scene.npz")
    read = Reconstruction.read(tmp_path / "scene.npz")
    assert list(read.cameras) == [0, 3]
    for number, camera in cameras.items():
        other = read.cameras[number]
        assert (other.focal, other.center, other.radial_distortion) == (camera.focal, (320.25, 240.5), (0.1, -0.05))
        np.testing.assert_array_equal(other.rotation, camera.rotation)
        np.testing.assert_array_equal(other.translation, camera.translation)
    np.testing.assert_array_equal(read.points, reconstruction.points)
    np.testing.assert_array_equal(read.errors, reconstruction.errors)
    assert read.focal_unresolved is focal_unresolved
    assert read.support == reconstruction.support


def test_accurate_points_support_a_reconstruction_and_inaccurate_ones_do_not() -> None:
    points, lengths = np.zeros((3, 3)), np.array([2, 3, 4])
    exact, rough = (Reconstruction({}, points, np.full(3, error), lengths) for error in (0.0, 0.5))
    assert exact.support == 9
    assert rough.support == pytest.approx(9 * 0.75)
    assert Reconstruction({}, points, np.array([0, 1, 7.0]), lengths).support == 2
