"""Which model of a scene the references are placed by, on scenes whose geometry is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.album.placement import CERTAIN
from realfill.compositing import reference_placement
from realfill.compositing.mosaic import Mosaic, build_mosaic
from realfill.compositing.reference_placement import PlacementSettings, place_references
from realfill.compositing.warped_reference import WarpedReference, warp_and_match_color
from realfill.core.errors import PhotoError
from realfill.evaluation.metrics import psnr
from realfill.geometry.camera import IntrinsicsPrior
from realfill.imaging.region import Region
from realfill.photo_io.working_files import write_png
from support.scenes import middle_mask, turned_view

COFFEE = cv2.resize(skimage.data.coffee(), (900, 600))
VIEWS = [turned_view(COFFEE, *angles) for angles in ((0, 0), (6, 1), (-5, -2))]


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


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Matches and warps of the turned views, estimated once."""
    results: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., Any]:
        estimate = getattr(reference_placement, name)
        return lambda *arguments: results.setdefault(name, estimate(*arguments))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("match_album", "estimate_reference_warps"):
            patch.setattr(reference_placement, name, keep(name))
        place(tmp_path_factory.mktemp("views"), VIEWS[0], middle_mask(VIEWS[0].shape), VIEWS[1:])
    return results


@pytest.fixture
def place_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimated: dict[str, Any]
) -> Callable[[], tuple[str, Mosaic | None]]:
    """Places the turned views, as if there were cameras and depth as well as homographies."""
    ((_, warps),) = estimated["estimate_reference_warps"]
    models = [("depth", warps), ("plane", warps)]
    monkeypatch.setattr(reference_placement, "match_album", lambda *_: estimated["match_album"])
    monkeypatch.setattr(reference_placement, "estimate_reference_warps", lambda *_: models)
    return lambda: place(tmp_path, VIEWS[0], middle_mask(VIEWS[0].shape), VIEWS[1:])[:2]


@pytest.mark.parametrize(
    ("failures", "model", "error"),
    [
        (1, "plane", MemoryError("95.4 GiB")),
        (2, "approximate", np.linalg.LinAlgError("Singular matrix")),
        (3, "none", cv2.error("bad argument")),
    ],
)
def test_where_a_model_fails_the_next_one_is_tried(
    place_turned: Callable[[], tuple[str, Mosaic | None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failures: int,
    model: str,
    error: Exception,
) -> None:
    calls = iter(range(9))

    def fail_at_first(*arguments: Any) -> Mosaic:
        if next(calls) < failures:
            raise error
        return build_mosaic(*arguments)

    monkeypatch.setattr(reference_placement, "build_mosaic", fail_at_first)
    placed, mosaic = place_turned()
    assert placed == model
    assert (mosaic is None) == (model == "none")
    assert str(error) in caplog.text
    assert caplog.text.count("failed and is left out (") == failures


def test_a_reference_that_fails_is_left_out(
    place_turned: Callable[[], tuple[str, Mosaic | None]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_on_first(region: Region, path: Path, *arguments: Any) -> WarpedReference | None:
        if path.name == "0.png":
            raise cv2.error("the picture is too wide")
        return warp_and_match_color(region, path, *arguments)

    monkeypatch.setattr(reference_placement, "warp_and_match_color", fail_on_first)
    _, mosaic = place_turned()
    assert mosaic is not None
    assert mosaic.references == ["1.png"]
    assert "The placement of 0.png failed and is left out" in caplog.text


def test_an_error_that_the_user_can_mend_is_not_a_failure(
    place_turned: Callable[[], tuple[str, Mosaic | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PhotoError("It is damaged.", "Replace it.")

    monkeypatch.setattr(reference_placement, "warp_and_match_color", fail)
    with pytest.raises(PhotoError):
        place_turned()
