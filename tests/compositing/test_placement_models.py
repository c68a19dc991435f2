"""Which model of a scene the references are placed by, on scenes whose geometry is known."""

from pathlib import Path

import cv2
import numpy as np
import skimage.data

from realfill.album.placement import CERTAIN
from realfill.compositing.mosaic import Mosaic
from realfill.compositing.placement_models import PlacementSettings, place_references
from realfill.evaluation.metrics import psnr
from realfill.geometry.camera import IntrinsicsPrior
from realfill.imaging.region import Region
from realfill.photo_io.working_files import write_png
from support.scenes import middle_mask, turned_view

COFFEE = cv2.resize(skimage.data.coffee(), (900, 600))


def place(
    folder: Path,
    truth: np.ndarray,
    mask: np.ndarray,
    references: list[np.ndarray],
    settings: PlacementSettings = PlacementSettings(),
) -> tuple[str, Mosaic | None, Region]:
    paths = []
    for number, reference in enumerate(references):
        paths.append(folder / f"{number}.png")
        write_png(paths[-1], reference)
    region = Region.around(np.where(mask[..., None] > 0, np.uint8(128), truth), mask)
    sizes = [photo.shape[1::-1] for photo in (truth, *references)]
    priors = [IntrinsicsPrior(width, height, (width / 2, height / 2)) for width, height in sizes]
    return *place_references(region, paths, priors, 2, settings), region


def psnr_where_filled(mosaic: Mosaic, region: Region, truth: np.ndarray) -> float:
    return psnr(mosaic.colors[mosaic.filled], region.crop(truth)[mosaic.filled])


def test_a_camera_that_only_turned_is_placed_by_a_homography(tmp_path: Path) -> None:
    truth = turned_view(COFFEE, 0, 0)
    references = [turned_view(COFFEE, 6, 1), turned_view(COFFEE, -5, -2)]
    model, mosaic, region = place(tmp_path, truth, middle_mask(truth.shape), references)
    assert model == "plane"
    assert mosaic is not None
    assert mosaic.hole_share(1) > 0.95
    assert psnr_where_filled(mosaic, region, truth) > 26


def test_photos_of_something_else_are_not_placed(tmp_path: Path) -> None:
    truth, *references = (
        image()[::2, ::2] for image in (skimage.data.coffee, skimage.data.astronaut, skimage.data.rocket)
    )
    model, mosaic, _ = place(tmp_path, truth, middle_mask(truth.shape), references)
    assert (model, mosaic) == ("none", None)


def test_a_model_that_makes_too_little_of_the_hole_certain_is_not_accepted(tmp_path: Path) -> None:
    truth = turned_view(COFFEE, 0, 0)
    strict = PlacementSettings(min_certain=1.1)
    model, mosaic, _ = place(tmp_path, truth, middle_mask(truth.shape), [turned_view(COFFEE, 6, 1)], strict)
    assert model == "approximate"
    assert mosaic is not None
    assert mosaic.hole_share(CERTAIN) == 0
