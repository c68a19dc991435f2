"""The stage on whole albums; the models of a scene are tested in tests/compositing/test_reference_placement.py."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN, read_completed_canvas, read_proposal, read_turned_view
from realfill.album.schemas import Candidate, PlacementSummary
from realfill.album.store import accepted_references, canvas_path, mask_path, read_placement_summary, read_rows
from realfill.compositing.patch_completion import complete_by_patches
from realfill.compositing.turned_views import TurnedView
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.demo_album import write_demo_album
from realfill.evaluation.metrics import psnr
from realfill.imaging.region import Region
from realfill.photo_io.working_files import read_png
from realfill.pipeline import run_stage
from realfill.stages import align, masks, validate
from support.scenes import SIZE, middle_mask, rectangle_mask, swayed_view, turned_view, write_scene

PARAMS = load_params(assignments=["align.references=2"])


def run_align(root: Path) -> tuple[Album, PlacementSummary]:
    album = open_album(root)
    validate.run(album, PARAMS)
    masks.run(album, PARAMS)
    return album, align.run(album, PARAMS).placed


def write_half_demo(root: Path) -> Path:
    """The demo album at half its size, which is enough for its cameras and its depth to be told."""
    write_demo_album(root)
    for path in root.rglob("*.png"):
        photo = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mode = cv2.INTER_NEAREST if path.stem == "mask" else cv2.INTER_AREA
        cv2.imwrite(str(path), cv2.resize(photo, (370, 250), interpolation=mode))
    return root


def in_hole(album: Album, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The proposal's and the truth's pixels in the hole, where anything is proposed."""
    proposal = read_proposal(album)
    assert proposal is not None
    height, width = truth.shape[:2]
    whole = proposal.crop(0, 0, width, height)
    shown = (read_png(mask_path(album)) > 0) & (whole.confidence > 0)
    return whole.colors[shown], truth[shown]


def test_with_depth_the_references_pixels_lie_where_they_belong(tmp_path: Path) -> None:
    root = write_half_demo(tmp_path / "motorcycle")
    album, placed = run_align(root)
    assert placed.model == "depth"
    assert placed.covered > 0.95
    assert placed.certain > 0.4
    ours, truth = in_hole(album, read_png(root / "target" / "gt.png"))
    assert psnr(ours, truth) > 20.5
    assert min(placed.errors, key=placed.errors.__getitem__) == "geometry"
    assert read_placement_summary(album) == placed
    first = digest(album.work("align"))
    align.run(album, PARAMS)
    assert digest(album.work("align")) == first


def test_a_single_reference_of_a_deep_scene_is_placed_no_worse_than_inpainting(tmp_path: Path) -> None:
    root = write_half_demo(tmp_path / "motorcycle")
    for name in ("1.png", "2.png"):
        (root / "ref" / name).unlink()
    album, placed = run_align(root)
    truth = read_png(root / "target" / "gt.png")
    if placed.model != "none":
        ours, theirs = in_hole(album, truth)
        hole = read_png(mask_path(album))
        telea = cv2.inpaint(truth, hole, 5, cv2.INPAINT_TELEA)
        assert psnr(ours, theirs) > psnr(telea[hole > 0], truth[hole > 0])


def test_nothing_is_placed_where_that_is_switched_off(tmp_path: Path) -> None:
    photo = skimage.data.coffee()
    album = open_album(write_scene(tmp_path / "off", photo, middle_mask(photo.shape), [photo]))
    validate.run(album, PARAMS)
    masks.run(album, PARAMS)
    placed = align.run(album, load_params(assignments=["align.enabled=false"])).placed
    assert (placed.model, placed.errors) == ("none", {})
    assert read_proposal(album) is None
    assert read_completed_canvas(album) is None


def test_what_is_placed_in_the_references_views_is_written_where_tuning_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, stranger = (
        np.ascontiguousarray(image()[::3, ::3]) for image in (skimage.data.coffee, skimage.data.rocket)
    )
    album = open_album(write_scene(tmp_path / "views", photo, middle_mask(photo.shape), [stranger]))
    known = np.zeros(photo.shape[:2], bool)
    known[:50] = True
    monkeypatch.setattr(align, "turn_views", lambda scene: {1: TurnedView(photo, known)} if scene.references else {})
    run_stage("validate", album, PARAMS)
    run_stage("masks", album, PARAMS)
    (path,) = accepted_references(album)
    for share in (0.5, 0.0):
        align.run(album, load_params(assignments=[f"finetune.composite={share}"]))
        view = read_turned_view(album, path)
        if share:
            assert view is not None
            np.testing.assert_array_equal(view[0], photo)
            np.testing.assert_array_equal(view[1], known)
        else:
            assert view is None


