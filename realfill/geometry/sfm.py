"""Cameras of the photos by structure from motion (COLMAP's incremental mapper: Schönberger and Frahm, CVPR 2016).

pycolmap brings an OpenMP runtime of its own that fights with torch's over the cores, so it runs in a child process.
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
from typing import Any

import numpy as np

from realfill.core.errors import StageError
from realfill.geometry.camera import Camera, IntrinsicsPrior
from realfill.matching.correspondences import Matches

_FEWEST_MATCHES = 15
_ANGLE = 1.0  # degrees between the rays of a point that is kept
_FOCAL = 1.2  # longer sides of the photo, to begin with where nothing is known
_FIXED_FOCALS = (0.8, 1.2, 1.8, 2.7)  # longer sides of the photo, tried where it cannot be found
_FOCALS = (0.4, 6.0)  # longer sides of the photo: what a lens can have
_SEEDS = range(3)  # of the draws that are compared
_AGREE = 0.1  # share of the focal length within which two draws found the same
_BENT = 0.5  # distortion beyond which a lens is not believed
_FORWARD = (0.95, 1.0)  # how far the first two photos may lie one behind the other; 1 where nothing else is found


@dataclass(frozen=True)
class Reconstruction:
    """Cameras and points of a scene.

    Attributes:
        cameras: By the number of the photo; photos that could not be placed are absent.
        points: World coordinates, float64 [N, 3].
        errors: Mean reprojection error of each point, pixels of the photos that were matched, [N].
        views: How many photos see each point, int [N].
        guessed: Focal lengths could not be found, and were held at values that fit best.
    """

    cameras: dict[int, Camera]
    points: np.ndarray
    errors: np.ndarray
    views: np.ndarray
    guessed: bool = False


def reconstruct(
    lenses: Sequence[IntrinsicsPrior], matches: Mapping[tuple[int, int], Matches], scales: Sequence[float]
) -> Reconstruction | None:
    """Pose the photos of a scene; photo 0 has to be among those that are posed.

    Args:
        lenses: One a photo, at its full size.
        matches: Between photos i < j, in pixels of the full-size photos.
        scales: Size at which each photo was matched / its full size; errors are judged there.

    Returns:
        The reconstruction that holds photo 0 and most others; None where there is none, as when the camera only
        turned, or there are too few matches.
    """
    enough = {pair: found for pair, found in matches.items() if len(found) >= _FEWEST_MATCHES}
    if not enough:
        return None
    photos = [_shrunk(lens, scale) for lens, scale in zip(lenses, scales, strict=True)]
    keypoints, indices = _numbered(enough, scales)
    with TemporaryDirectory() as folder:
        found = _run_in_subprocess(Path(folder), photos, keypoints, indices)
    if found is None:
        return None
    cameras = {number: camera.scaled(1 / scales[number]) for number, camera in found.cameras.items()}
    return replace(found, cameras=cameras)


def _run_in_subprocess(
    folder: Path,
    lenses: Sequence[IntrinsicsPrior],
    keypoints: Mapping[int, np.ndarray],
    pairs: Mapping[tuple[int, int], np.ndarray],
) -> Reconstruction | None:
    """Run `main` in a process of its own on files in a folder."""
    (folder / "lenses.json").write_text(json.dumps([asdict(lens) for lens in lenses]))
    arrays: dict[str, Any] = {str(n): points for n, points in keypoints.items()}
    np.savez(folder / "keypoints.npz", **arrays)
    arrays = {f"{i} {j}": indices for (i, j), indices in pairs.items()}
    np.savez(folder / "pairs.npz", **arrays)
    command = [sys.executable, "-m", "realfill.geometry.sfm", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOG_minloglevel": "3"}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if ended.returncode:
        told = ended.stderr.strip().splitlines()[-1:] or [f"exit status {ended.returncode}"]
        raise StageError(
            f"Structure from motion failed ({told[0][:300]}).",
            "Check that pycolmap is installed; set align.enabled to false to go on without it.",
        )
    if not (folder / "found.npz").is_file():
        return None
    with np.load(folder / "found.npz", allow_pickle=False) as found:
        posed = zip(*(found[name] for name in ("numbers", "lenses", "rotations", "translations")), strict=True)
        cameras = {
            int(number): Camera(float(focal), (float(x), float(y)), float(bend), rotation, translation)
            for number, (focal, x, y, bend), rotation, translation in posed
        }
        return Reconstruction(cameras, found["points"], found["errors"], found["views"], bool(found["guessed"]))


def main(folder: Path) -> None:
    """Map what `_apart` wrote; found.npz is there afterwards if anything was found."""
    lenses = [
        IntrinsicsPrior(**{**lens, "centre": tuple(lens["centre"])})
        for lens in json.loads((folder / "lenses.json").read_text())
    ]
    with np.load(folder / "keypoints.npz", allow_pickle=False) as archive:
        keypoints = {int(name): archive[name] for name in archive.files}
    with np.load(folder / "pairs.npz", allow_pickle=False) as archive:
        pairs = {(int(name.split()[0]), int(name.split()[1])): archive[name] for name in archive.files}
    found = _map(folder, lenses, keypoints, pairs)
    if found is None:
        return
    cameras = found.cameras.values()
    np.savez(
        folder / "found.npz",
        numbers=np.array(list(found.cameras)),
        lenses=np.array([(camera.focal, *camera.centre, camera.bend) for camera in cameras]),
        rotations=np.stack([camera.rotation for camera in cameras]),
        translations=np.stack([camera.translation for camera in cameras]),
        points=found.points,
        errors=found.errors,
        views=found.views,
        guessed=np.array(found.guessed),
    )


def _shrunk(lens: IntrinsicsPrior, scale: float) -> IntrinsicsPrior:
    return IntrinsicsPrior(
        max(1, round(lens.width * scale)),
        max(1, round(lens.height * scale)),
        (lens.centre[0] * scale, lens.centre[1] * scale),
        None if lens.focal is None else lens.focal * scale,
        lens.camera,
    )


def _numbered(
    matches: Mapping[tuple[int, int], Matches], scales: Sequence[float]
) -> tuple[dict[int, np.ndarray], dict[tuple[int, int], np.ndarray]]:
    """Keypoints [N, 2] of each photo in COLMAP's pixels, and pairs of their numbers [M, 2] uint32."""
    ends: dict[int, list[np.ndarray]] = {}
    for (i, j), found in matches.items():
        ends.setdefault(i, []).append(found.points0)
        ends.setdefault(j, []).append(found.points1)
    points, numbers = {}, {}
    for photo, parts in ends.items():
        unique, inverse = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
        points[photo] = ((unique + 0.5) * scales[photo]).astype(np.float32)
        numbers[photo] = iter(np.split(inverse.reshape(-1), np.cumsum([len(part) for part in parts])[:-1]))
    pairs = {(i, j): np.stack([next(numbers[i]), next(numbers[j])], 1).astype(np.uint32) for i, j in matches}
    return points, pairs


