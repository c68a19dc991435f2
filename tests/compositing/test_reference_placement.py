"""Which way a hole is filled, on scenes whose geometry is known."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.album.placement import LIKELY
from realfill.compositing import reference_placement, scene_completion
from realfill.compositing.mosaic import Mosaic, build_mosaic
from realfill.compositing.patch_completion import complete_by_patches
from realfill.compositing.pseudo_holes import PseudoHoleSettings
from realfill.compositing.reference_placement import Placement, PlacementSettings, place_references
from realfill.compositing.warped_reference import WarpedReference, warp_and_match_color
from realfill.core.errors import PhotoError
from realfill.evaluation.metrics import psnr
from realfill.imaging.region import Region
from realfill.photo_io.working_files import write_png
from support.scenes import middle_mask, turned_view, unknown_camera

COFFEE = cv2.resize(skimage.data.coffee(), (900, 600))
NO_TRIAL = PlacementSettings(pseudo_holes=PseudoHoleSettings(max_count=0))
TRY_ALL = replace(NO_TRIAL, certain_without_patches=1.1)
VIEWS = [turned_view(COFFEE, *angles) for angles in ((0, 0), (6, 1), (-5, -2))]


def place(
    folder: Path,
    truth: np.ndarray,
    mask: np.ndarray,
    references: list[np.ndarray],
    settings: PlacementSettings = PlacementSettings(),
) -> tuple[Placement, Region]:
    paths = []
    for number, reference in enumerate(references):
        paths.append(folder / f"{number}.png")
        write_png(paths[-1], reference)
    region = Region.around(np.where(mask[..., None] > 0, np.uint8(128), truth), mask)
    priors = [unknown_camera(photo) for photo in (truth, *references)]
    return place_references(region, paths, priors, 2, settings), region


def psnr_where_filled(mosaic: Mosaic, region: Region, truth: np.ndarray) -> float:
    return psnr(mosaic.colors[mosaic.filled], region.crop(truth)[mosaic.filled])


def test_a_camera_that_only_turned_is_placed_by_a_homography(tmp_path: Path) -> None:
    truth = turned_view(COFFEE, 0, 0)
    references = [turned_view(COFFEE, 6, 1), turned_view(COFFEE, -5, -2)]
    placement, region = place(tmp_path, truth, middle_mask(truth.shape), references)
    assert placement.model == "plane"
    mosaic = placement.mosaic
    assert mosaic is not None
    assert mosaic.hole_share(1) > 0.95
    assert psnr_where_filled(mosaic, region, truth) > 26
    assert placement.errors["geometry"] == min(placement.errors.values())
    assert placement.errors.keys() == {"geometry", "approximate"}, "certain enough: patches are not tried"
    np.testing.assert_array_equal(placement.completed[~region.hole], region.crop(truth)[~region.hole])
    np.testing.assert_array_equal(placement.completed[mosaic.filled], mosaic.colors[mosaic.filled])
    assert psnr(placement.completed[region.hole], region.crop(truth)[region.hole]) > 25


def test_photos_of_something_else_are_not_placed_and_nothing_of_them_is_shown(tmp_path: Path) -> None:
    truth, *references = (
        image()[::2, ::2] for image in (skimage.data.coffee, skimage.data.astronaut, skimage.data.rocket)
    )
    placement, region = place(tmp_path, truth, middle_mask(truth.shape), references)
    assert (placement.model, placement.mosaic) == ("none", None)
    assert "own_patches" in placement.errors
    assert "patches" not in placement.errors, "no reference is aligned, so that there are no others"
    own_patches = complete_by_patches(region.crop_rescaled(region.canvas), region.hole, [])
    np.testing.assert_array_equal(placement.completed, own_patches)


def test_a_hole_that_leaves_no_room_for_pseudo_holes_is_filled_by_likely_geometry(tmp_path: Path) -> None:
    truth = turned_view(COFFEE, 0, 0)
    frame = np.full(truth.shape[:2], 255, np.uint8)
    frame[100:-100, 120:-120] = 0
    placement, region = place(tmp_path, truth, frame, [turned_view(COFFEE, 6, 1)])
    assert placement.errors == {}
    assert placement.model == "plane"
    assert placement.mosaic is not None
    assert psnr_where_filled(placement.mosaic, region, truth) > 24


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Matches and warps of the turned views, estimated once."""
    results: dict[str, Any] = {}

    def keep(name: str) -> Callable[..., Any]:
        estimate = getattr(reference_placement, name)
        finish: Callable[[Any], Any] = list if name == "estimate_reference_warps" else lambda result: result
        return lambda *arguments: results.setdefault(name, finish(estimate(*arguments)))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("match_album", "reconstruct_scene", "estimate_reference_warps"):
            patch.setattr(reference_placement, name, keep(name))
        place(tmp_path_factory.mktemp("views"), VIEWS[0], middle_mask(VIEWS[0].shape), VIEWS[1:], NO_TRIAL)
    return results