def test_where_nothing_is_placed_the_targets_own_patches_complete_the_hole(tmp_path: Path) -> None:
    photo, stranger = (
        np.ascontiguousarray(image()[::3, ::3]) for image in (skimage.data.coffee, skimage.data.rocket)
    )
    mask = middle_mask(photo.shape)
    album = open_album(write_scene(tmp_path / "strangers", photo, mask, [stranger]))
    params = load_params(assignments=["finetune.steps=0", "sample.candidates=1", "sample.steps=2"])
    for stage in ("validate", "masks", "align", "finetune", "sample"):
        run_stage(stage, album, params)
    assert read_placement_summary(album).model == "none"
    assert read_proposal(album) is None
    region = Region.around(read_png(canvas_path(album)), mask)
    patches = complete_by_patches(region.crop_rescaled(region.canvas), region.hole, [])
    np.testing.assert_array_equal(read_png(album.work("align") / "completed.png"), patches)
    completed = read_completed_canvas(album)
    assert completed is not None
    np.testing.assert_array_equal(completed[mask == 0], photo[mask == 0])
    np.testing.assert_array_equal(region.crop(completed)[region.hole], patches[region.hole])
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    assert [row.kind for row in rows] == ["noise", "patches"]


def test_a_scene_that_moved_is_aligned_approximately_and_no_candidate_holds_any_of_it(tmp_path: Path) -> None:
    photo = cv2.resize(skimage.data.coffee(), SIZE)
    mask = rectangle_mask(photo.shape, slice(110, 230), slice(170, 330))
    album = open_album(write_scene(tmp_path / "moved", photo, mask, [swayed_view(photo, 4, p) for p in (0.3, 2.0)]))
    params = load_params(assignments=["finetune.steps=0", "sample.candidates=1", "sample.steps=2"])
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    placed = run_stage("align", album, params).placed
    assert placed.model == "approximate"
    assert placed.covered == 1
    assert placed.certain == 0
    assert placed.errors["approximate"] == min(placed.errors.values())
    proposal = read_proposal(album)
    assert proposal is not None
    assert proposal.confidence.max() < CERTAIN
    hole = mask > 0
    aligned = proposal.crop(0, 0, *SIZE).colors
    telea = cv2.inpaint(photo, mask, 5, cv2.INPAINT_TELEA)
    assert psnr(aligned[hole], photo[hole]) > psnr(telea[hole], photo[hole]) + 1
    for stage in ("finetune", "sample"):
        run_stage(stage, album, params)
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    assert [row.kind for row in rows] == ["noise", "placed"]  # nothing is certain that a guided one could hold


def write_turned_scene(root: Path, change: Callable[[np.ndarray], np.ndarray]) -> tuple[Path, np.ndarray]:
    """An album of a camera that turned, whose references are changed; the album and the truth."""
    scene = cv2.resize(skimage.data.astronaut(), (900, 900))
    truth = turned_view(scene, 0, 0)
    references = [np.ascontiguousarray(change(turned_view(scene, *turn))) for turn in ((3, 1), (-3, -1))]
    return write_scene(root, truth, rectangle_mask(truth.shape, slice(110, 210), slice(170, 310)), references), truth


def test_references_from_the_wrong_side_are_placed(tmp_path: Path) -> None:
    root, truth = write_turned_scene(tmp_path / "slides", lambda photo: photo[:, ::-1])
    album, placed = run_align(root)
    assert placed.covered > 0.95
    ours, theirs = in_hole(album, truth)
    assert psnr(ours, theirs) > 25


def test_references_without_color_give_their_structure_and_no_gray(tmp_path: Path) -> None:
    def without_color(photo: np.ndarray) -> np.ndarray:
        return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)

    root, truth = write_turned_scene(tmp_path / "gray", without_color)
    album, placed = run_align(root)
    assert placed.covered > 0.95
    assert placed.certain == 0, "no pixel of it was photographed in its color"
    ours, theirs = in_hole(album, truth)
    luma = [cv2.cvtColor(pixels[None], cv2.COLOR_RGB2GRAY) for pixels in (ours, theirs)]
    assert psnr(*luma) > 25
    chroma = [
        cv2.cvtColor(pixels[None], cv2.COLOR_RGB2YCrCb)[..., 1:].astype(float) - 128 for pixels in (ours, theirs)
    ]
    assert np.abs(chroma[0] - chroma[1]).mean() < 0.8 * np.abs(chroma[1]).mean(), "nearer to the truth than gray is"
