import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from realfill.core.errors import StageError
from realfill.core.failures import NumericalError
from realfill.geometry import sfm
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.colmap_mapper import MapperSettings
from realfill.geometry.correspondence_graph import CorrespondenceGraph
from realfill.geometry.reconstruction import Reconstruction
from realfill.geometry.sfm import SfmSettings, reconstruct
from realfill.matching.correspondences import Matches

POINTS = np.random.default_rng(0).uniform((-4, -3, 6), (4, 3, 14), (300, 3))
PAIRS = ((0, 1), (0, 2), (1, 2))
QUICK = SfmSettings(initial_focals=(1.2,), min_confirmations=1)


def project_points(cameras: list[Camera]) -> dict[tuple[int, int], Matches]:
    """Exact matches of cameras that only moved."""
    seen = [np.column_stack(camera.project(POINTS + camera.translation)[:2]) for camera in cameras]
    return {
        (i, j): Matches(seen[i].astype(np.float32), seen[j].astype(np.float32), np.ones(len(POINTS), np.float32))
        for i, j in PAIRS
    }


def cameras_at(*translations: tuple[float, float, float]) -> list[Camera]:
    return [Camera(500.0, (319.5, 239.5), (0.0, 0.0), np.eye(3), np.array(shift)) for shift in translations]


def test_a_camera_that_walked_towards_the_scene_is_posed() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    photos = cameras_at(*((0.02 * ahead, 0, -ahead) for ahead in (0, 1.5, 2.8)))
    reconstruction = reconstruct([prior] * 3, project_points(photos), [1.0] * 3)
    assert reconstruction is not None
    cameras = reconstruction.cameras
    ahead = [cameras[n].relative_to(cameras[0]).translation for n in (1, 2)]
    assert ahead[1][2] / ahead[0][2] == pytest.approx(2.8 / 1.5, rel=0.02)
    assert np.abs(ahead[1][:2] / ahead[1][2]).max() < 0.05


def test_cameras_are_those_of_the_full_size_photos() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    reconstruction = reconstruct([prior] * 3, matches, [0.5] * 3, QUICK)
    assert reconstruction is not None
    assert reconstruction.cameras[0].focal == pytest.approx(500, rel=0.02)
    columns, rows, _ = reconstruction.cameras[0].project(
        reconstruction.points @ reconstruction.cameras[0].rotation.T + reconstruction.cameras[0].translation
    )
    distance = np.hypot(columns[:, None] - matches[0, 1].points0[:, 0], rows[:, None] - matches[0, 1].points0[:, 1])
    assert np.median(distance.min(axis=1)) < 0.5  # every point lies where a keypoint was


def test_an_implausible_focal_length_is_not_accepted() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    strict = replace(QUICK, focal_range=(2, 6), fixed_focals=(0.8,))
    assert reconstruct([prior] * 3, matches, [1.0] * 3, strict) is None


def test_what_is_not_confirmed_counts_as_unresolved() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240))
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    suspicious = SfmSettings(initial_focals=(1.2,), min_confirmations=3, fixed_focals=(2.7,))
    reconstruction = reconstruct([prior] * 3, matches, [1.0] * 3, suspicious)
    assert reconstruction is not None
    assert reconstruction.focal_unresolved


def test_where_nothing_can_be_estimated_focal_lengths_are_fixed() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240))
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    reconstruction = reconstruct([prior] * 3, matches, [1.0] * 3, SfmSettings(initial_focals=(), fixed_focals=(0.8,)))
    assert reconstruction is not None
    assert reconstruction.focal_unresolved
    assert {camera.focal for camera in reconstruction.cameras.values()} == {0.8 * 640}


def test_runs_that_explain_little_confirm_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0))
    graph = CorrespondenceGraph.build([IntrinsicsPrior(640, 480, (320, 240))] * 3, project_points(cameras), [1.0] * 3)
    little = Reconstruction(dict(enumerate(cameras)), POINTS[:20], np.zeros(20), np.full(20, 3))
    monkeypatch.setattr(sfm, "run_mapper", lambda *_, **__: little)
    assert sfm._reconstruct_repeatedly(Path(), graph, SfmSettings()) is None