@pytest.fixture
def place_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimated: dict[str, Any]
) -> Callable[..., Placement]:
    """Places the turned views without pseudo-holes, as if there were cameras and depth as well as homographies."""
    ((_, warps),) = estimated["estimate_reference_warps"]
    models = [("depth", warps), ("plane", warps)]
    for name in ("match_album", "reconstruct_scene"):
        monkeypatch.setattr(reference_placement, name, lambda *_, name=name: estimated[name])
    monkeypatch.setattr(reference_placement, "estimate_reference_warps", lambda *_: models)
    mask = middle_mask(VIEWS[0].shape)
    return lambda settings=TRY_ALL: place(tmp_path, VIEWS[0], mask, VIEWS[1:], settings)[0]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, float]], list[str]]:
    """Lets the ways have these errors in the pseudo-holes; returns a list of those that are tried, as they are."""

    def set_errors(errors: dict[str, float]) -> list[str]:
        tried: list[str] = []

        def measure(_scene: Any, ways: dict[str, Any], _settings: Any) -> dict[str, float]:
            tried.extend(ways)
            return {way: errors[way] for way in ways if way in errors}

        monkeypatch.setattr(reference_placement, "measure_errors", measure)
        return tried

    return set_errors


@pytest.mark.parametrize(
    ("failures", "model", "error"),
    [
        (1, "plane", MemoryError("95.4 GiB")),
        (2, "approximate", np.linalg.LinAlgError("Singular matrix")),
        (3, "none", cv2.error("bad argument")),
    ],
)
def test_where_a_model_fails_the_next_one_is_tried(
    place_turned: Callable[..., Placement],
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
    placement = place_turned()
    assert placement.model == model
    assert (placement.mosaic is None) == (model == "none")
    assert str(error) in caplog.text
    assert caplog.text.count("failed and is left out (") == failures


def test_a_reference_that_fails_is_left_out(
    place_turned: Callable[..., Placement],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail_on_first(region: Region, path: Path, *arguments: Any) -> WarpedReference | None:
        if path.name == "0.png":
            raise cv2.error("the picture is too wide")
        return warp_and_match_color(region, path, *arguments)

    monkeypatch.setattr(reference_placement, "warp_and_match_color", fail_on_first)
    mosaic = place_turned().mosaic
    assert mosaic is not None
    assert mosaic.references == ["1.png"]
    assert "The placement of 0.png failed and is left out" in caplog.text


def test_an_error_that_the_user_can_mend_is_not_a_failure(
    place_turned: Callable[..., Placement], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PhotoError("It is damaged.", "Replace it.")

    monkeypatch.setattr(reference_placement, "warp_and_match_color", fail)
    with pytest.raises(PhotoError):
        place_turned()


@pytest.mark.parametrize(
    ("errors", "model"),
    [
        ({"geometry": 9.0, "approximate": 30.0, "patches": 20.0}, "depth"),
        ({"geometry": 30.0, "approximate": 9.0, "patches": 20.0}, "approximate"),
        ({"geometry": 20.0, "approximate": 30.0, "patches": 9.0}, "none"),
        ({"geometry": 20.0, "approximate": 19.0, "patches": 30.0}, "depth"),
        ({"geometry": 20.0, "approximate": 30.0, "patches": 15.0}, "depth"),
        ({"approximate": 30.0}, "approximate"),
        ({"patches": 60.0}, "none"),
    ],
)
def test_the_way_that_restores_the_pseudo_holes_best_is_chosen(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    errors: dict[str, float],
    model: str,
) -> None:
    measured(errors)
    placement = place_turned()
    assert (placement.model, placement.errors) == (model, errors)
    assert (placement.mosaic is None) == (model == "none")


def test_depth_is_taken_from_the_references(
    place_turned: Callable[..., Placement], monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate: Any = vars(reference_placement)["estimate_reference_warps"]
    received = []

    def record(*arguments: Any) -> Any:
        received.append(arguments[-1])
        return estimate(*arguments)

    monkeypatch.setattr(reference_placement, "_estimate_reference_depths", lambda *_: ["depth map"])
    monkeypatch.setattr(reference_placement, "estimate_reference_warps", record)
    assert place_turned().model == "depth"
    assert received == [["depth map"]]


@pytest.mark.parametrize(
    ("errors", "share", "tried", "model"),
    [
        ({"geometry": 20.0, "patches": 9.0}, 0.25, False, "depth"),
        ({"geometry": 20.0, "patches": 9.0}, 0.24, True, "none"),
        ({"geometry": 20.0, "approximate": 9.0, "patches": 9.0}, 0.25, False, "approximate"),
        ({"patches": 9.0}, 0.9, True, "none"),
    ],
)
def test_patches_are_not_tried_where_geometry_is_certain_of_enough(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    errors: dict[str, float],
    share: float,
    tried: bool,
    model: str,
) -> None:
    ways = measured(errors)
    monkeypatch.setattr(Mosaic, "hole_share", lambda *_: share)
    placement = place_turned(NO_TRIAL)
    assert ("patches" in ways) == tried
    assert placement.model == model
    assert placement.errors == {way: error for way, error in errors.items() if way in ways}


def test_geometry_is_preferred_even_where_it_is_certain_of_nothing(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured({"geometry": 20.0, "approximate": 19.0, "patches": 15.0})
    monkeypatch.setattr(Mosaic, "hole_share", lambda *_: 0.0)
    assert place_turned().model == "depth"


def test_the_patches_are_those_that_restore_the_pseudo_holes_best(
    place_turned: Callable[..., Placement], measured: Callable[[dict[str, float]], list[str]]
) -> None:
    measured({"patches": 9.0, "own_patches": 8.0})
    own = place_turned().completed
    measured({"patches": 8.0, "own_patches": 9.0})
    of_the_album = place_turned().completed
    mask = middle_mask(VIEWS[0].shape)
    region = Region.around(np.where(mask[..., None] > 0, np.uint8(128), VIEWS[0]), mask)
    picture, truth = region.crop_rescaled(region.canvas), region.crop_rescaled(VIEWS[0])
    np.testing.assert_array_equal(own, complete_by_patches(picture, region.hole, []))
    quality = [psnr(filled[region.hole], truth[region.hole]) for filled in (own, of_the_album)]
    assert quality[1] > quality[0] + 3, "the references show what is there"


@pytest.mark.parametrize(("share", "model"), [(0.01, "depth"), (0.009, "approximate")])
def test_without_pseudo_holes_geometry_is_taken_where_some_of_it_is_likely(
    place_turned: Callable[..., Placement], monkeypatch: pytest.MonkeyPatch, share: float, model: str
) -> None:
    monkeypatch.setattr(Mosaic, "hole_share", lambda _, least: share if least == LIKELY else 0.0)
    assert place_turned(NO_TRIAL).model == model


def test_a_model_that_places_nothing_in_the_hole_makes_place_for_the_next_best(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured({"geometry": 9.0, "approximate": 15.0, "patches": 20.0, "own_patches": 19.0})
    monkeypatch.setattr(Mosaic, "filled", property(lambda mosaic: np.zeros_like(mosaic.hole)))
    placement = place_turned()
    assert (placement.model, placement.mosaic) == ("none", None)


def test_a_way_that_cannot_fill_the_hole_itself_makes_place_for_the_next_best(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured({"geometry": 9.0, "approximate": 15.0, "patches": 20.0})
    monkeypatch.setattr(reference_placement, "estimate_reference_warps", lambda *_: [("plane", {})])
    assert place_turned().model == "approximate"


def test_where_patches_fail_the_nearest_colors_fill_the_hole(
    place_turned: Callable[..., Placement],
    measured: Callable[[dict[str, float]], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("patchmatch failed")

    monkeypatch.setattr(scene_completion, "complete_by_patches", fail)
    measured({"patches": 9.0})
    completed = place_turned().completed
    assert (completed != 128).any(axis=2).mean() > 0.99, "the gray of the hole is gone"
    assert "The completion by patches failed and is left out (RuntimeError patchmatch failed)" in caplog.text
