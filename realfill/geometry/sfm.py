"""Cameras and sparse points of the photos by structure from motion.

pycolmap brings an OpenMP runtime that competes with torch's for the cores, so it runs in a child process. What COLMAP
returns for few photos depends on its random choices, and focal lengths may diverge; so it is run several times, and a
result is accepted if another run confirms it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from realfill.core.errors import StageError
from realfill.core.failures import NumericalError
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.geometry.colmap_mapper import MapperSettings, run_mapper
from realfill.geometry.correspondence_graph import CorrespondenceGraph
from realfill.geometry.reconstruction import Reconstruction
from realfill.matching.correspondences import Matches

_SETTINGS, _RECONSTRUCTION = "settings.json", "reconstruction.npz"


@dataclass(frozen=True)
class SfmSettings:
    """How reconstructions are obtained, and when they are accepted.

    Attributes:
        runs: How many reconstructions are compared at most, which differ in the seed; set by hand.
        min_confirmations: Of how many runs the focal length has to agree; once it does, there are no more. Set by
            hand.
        focal_tolerance: How far focal lengths that agree may differ, as a share; set by hand.
        fixed_focals: Unknown focal lengths that are tried in turn where they cannot be estimated, as multiples of the
            photo's longer side. Against the single value 1.2 they raised the keypoint recall of tower-bridge, four
            photos without EXIF, from .21 to .30.
        focal_range: Least and largest plausible focal length, as multiples of the longer side; set by hand.
        max_distortion: Largest plausible |k1|; set by hand.
        min_photos: How many posed photos have to be plausible, or all where fewer are posed; set by hand.
        timeout: After how many seconds the child process is killed. Set by hand, far above the seconds to minutes
            that the few photos of an album take.
        mapper: Of COLMAP's mapper.
    """

    runs: int = 3
    min_confirmations: int = 2
    focal_tolerance: float = 0.1
    fixed_focals: tuple[float, ...] = (0.8, 1.2, 1.8, 2.7)
    focal_range: tuple[float, float] = (0.4, 6.0)
    max_distortion: float = 0.5
    min_photos: int = 3
    timeout: float = 1800
    mapper: MapperSettings = MapperSettings()


def reconstruct(
    priors: Sequence[IntrinsicsPrior],
    matches: Mapping[tuple[int, int], Matches],
    scales: Sequence[float],
    settings: SfmSettings = SfmSettings(),
) -> Reconstruction | None:
    """Pose the photos of a scene; photo 0 has to be among those that are posed.

    Args:
        priors: One a photo, at its full size.
        matches: Between photos i < j by (i, j), in pixels of the full-size photos.
        scales: Size at which errors are judged / full size, one per photo.
        settings: When a reconstruction is accepted.

    Returns:
        The reconstruction, with cameras of the full-size photos; None where there is none, as when the camera only
        turned or there are too few matches.

    Raises:
        StageError: The child process cannot run, since pycolmap is not installed or its files cannot be written.
        NumericalError: The child process failed, crashed or did not end.
    """
    enough = {pair: value for pair, value in matches.items() if len(value) >= settings.mapper.min_num_matches}
    if not enough:
        return None
    graph = CorrespondenceGraph.build(priors, enough, scales)
    with TemporaryDirectory() as folder:
        reconstruction = _run_in_subprocess(Path(folder), graph, settings)
    if reconstruction is None:
        return None
    cameras = {number: camera.rescale(1 / scales[number]) for number, camera in reconstruction.cameras.items()}
    return replace(reconstruction, cameras=cameras)


def _run_in_subprocess(folder: Path, graph: CorrespondenceGraph, settings: SfmSettings) -> Reconstruction | None:
    """Run `main` in a child process on files in a folder."""
    graph.write(folder)
    (folder / _SETTINGS).write_text(json.dumps(asdict(settings)))
    command = [sys.executable, "-m", "realfill.geometry.sfm", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOG_minloglevel": "3"}
    try:
        process = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=settings.timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise NumericalError(f"structure from motion did not end within {settings.timeout:g} s") from error
    if process.returncode:
        message, *_ = [*process.stderr.strip().splitlines()[-1:], f"exit status {process.returncode}"]
        if process.returncode != os.EX_UNAVAILABLE:
            raise NumericalError(message[:300])
        raise StageError(
            f"Structure from motion cannot run ({message[:300]}).",
            "Check that pycolmap is installed; set align.enabled to false to go on without it.",
        )
    path = folder / _RECONSTRUCTION
    return Reconstruction.read(path) if path.is_file() else None


def main(folder: Path) -> None:
    """Reconstruct what `_run_in_subprocess` wrote; reconstruction.npz is there afterwards if there is any.

    Where the installation or the disk is at fault, the exit status is `os.EX_UNAVAILABLE`.
    """
    try:
        _reconstruct_folder(folder)
    except (ImportError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(os.EX_UNAVAILABLE)


def _reconstruct_folder(folder: Path) -> None:
    values = json.loads((folder / _SETTINGS).read_text())
    settings = SfmSettings(**{**values, "mapper": MapperSettings(**values["mapper"])})
    reconstruction = _reconstruct_repeatedly(folder, CorrespondenceGraph.read(folder), settings)
    if reconstruction is not None:
        reconstruction.write(folder / _RECONSTRUCTION)


def _reconstruct_repeatedly(folder: Path, graph: CorrespondenceGraph, settings: SfmSettings) -> Reconstruction | None:
    """Estimate all intrinsics; where they are implausible, no distortion; at last, fixed focal lengths.

    Of the runs with different seeds the one with most observations is taken if another run confirms its focal length.
    Fixed focal lengths need no confirmation: the number of observations tells which fits.
    """

    def run(name: str, *, distortion: bool, fixed_focal: float | None, seed: int) -> Reconstruction | None:
        return run_mapper(
            folder / name,
            graph,
            distortion=distortion,
            fixed_focal=fixed_focal,
            seed=seed,
            settings=settings.mapper,
        )

    for distortion in (True, False):
        name = "distortion" if distortion else "no-distortion"
        candidates = (
            run(f"{name}-{seed}", distortion=distortion, fixed_focal=None, seed=seed) for seed in range(settings.runs)
        )
        best, confirmations = _most_observed(candidates, graph.priors, settings, settings.min_confirmations)
        if best and confirmations >= settings.min_confirmations:
            return best
    candidates = (
        run(f"focal-{focal}", distortion=False, fixed_focal=focal, seed=0) for focal in settings.fixed_focals
    )
    best, _ = _most_observed(candidates, graph.priors, settings)
    return replace(best, focal_unresolved=True) if best else None


def _most_observed(
    candidates: Iterable[Reconstruction | None],
    priors: Sequence[IntrinsicsPrior],
    settings: SfmSettings,
    enough: float = np.inf,
) -> tuple[Reconstruction | None, int]:
    """Return the plausible reconstruction with most observations, and how many agree with its focal length.

    Once `enough` agree, no other one is made.
    """
    plausible: list[Reconstruction] = []
    for candidate in candidates:
        kept = _drop_implausible_cameras(candidate, priors, settings)
        plausible += [kept] if kept is not None else []
        best, agreeing = _best_of(plausible, settings)
        if best is not None and agreeing >= enough:
            break
    return _best_of(plausible, settings)


def _best_of(plausible: Sequence[Reconstruction], settings: SfmSettings) -> tuple[Reconstruction | None, int]:
    if not plausible:
        return None, 0
    best = max(plausible, key=lambda candidate: candidate.observations)
    focal = best.cameras[0].focal
    return best, sum(abs(other.cameras[0].focal / focal - 1) < settings.focal_tolerance for other in plausible)


def _drop_implausible_cameras(
    reconstruction: Reconstruction | None, priors: Sequence[IntrinsicsPrior], settings: SfmSettings
) -> Reconstruction | None:
    """Drop references whose intrinsics diverged; return None if the target's did, or too few are left."""
    if reconstruction is None:
        return None
    plausible = {
        number: camera
        for number, camera in reconstruction.cameras.items()
        if _is_plausible(camera, priors[number], settings)
    }
    if 0 not in plausible or len(plausible) < min(settings.min_photos, len(reconstruction.cameras)):
        return None
    return replace(reconstruction, cameras=plausible)


def _is_plausible(camera: Camera, prior: IntrinsicsPrior, settings: SfmSettings) -> bool:
    side = max(prior.width, prior.height)
    shortest, longest = settings.focal_range
    has_pose = bool(np.isfinite(camera.rotation).all() and np.isfinite(camera.translation).all())
    is_undistorted = abs(camera.radial_distortion) <= settings.max_distortion
    return has_pose and is_undistorted and shortest * side <= camera.focal <= longest * side


if __name__ == "__main__":
    main(Path(sys.argv[1]))