@pytest.mark.parametrize(
    ("focal", "center", "distortion"),
    [
        (4e5, (320, 240), (0.0, 0.0)),
        (500, (420, 240), (0.0, 0.0)),
        (500, (320, 240), (0.5, 0.0)),  # a corner moves by a third
        (500, (320, 240), (0.0, -1.0)),  # beyond some radius points move back to the center
    ],
)
def test_a_run_in_which_any_camera_diverged_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, focal: float, center: tuple[float, float], distortion: tuple[float, float]
) -> None:
    diverged = Camera(focal, center, distortion, np.eye(3), np.zeros(3))
    good = dict(enumerate(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0))))
    prior = IntrinsicsPrior(640, 480, (320, 240))
    graph = CorrespondenceGraph.build([prior] * 3, project_points(list(good.values())), [1.0] * 3)
    runs = iter([good | {2: diverged}, good, good])

    def run_mapper(*_: object, **__: object) -> Reconstruction:
        cameras = next(runs)
        support = 300 if cameras[2] is diverged else 200
        return Reconstruction(cameras, POINTS[:support], np.zeros(support), np.full(support, 3))

    monkeypatch.setattr(sfm, "run_mapper", run_mapper)
    reconstruction = sfm._reconstruct_repeatedly(Path(), graph, SfmSettings())
    assert reconstruction is not None
    assert reconstruction.cameras == good


@pytest.mark.parametrize("count", [0, 14])
def test_too_few_matches_start_no_process(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    matches = {(0, 1): project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))[0, 1][np.arange(count)]}
    assert reconstruct([IntrinsicsPrior(640, 480, (320, 240))] * 2, matches, [1.0] * 2) is None


@pytest.mark.parametrize(
    ("pycolmap", "error", "message"),
    [
        ("raise ImportError('no pycolmap')", StageError, "ImportError: no pycolmap"),
        ("raise OSError(28, 'No space left on device')", StageError, "No space left on device"),
        ("raise RuntimeError('Check failed: it is degenerate')", NumericalError, "it is degenerate"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", NumericalError, "exit status -11"),
    ],
    ids=["not installed", "full disk", "failure", "crash"],
)
def test_a_process_that_fails_is_told_from_one_that_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pycolmap: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "pycolmap.py").write_text(pycolmap)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    with pytest.raises(error, match=message):
        reconstruct([IntrinsicsPrior(640, 480, (320, 240))] * 3, matches, [1.0] * 3)


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, python = tmp_path / "started", tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > '{started}'\nexec sleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    with pytest.raises(NumericalError, match="did not end within 3 s"):
        reconstruct([IntrinsicsPrior(640, 480, (320, 240))] * 3, matches, [1.0] * 3, SfmSettings(timeout=3))
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf])
def test_cameras_that_are_no_numbers_are_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nonsense: float
) -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    cameras = cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0))
    cameras[0] = replace(cameras[0], translation=np.full(3, nonsense))
    scene = Reconstruction(dict(enumerate(cameras)), POINTS, np.zeros(len(POINTS)), np.full(len(POINTS), 3))
    monkeypatch.setattr(sfm, "run_mapper", lambda *_, **__: scene)
    CorrespondenceGraph([prior] * 3, {}, {}).write(tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps(asdict(SfmSettings())))
    before = set(tmp_path.iterdir())
    sfm.main(tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_runs_end_once_enough_of_them_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    cameras = cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0))
    scene = Reconstruction(dict(enumerate(cameras)), POINTS, np.zeros(len(POINTS)), np.full(len(POINTS), 3))
    CorrespondenceGraph([prior] * 3, {}, {}).write(tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps(asdict(SfmSettings())))
    for results, count in (([scene, scene], 2), ([None, scene, scene], 3)):
        remaining = iter(results)
        monkeypatch.setattr(sfm, "run_mapper", lambda *_, remaining=remaining, **__: next(remaining))
        sfm.main(tmp_path)
        assert len(results) == count
        assert next(remaining, None) is None


def test_runs_side_by_side_are_judged_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0))
    graph = CorrespondenceGraph([IntrinsicsPrior(640, 480, (320, 240))] * 3, {}, {})
    supports = {(0, True): 10, (0, False): None, (1, True): 20, (1, False): 30}

    def run_mapper(*_: object, distortion: bool, seed: int, **__: object) -> Reconstruction | None:
        time.sleep(0.01 if distortion else 0)  # the later one ends first
        count = supports[seed, distortion]
        if count is None:
            return None
        return Reconstruction(dict(enumerate(cameras)), POINTS[:count], np.zeros(count), np.full(count, 3))

    monkeypatch.setattr(sfm, "run_mapper", run_mapper)
    for threads in (1, 2):
        reconstruction = sfm._reconstruct_repeatedly(Path(), graph, SfmSettings(), threads)
        assert reconstruction is not None
        assert len(reconstruction.points) == 20


def test_settings_reach_the_process() -> None:
    prior = IntrinsicsPrior(640, 480, (320, 240), focal=500.0)
    matches = project_points(cameras_at((0, 0, 0), (1, 0, 0), (0, 1, 0)))
    impossible = replace(QUICK, fixed_focals=(), mapper=MapperSettings(init_min_tri_angle=80, min_tri_angle=80))
    assert reconstruct([prior] * 3, matches, [1.0] * 3, impossible) is None
