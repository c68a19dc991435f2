"""One run of COLMAP's incremental mapper (Schönberger and Frahm, CVPR 2016) through pycolmap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from realfill.geometry.camera import Camera
from realfill.geometry.colmap_database import write_database
from realfill.geometry.correspondence_graph import CorrespondenceGraph
from realfill.geometry.reconstruction import Reconstruction


@dataclass(frozen=True)
class MapperSettings:
    """Options of COLMAP's mapper that differ from its defaults, for the few photos of an album.

    Attributes:
        min_num_matches: Least matches of a pair that is used (COLMAP's default), and least inliers of a photo that is
            posed (COLMAP: 30; set by hand).
        min_tri_angle: Least angle between the rays of a point that is kept, degrees (COLMAP: 1.5; set by hand).
        init_min_num_inliers: Least inliers of the first pair (COLMAP: 100; set by hand).
        init_min_tri_angle: Least angle of the first pair's points, degrees (COLMAP: 16; set by hand).
        init_max_forward_motions: How far the first two photos may have been taken one behind the other, from 0 to 1,
            tried in turn until target and references are posed. COLMAP's 0.95 refuses photos taken while walking
            towards the scene; 1 allows them.
        initial_focal: Focal length to start from where none is known, as a multiple of the photo's longer side;
            COLMAP's default.
        loss_scale: Reprojection error from which on the last adjustment counts errors less than squared (soft L1),
            pixels; set by hand.
    """

    min_num_matches: int = 15
    min_tri_angle: float = 1.0
    init_min_num_inliers: int = 40
    init_min_tri_angle: float = 4.0
    init_max_forward_motions: tuple[float, ...] = (0.95, 1.0)
    initial_focal: float = 1.2
    loss_scale: float = 1.0


def run_mapper(
    folder: Path,
    graph: CorrespondenceGraph,
    *,
    distortion: bool,
    fixed_focal: float | None,
    seed: int,
    settings: MapperSettings = MapperSettings(),
) -> Reconstruction | None:
    """Verify the matches and map the scene.

    Args:
        folder: Made for the database.
        graph: Photos and matches.
        distortion: Whether radial distortion and principal points are estimated.
        fixed_focal: Focal length of photos whose own is unknown, as a multiple of their longer side; no focal length
            is estimated then. None: all are estimated.
        seed: Of all random choices.
        settings: Options of the mapper.

    Returns:
        The largest reconstruction that contains photo 0; None where there is none.
    """
    import pycolmap

    folder.mkdir()
    database, pairs = folder / "database.db", folder / "pairs.txt"
    pycolmap.logging.minloglevel = 3
    pycolmap.set_random_seed(seed)
    write_database(database, pairs, graph, fixed_focal or settings.initial_focal)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = seed  # otherwise the result depends on the order of its threads
    pycolmap.verify_matches(database, pairs, verification)
    for forward_motion in settings.init_max_forward_motions:
        options = _pipeline_options(pycolmap, distortion, fixed_focal is None, seed, forward_motion, settings)
        maps = pycolmap.incremental_mapping(database, folder, folder, options=options).values()
        with_target = [map_ for map_ in maps if "0" in {image.name for image in map_.images.values()}]
        if with_target:
            largest = max(with_target, key=lambda map_: (map_.num_reg_images(), map_.num_points3D()))
            if distortion:
                _refine_lenses(pycolmap, largest, settings)
            return _unpack_reconstruction(largest)
    return None


def _pipeline_options(
    pycolmap: Any, distortion: bool, focal: bool, seed: int, forward_motion: float, settings: MapperSettings
) -> Any:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = 2
    options.num_threads = 1
    options.random_seed = seed
    options.ba_refine_focal_length = focal
    options.ba_refine_extra_params = distortion
    options.mapper.init_min_num_inliers = settings.init_min_num_inliers
    options.mapper.init_min_tri_angle = settings.init_min_tri_angle
    options.mapper.init_max_forward_motion = forward_motion
    options.mapper.abs_pose_min_num_inliers = settings.min_num_matches
    options.mapper.filter_min_tri_angle = settings.min_tri_angle
    options.triangulation.min_angle = settings.min_tri_angle
    options.triangulation.ignore_two_view_tracks = False  # an album may have two photos only
    return options


def _refine_lenses(pycolmap: Any, map_: Any, settings: MapperSettings) -> None:
    """Adjust the bundle once more, robustly, with a second radial coefficient and the principal points.

    Phones shift the principal point to stabilize the picture, and crops do. Beside one coefficient and a fixed
    principal point this brings the cameras' idea of where points in the hole lie nearer to the truth: from 2.0 to .6
    permille of the photo's side on cathedral-portal, .8 to .2 (castle-outpaint), .7 to .4 (room), .4 to .2
    (castle-front), 2.8 to 1.1 (cathedral-portal turned), .1 or less to both sides on nine more.
    """
    for camera in map_.cameras.values():
        focal, x, y, k1 = camera.params
        camera.model = pycolmap.CameraModelId.RADIAL
        camera.params = [focal, x, y, k1, 0.0]
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = True
    options.ceres.loss_function_type = pycolmap.LossFunctionType.SOFT_L1
    options.ceres.loss_function_scale = settings.loss_scale
    options.print_summary = False
    options.ceres.solver_options.num_threads = 1
    pycolmap.bundle_adjustment(map_, options)
    map_.update_point_3d_errors()


def _unpack_reconstruction(map_: Any) -> Reconstruction:
    """Convert a pycolmap.Reconstruction."""
    cameras = {}
    for image in map_.images.values():
        if image.has_pose:
            focal, x, y, k1, k2 = [*map_.cameras[image.camera_id].params, 0.0][:5]
            pose = np.asarray(image.cam_from_world().matrix())  # [3, 4]
            center = (float(x) - 0.5, float(y) - 0.5)  # COLMAP counts from the picture's corner
            cameras[int(image.name)] = Camera(float(focal), center, (float(k1), float(k2)), pose[:, :3], pose[:, 3])
    points = [map_.points3D[number] for number in sorted(map_.points3D)]
    return Reconstruction(
        cameras,
        np.array([point.xyz for point in points]).reshape(-1, 3),
        np.array([point.error for point in points]),
        np.array([point.track.length() for point in points], int),
    )
