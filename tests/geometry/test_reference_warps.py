"""Which model of the scene gives the warps, without matching any photo."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data

from realfill.core.errors import StageError
from realfill.geometry import reference_warps
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.plane_sweep import PlaneSweepSettings
from realfill.geometry.reconstruction import Reconstruction
from realfill.geometry.reference_warps import ReferenceWarpSettings, estimate_reference_warps, reconstruct_scene
from realfill.geometry.warp import Warp
from realfill.imaging.region import Region, RegionSettings
from realfill.matching.correspondences import Matches

WIDTH, HEIGHT, FOCAL = 300, 200, 250.0
PHOTO = np.ascontiguousarray(skimage.data.coffee()[:HEIGHT, :WIDTH])
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[80:120, 120:180] = 255
REGION = Region.around(PHOTO, MASK, RegionSettings(margin=0.5, working_side=60))
PRIORS = [IntrinsicsPrior(WIDTH, HEIGHT, (WIDTH / 2, HEIGHT / 2))] * 2
SETTINGS = ReferenceWarpSettings(plane_sweep=PlaneSweepSettings(refine_labels=3, max_labels=16))
CENTER = ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
CAMERAS = {
    0: Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.zeros(3)),
    1: Camera(FOCAL, CENTER, (0.0, 0.0), np.eye(3), np.array([0.1, 0, 0])),  # 5 pixels along the columns at depth 5
}


def wall(count: int = 200, error: float = 0.5) -> Reconstruction:
    """The two cameras before a wall at depth 5."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-3, 3, count), rng.uniform(-2, 2, count), np.full(count, 5.0)])
    return Reconstruction(CAMERAS, points, np.full(count, error), np.full(count, 2))


def shifted(count: int = 100) -> dict[tuple[int, int], Matches]:
    points = np.random.default_rng(0).uniform((0, 0), (WIDTH, HEIGHT), (count, 2)).astype(np.float32)
    return {(0, 1): Matches(points, points + np.array([3, -2], np.float32), np.ones(count, np.float32))}


def estimate(
    reconstruction: Reconstruction | None, matches: dict[tuple[int, int], Matches]
) -> tuple[dict[int, Warp], str]:
    """Warps by the preferred model, and its name."""
    model, warps = models(reconstruction, matches)[0]
    return warps, model


def models(
    reconstruction: Reconstruction | None, matches: dict[tuple[int, int], Matches]
) -> list[tuple[str, dict[int, Warp]]]:
    photos = [PHOTO, np.roll(PHOTO, 5, axis=1)]
    return list(estimate_reference_warps(REGION, reconstruction, matches, photos, PRIORS, SETTINGS))


def test_cameras_and_depth_give_the_warp_where_there_are_points() -> None:
    warps, model = estimate(wall(), {})
    assert model == "depth"
    assert warps[1].parallax == pytest.approx(np.arctan(0.1 / 5), rel=0.01)
    assert warps[1].visible is not None
    assert warps[1].visible.shape == REGION.hole.shape
    assert not warps[1].approximate
    for full in (False, True):
        columns, rows = REGION.grid(full=full)
        x, y, in_front = warps[1].maps(columns, rows)
        assert in_front.all()
        assert np.median(x - columns) == pytest.approx(5, abs=0.3)
        assert np.abs(y - rows).max() < 0.1


def test_homographies_do_where_nothing_was_reconstructed() -> None:
    warps, model = estimate(None, shifted())
    assert model == "plane"
    columns, rows = REGION.grid()
    x, y, _ = warps[1].maps(columns, rows)
    np.testing.assert_allclose(x, columns + 3, atol=0.05)
    np.testing.assert_allclose(y, rows - 2, atol=0.05)
    assert warps[1].visible is None


@pytest.mark.parametrize("reconstruction", [wall(count=20), wall(error=2)], ids=["few points", "inaccurate points"])
def test_without_enough_accurate_points_there_is_no_depth(reconstruction: Reconstruction) -> None:
    assert estimate(reconstruction, shifted())[1] == "plane"


def test_with_unresolved_focal_lengths_homographies_that_explain_all_are_preferred() -> None:
    unresolved = replace(wall(), focal_unresolved=True)
    assert estimate(unresolved, shifted())[1] == "plane"
    assert estimate(unresolved, {})[1] == "depth"


def test_homographies_are_not_estimated_where_depth_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_warps, "_homography_warps", lambda *_: pytest.fail("they are not asked for"))
    photos = [PHOTO, np.roll(PHOTO, 5, axis=1)]
    model, _ = next(estimate_reference_warps(REGION, wall(), shifted(), photos, PRIORS, SETTINGS))
    assert model == "depth"


def test_few_matches_make_no_homography() -> None:
    assert estimate(None, shifted(39)) == ({}, "plane")


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("Singular matrix"), MemoryError("95.4 GiB")])
def test_where_depth_fails_homographies_are_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(reference_warps, "estimate_inverse_depth", fail)
    ((model, warps),) = models(wall(), shifted())
    assert (model, list(warps)) == ("plane", [1])
    assert f"The depth of the scene failed and is left out ({type(error).__name__} {error})" in caplog.text


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("Singular matrix"), MemoryError("95.4 GiB")])
def test_where_structure_from_motion_fails_there_is_no_reconstruction(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(reference_warps, "reconstruct", fail)
    assert reconstruct_scene(shifted(), PRIORS, SETTINGS) is None
    assert f"Structure from motion failed and is left out ({type(error).__name__} {error})" in caplog.text


def test_errors_of_a_reconstruction_are_judged_at_the_size_of_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(reference_warps, "reconstruct", lambda *arguments: calls.append(arguments))
    reconstruct_scene(shifted(), PRIORS, replace(SETTINGS, side=150))
    assert calls == [(PRIORS, calls[0][1], [0.5, 0.5], SETTINGS.sfm)]


def test_depth_that_is_no_number_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reference_warps, "estimate_inverse_depth", lambda *_: np.full(REGION.hole.shape, np.nan))
    assert estimate(wall(), shifted())[1] == "plane"
    assert "inverse_depth is not finite" in caplog.text


def test_what_fails_in_one_reference_costs_that_reference(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("array is too big")

    monkeypatch.setattr(reference_warps, "compute_visibility", fail)
    monkeypatch.setattr(reference_warps, "estimate_two_view_geometry", fail)
    assert models(wall(), shifted()) == [("depth", {}), ("plane", {})]
    assert "The visibility in reference 1 failed" in caplog.text
    assert "The homography to reference 1 failed" in caplog.text


def test_a_missing_installation_is_no_failure_of_the_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StageError("Structure from motion cannot run.", "Install pycolmap.")

    monkeypatch.setattr(reference_warps, "reconstruct", fail)
    with pytest.raises(StageError):
        reconstruct_scene(shifted(), PRIORS, SETTINGS)


def test_both_models_are_offered_where_both_fit() -> None:
    assert [(model, list(warps)) for model, warps in models(wall(), shifted())] == [("depth", [1]), ("plane", [1])]


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, 1e-320])
def test_a_point_that_runs_away_costs_that_point(nonsense: float) -> None:
    scene = wall()
    scene.points[7] = [0, 0, nonsense]
    warps, model = estimate(scene, shifted())
    assert model == "depth"
    columns, rows = REGION.grid()
    assert np.median(warps[1].maps(columns, rows)[0] - columns) == pytest.approx(5, abs=0.3)