def _map(
    folder: Path,
    lenses: Sequence[IntrinsicsPrior],
    keypoints: Mapping[int, np.ndarray],
    pairs: Mapping[tuple[int, int], np.ndarray],
) -> Reconstruction | None:
    """Free lenses first; where they run away, without distortion; at last with the focal lengths held too.

    Of several draws the one with most observations counts, if another one found the same focal length. Held ones
    need no second: they are tried in turn, and observations tell which fits.
    """
    for attempt, bent in enumerate([True, False]):
        draws = (_mapped(folder / f"{attempt}-{seed}", lenses, keypoints, pairs, bent, None, seed) for seed in _SEEDS)
        found = _most_observed(draws, lenses)
        if found and found[1] > 1:
            return found[0]
    held = (
        _mapped(folder / f"held-{focal}", lenses, keypoints, pairs, False, focal, _SEEDS[0])
        for focal in _FIXED_FOCALS
    )
    found = _most_observed(held, lenses)
    return replace(found[0], guessed=True) if found else None


def _most_observed(
    draws: Iterable[Reconstruction | None], lenses: Sequence[IntrinsicsPrior]
) -> tuple[Reconstruction, int] | None:
    """The draw with most observations, and how many have about its focal length."""
    believed = [draw for draw in (_drop_implausible_cameras(draw, lenses) for draw in draws) if draw is not None]
    if not believed:
        return None
    best = max(believed, key=lambda draw: int(draw.views.sum()))
    focal = best.cameras[0].focal
    return best, sum(abs(draw.cameras[0].focal / focal - 1) < _AGREE for draw in believed)


def _drop_implausible_cameras(
    found: Reconstruction | None, lenses: Sequence[IntrinsicsPrior]
) -> Reconstruction | None:
    """Without the references whose lens ran away; None if the target's did, or too few are left."""
    if found is None:
        return None
    sane = {number: camera for number, camera in found.cameras.items() if _is_sane(camera, lenses[number])}
    if 0 not in sane or len(sane) < min(3, len(found.cameras)):
        return None
    return replace(found, cameras=sane)


