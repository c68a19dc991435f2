"""COLMAP's database of cameras, photos, keypoints and matches, from which its mapper starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.correspondence_graph import CorrespondenceGraph


def write_database(database_path: Path, pairs_path: Path, graph: CorrespondenceGraph, initial_focal: float) -> None:
    """Write a database, and the list of its matched pairs.

    Args:
        database_path: Where the database is written; nothing may be there.
        pairs_path: Where the list is written, as `pycolmap.verify_matches` reads it.
        graph: Photos and matches; a photo's name in the database is its number.
        initial_focal: Focal length of photos of which none is known, as a multiple of their longer side.
    """
    import pycolmap

    database = pycolmap.Database.open(database_path)
    rigs: dict[str, tuple[int, int]] = {}
    image_ids = {}
    for number, prior in enumerate(graph.priors):
        name = prior.camera or f"photo {number}"
        if name not in rigs:
            rigs[name] = _write_camera(pycolmap, database, prior, initial_focal)
        image_ids[number] = _write_image(pycolmap, database, str(number), *rigs[name])
        keypoints = graph.keypoints.get(number, np.zeros((0, 2), np.float32))
        database.write_keypoints(image_ids[number], keypoints)
    for (i, j), indices in graph.pairs.items():
        database.write_matches(image_ids[i], image_ids[j], indices)
    database.close()
    pairs_path.write_text("\n".join(f"{i} {j}" for i, j in graph.pairs))


def _write_camera(pycolmap: Any, database: Any, prior: IntrinsicsPrior, initial_focal: float) -> tuple[int, int]:
    """Write a camera and a rig of this camera alone; return the ids of both."""
    focal = prior.focal or initial_focal * max(prior.width, prior.height)
    camera = pycolmap.Camera(
        model="SIMPLE_RADIAL", width=prior.width, height=prior.height, params=[focal, *prior.center, 0.0]
    )
    camera.has_prior_focal_length = prior.focal is not None
    camera.camera_id = database.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(camera.sensor_id)
    return camera.camera_id, database.write_rig(rig)


def _write_image(pycolmap: Any, database: Any, name: str, camera_id: int, rig_id: int) -> int:
    """Write a photo and its frame; return the photo's id."""
    image = pycolmap.Image(name=name, camera_id=camera_id)
    image.image_id = database.write_image(image)
    frame = pycolmap.Frame()
    frame.rig_id = rig_id
    frame.add_data_id(image.data_id)
    database.write_frame(frame)
    return int(image.image_id)
