"""Cameras and sparse points of the photos by structure from motion.

pycolmap brings an OpenMP runtime that competes with torch's for the cores, so it runs in a child process. What COLMAP
returns for few photos depends on its random choices, and focal lengths may diverge; so it is run several times, and a
result is accepted if another run confirms it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from realfill.core.errors import StageError
from realfill.core.failures import NumericalError
from realfill.core.parallel import thread_count
from realfill.geometry.camera import DISTORTED_RADIUS, Camera, IntrinsicsPrior
from realfill.geometry.colmap_mapper import MapperSettings, run_mapper
from realfill.geometry.correspondence_graph import CorrespondenceGraph
from realfill.geometry.reconstruction import Reconstruction
from realfill.matching.correspondences import Matches

_SETTINGS, _RECONSTRUCTION = "settings.json", "reconstruction.npz"


@dataclass(frozen=True)
class SfmSettings:
    """How reconstructions are obtained, and when they are accepted.

    Attributes:
        initial_focals: Where unknown focal lengths start, as multiples of the photo's longer side: one for two runs,
            with and without distortion, with a seed of their own. 1.2 is COLMAP's default; from other starts focal
            lengths diverge in other photos.
        min_confirmations: In how many runs the focal length has to agree; set by hand.
        focal_tolerance: How far focal lengths that agree may differ, as a share; set by hand.
        fixed_focals: Unknown focal lengths that are tried in turn where they cannot be estimated, as multiples of the
            photo's longer side. Against the single value 1.2 they raised the keypoint recall of tower-bridge, four
            photos without EXIF, from .21 to .30.
        focal_range: Least and largest plausible focal length, as multiples of the longer side; set by hand.
        max_distortion: Farthest that distortion plausibly moves points of the photo, as a share of their distance
            from the center; set by hand.
        max_center_shift: Farthest that a principal point plausibly lies from the prior's, as a share of the longer
            side; set by hand.
        min_support: Share of the keypoints that a plausible run supports; see `Reconstruction.support`. It is .38 to
            .81 in 24 views of 12 albums, and .03 where two runs confirmed each other's nonsense.
        timeout: After how many seconds the child process is killed. Set by hand, far above the seconds to minutes
            that the few photos of an album take.
        mapper: Of COLMAP's mapper.
    """

    initial_focals: tuple[float, ...] = (1.2, 0.8, 1.8)
    min_confirmations: int = 2
    focal_tolerance: float = 0.1
    fixed_focals: tuple[float, ...] = (0.8, 1.2, 1.8, 2.7)
    focal_range: tuple[float, float] = (0.4, 6.0)
    max_distortion: float = 0.3
    max_center_shift: float = 0.1
    min_support: float = 0.2
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
    command = [sys.executable, "-m", "realfill.geometry.sfm", str(folder), str(thread_count())]
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


def main(folder: Path, threads: int = 1) -> None:
    """Reconstruct what `_run_in_subprocess` wrote; reconstruction.npz is there afterwards if there is any.

    Where the installation or the disk is at fault, the exit status is `os.EX_UNAVAILABLE`.
    """
    try:
        _reconstruct_folder(folder, threads)
    except (ImportError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(os.EX_UNAVAILABLE)


def _reconstruct_folder(folder: Path, threads: int) -> None:
    values = json.loads((folder / _SETTINGS).read_text())
    settings = SfmSettings(**{**values, "mapper": MapperSettings(**values["mapper"])})
    reconstruction = _reconstruct_repeatedly(folder, CorrespondenceGraph.read(folder), settings, threads)
    if reconstruction is not None:
        reconstruction.write(folder / _RECONSTRUCTION)


@dataclass(frozen=True)
class _Run:
    """One run of the mapper.

    Attributes:
        start: Focal length to start from where none is known, as a multiple of the photo's longer side.
        seed: Of all random choices.
        distortion: Whether distortion is estimated.
        fixed: Whether unknown focal lengths stay as they are at the start.
    """

    start: float
    seed: int = 0
    distortion: bool = False
    fixed: bool = False


def _reconstruct_repeatedly(
    folder: Path, graph: CorrespondenceGraph, settings: SfmSettings, threads: int = 1
) -> Reconstruction | None:
    """Estimate all intrinsics, with and without distortion, and where no run confirms another fix focal lengths.

    Of the plausible runs the one with most support is taken as soon as another run confirms its focal length. Where
    none is confirmed, the support tells which one fits. Runs side by side are judged in their order, so that the
    result does not depend on the number of threads.
    """

    def map_scene(run: _Run) -> Reconstruction | None:
        return run_mapper(
            folder / f"{run.start}-{run.seed}-{run.distortion}-{run.fixed}",
            graph,
            distortion=run.distortion,
            fixed_focal=run.start if run.fixed else None,
            seed=run.seed,
            settings=replace(settings.mapper, initial_focal=run.start),
        )

    plausible: list[Reconstruction] = []
    with ThreadPoolExecutor(threads) as pool:
        run_all: Callable[..., Any] = pool.map if threads > 1 else map
        for seed, start in enumerate(settings.initial_focals):
            for reconstruction in run_all(map_scene, [_Run(start, seed, distortion) for distortion in (True, False)]):
                plausible += _keep_plausible(reconstruction, graph, settings)
                best = _most_supported(plausible)
                if best is not None and _count_agreeing(best, plausible, settings) >= settings.min_confirmations:
                    return best
        for reconstruction in run_all(map_scene, [_Run(focal, fixed=True) for focal in settings.fixed_focals]):
            plausible += _keep_plausible(reconstruction, graph, settings)
    best = _most_supported(plausible)
    return replace(best, focal_unresolved=True) if best is not None else None


def _keep_plausible(
    reconstruction: Reconstruction | None, graph: CorrespondenceGraph, settings: SfmSettings
) -> list[Reconstruction]:
    if reconstruction is None or not _is_plausible(reconstruction, graph, settings):
        return []
    return [reconstruction]


def _most_supported(reconstructions: Sequence[Reconstruction]) -> Reconstruction | None:
    return max(reconstructions, key=lambda reconstruction: reconstruction.support, default=None)


def _count_agreeing(best: Reconstruction, others: Sequence[Reconstruction], settings: SfmSettings) -> int:
    """Count the reconstructions whose focal length of the target is about that of the best one, with itself."""
    focal = best.cameras[0].focal
    return sum(abs(other.cameras[0].focal / focal - 1) < settings.focal_tolerance for other in others)


def _is_plausible(reconstruction: Reconstruction, graph: CorrespondenceGraph, settings: SfmSettings) -> bool:
    """Tell whether enough is explained, and no photo's intrinsics diverged: others would compensate for it."""
    keypoints = sum(map(len, graph.keypoints.values()))
    return reconstruction.support >= settings.min_support * keypoints and all(
        _has_plausible_intrinsics(camera, graph.priors[number], settings)
        for number, camera in reconstruction.cameras.items()
    )


def _has_plausible_intrinsics(camera: Camera, prior: IntrinsicsPrior, settings: SfmSettings) -> bool:
    has_pose = bool(np.isfinite(camera.rotation).all() and np.isfinite(camera.translation).all())
    side = max(prior.width, prior.height)
    shortest, longest = settings.focal_range
    if not has_pose or not shortest * side <= camera.focal <= longest * side:
        return False
    if math.dist(camera.center, prior.center) > settings.max_center_shift * side:
        return False
    corner = math.hypot(prior.width, prior.height) / 2 / camera.focal
    radius = np.linspace(0, DISTORTED_RADIUS, 49) * corner
    shift = (camera.distort(radius, np.zeros_like(radius)) - 1) * radius
    is_increasing = bool((np.diff(radius + shift) > 0).all())  # otherwise a pixel sees in two directions
    in_photo = radius <= corner
    return is_increasing and bool((np.abs(shift) <= settings.max_distortion * radius)[in_photo].all())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
