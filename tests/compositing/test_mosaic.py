from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.compositing import mosaic as mosaic_module
from realfill.compositing.mosaic import build_mosaic
from realfill.compositing.warped_reference import WarpedReference, warp_and_match_color
from realfill.core.failures import NumericalError
from realfill.geometry.warp import CoordinateMap, Warp
from realfill.imaging.region import Region, RegionSettings
from realfill.photo_io.working_files import write_png
from support.scenes import rectangle_mask
from support.warped_references import identity_maps

PHOTO = cv2.resize(skimage.data.coffee(), (300, 200))
MASK = rectangle_mask(PHOTO.shape, slice(60, 140), slice(100, 200))
REGION = Region.around(PHOTO, MASK, RegionSettings(margin=0.4, working_side=300))
SIDES = {"left": (0, 155), "right": (145, 300)}


def warp(
    path: Path, maps: CoordinateMap = identity_maps, photo: np.ndarray = PHOTO, parallax: float = 0.1
) -> WarpedReference:
    write_png(path, photo)
    reference = warp_and_match_color(REGION, path, Warp(maps, parallax))
    assert reference is not None
    return reference


def columns_from(first: int, last: int) -> CoordinateMap:
    """The maps of a reference that shows these columns only."""

    def maps(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return columns, rows, (columns >= first) & (columns < last)

    return maps


def test_the_reference_that_faces_a_wall_is_taken_not_the_one_that_sees_it_edge_on(tmp_path: Path) -> None:
    def edge_on(columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        off = columns - 150  # the middle 40 columns are seen as 4, those beside them wider
        narrow = np.interp(off, [-45, -20, 20, 45], [-45, -2, 2, 45]).astype(np.float32)
        inside = (np.abs(off) < 45) & (np.abs(rows - 100) < 35)
        return np.where(inside, 150 + narrow, columns), rows, np.ones(rows.shape, bool)

    near = warp(tmp_path / "edge-on.png", edge_on, parallax=0.10)
    far = warp(tmp_path / "facing.png", parallax=0.12)
    assert near.stretch.max() > 2
    assert far.stretch.max() < 0.1
    colors = build_mosaic(REGION, [near, far]).colors.astype(int)
    wall = np.s_[75:125, 135:165]
    left, top, _, _ = REGION.box
    assert np.abs(colors[75 - top : 125 - top, 135 - left : 165 - left] - PHOTO[wall]).mean() < 3


def test_a_reference_is_not_read_again(tmp_path: Path) -> None:
    references = [warp(tmp_path / "a.png"), warp(tmp_path / "b.png")]
    for reference in references:
        reference.path.unlink()
    assert build_mosaic(REGION, references).references


def test_references_that_show_a_side_each_make_one_picture_without_a_seam(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 4, PHOTO.shape)
    plain, darker = (np.rint(gain * PHOTO + noise).clip(0, 255).astype(np.uint8) for gain in (1, 0.85))
    references = [
        warp(tmp_path / "left.png", columns_from(0, 155), plain),
        warp(tmp_path / "right.png", columns_from(145, 300), darker),
    ]
    mosaic = build_mosaic(REGION, references)
    assert mosaic.references == ["left.png", "right.png"]
    assert mosaic.filled[mosaic.hole].all()
    error = (mosaic.colors - REGION.crop(PHOTO).astype(int)).mean(axis=-1)
    assert np.abs(error)[mosaic.hole].mean() < 4
    seam = 150 - REGION.box[0]
    assert abs(error[:, seam - 20 : seam].mean() - error[:, seam : seam + 20].mean()) < 1


def test_a_person_who_walked_through_one_photo_leaves_no_haze(tmp_path: Path) -> None:
    opacity = np.zeros(PHOTO.shape, np.float32)
    opacity[75:125, 140:160] = 1
    crossed = np.rint(PHOTO + cv2.GaussianBlur(opacity, (0, 0), 1.5) * (60.0 - PHOTO)).astype(np.uint8)
    references = [warp(tmp_path / f"{n}.png", photo=photo) for n, photo in enumerate((crossed, PHOTO, PHOTO))]
    transform = references[1].color_transform
    preferred = replace(references[0], similarity=1.0, color_transform=transform)
    others = [replace(reference, similarity=0.6) for reference in references[1:]]
    mosaic = build_mosaic(REGION, [preferred, *others])
    left, top, _, _ = REGION.box
    around = np.s_[60 - top : 140 - top, 130 - left : 170 - left]
    difference = mosaic.colors[around].astype(int) - PHOTO[60:140, 130:170]
    assert mosaic.references[0] == "0.png"
    assert np.abs(cv2.GaussianBlur(difference.astype(np.float32), (0, 0), 4)).max() < 6


def test_what_no_reference_shows_has_no_confidence(tmp_path: Path) -> None:
    mosaic = build_mosaic(REGION, [warp(tmp_path / "left.png", columns_from(0, 150))])
    left = 150 - REGION.box[0]
    assert (mosaic.confidence[:, : left - 1] > 0).all()
    assert not mosaic.confidence[:, left + 1 :].any()
    assert 0.48 < mosaic.hole_share(1) < 0.52
    assert mosaic.hole_share(255) == 0


def test_a_mosaic_of_a_large_hole_has_the_full_size(tmp_path: Path) -> None:
    large = cv2.resize(PHOTO, (1200, 800), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(MASK, (1200, 800), interpolation=cv2.INTER_NEAREST)
    region = Region.around(large, mask, RegionSettings(margin=0.4, working_side=200))
    write_png(tmp_path / "same.png", large)
    reference = warp_and_match_color(region, tmp_path / "same.png", Warp(identity_maps, 0.1))
    assert reference is not None
    mosaic = build_mosaic(region, [reference])
    assert mosaic.colors.shape == (*mosaic.hole.shape, 3) == region.crop(large).shape
    assert np.abs(mosaic.colors.astype(int) - region.crop(large)).mean() < 2


def test_where_the_seams_cannot_be_leveled_there_is_a_mosaic_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Factor is exactly singular")

    monkeypatch.setattr(mosaic_module, "estimate_seam_offsets", fail)
    mosaic = build_mosaic(REGION, [warp(tmp_path / "photo.png")])
    assert np.abs(mosaic.colors.astype(int) - REGION.crop(PHOTO)).mean() < 2
    assert "The leveling of the seams failed and is left out (RuntimeError Factor" in caplog.text


@pytest.mark.parametrize("part", ["estimate_confidence", "blend_pyramids"])
def test_no_mosaic_holds_what_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    references = [warp(tmp_path / f"{side}.png", columns_from(*span)) for side, span in SIDES.items()]
    compute = getattr(mosaic_module, part)
    monkeypatch.setattr(mosaic_module, part, lambda *arguments: compute(*arguments) * np.nan)
    with pytest.raises(NumericalError):
        build_mosaic(REGION, references)