def _is_sane(camera: Camera, lens: IntrinsicsPrior) -> bool:
    longer = max(lens.width, lens.height)
    return _FOCALS[0] * longer <= camera.focal <= _FOCALS[1] * longer and abs(camera.bend) <= _BENT


def _mapped(
    folder: Path,
    lenses: Sequence[IntrinsicsPrior],
    keypoints: Mapping[int, np.ndarray],
    pairs: Mapping[tuple[int, int], np.ndarray],
    bent: bool,
    held: float | None,
    seed: int,
) -> Reconstruction | None:
    """Map with radial distortion or without, and with the focal lengths found, or unknown ones held at a value."""
    import pycolmap

    folder.mkdir()
    pycolmap.logging.minloglevel = 3
    pycolmap.set_random_seed(seed)
    _write_database(folder, lenses, keypoints, pairs, held or _FOCAL)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed  # else it depends on which of its threads comes first
    pycolmap.verify_matches(folder / "database.db", folder / "pairs.txt", verification)
    for forward in _FORWARD:
        options = _options(pycolmap, bent, held is None, seed, forward)
        maps = pycolmap.incremental_mapping(folder / "database.db", folder, folder, options=options)
        with_target = [found for found in maps.values() if "0" in {image.name for image in found.images.values()}]
        if with_target:
            return _unpacked(max(with_target, key=lambda found: (found.num_reg_images(), found.num_points3D())))
    return None


def _options(pycolmap: Any, bent: bool, focal: bool, seed: int, forward: float) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = 2
    options.num_threads = 1
    options.random_seed = seed
    options.ba_refine_focal_length = focal
    options.ba_refine_extra_params = bent
    options.mapper.init_min_num_inliers = 40
    options.mapper.init_min_tri_angle = 4.0
    options.mapper.init_max_forward_motion = forward
    options.mapper.abs_pose_min_num_inliers = _FEWEST_MATCHES
    options.mapper.filter_min_tri_angle = _ANGLE
    options.triangulation.min_angle = _ANGLE
    options.triangulation.ignore_two_view_tracks = False
    return options


def _write_database(
    folder: Path,
    lenses: Sequence[IntrinsicsPrior],
    keypoints: Mapping[int, np.ndarray],
    pairs: Mapping[tuple[int, int], np.ndarray],
    guess: float,
) -> None:
    import pycolmap

    database = pycolmap.Database.open(folder / "database.db")
    rigs: dict[str, tuple[int, int]] = {}
    images = {}
    for number, lens in enumerate(lenses):
        name = lens.camera or f"photo {number}"
        if name not in rigs:
            rigs[name] = _write_camera(pycolmap, database, lens, guess)
        camera, rig = rigs[name]
        image = pycolmap.Image(name=str(number), camera_id=camera)
        images[number] = image.image_id = database.write_image(image)
        frame = pycolmap.Frame()
        frame.rig_id = rig
        frame.add_data_id(image.data_id)
        database.write_frame(frame)
        database.write_keypoints(images[number], keypoints.get(number, np.zeros((0, 2), np.float32)))
    for (i, j), indices in pairs.items():
        database.write_matches(images[i], images[j], indices)
    database.close()
    (folder / "pairs.txt").write_text("\n".join(f"{i} {j}" for i, j in pairs))


def _write_camera(pycolmap: Any, database: Any, lens: IntrinsicsPrior, guess: float) -> tuple[int, int]:
    focal = lens.focal or guess * max(lens.width, lens.height)
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL", width=lens.width, height=lens.height, params=[focal, *lens.centre, 0.0]
    )
    camera.has_prior_focal_length = lens.focal is not None
    camera.camera_id = database.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(camera.sensor_id)
    return camera.camera_id, database.write_rig(rig)


def _unpacked(found: Any) -> Reconstruction:
    cameras = {}
    for image in found.images.values():
        if image.has_pose:
            focal, x, y, bend = found.cameras[image.camera_id].params
            pose = np.asarray(image.cam_from_world().matrix())
            cameras[int(image.name)] = Camera(
                float(focal), (float(x) - 0.5, float(y) - 0.5), float(bend), pose[:, :3], pose[:, 3]
            )
    points = [found.points3D[number] for number in sorted(found.points3D)]
    return Reconstruction(
        cameras,
        np.array([point.xyz for point in points]).reshape(-1, 3),
        np.array([point.error for point in points]),
        np.array([point.track.length() for point in points], int),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
