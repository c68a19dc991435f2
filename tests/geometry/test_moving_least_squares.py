"""Laying references over a photo though the scene moved."""

from pathlib import Path

import cv2
import numpy as np
import skimage.data

from realfill.album.discovery import open_album
from realfill.album.placement import CERTAIN, read_proposal
from realfill.album.schemas import Candidate
from realfill.album.store import mask_path, read_rows
from realfill.compositing.color_transfer import match_color_statistics
from realfill.compositing.region import Region
from realfill.compositing.warped_reference import warp_and_match_color
from realfill.core.params import load_params
from realfill.evaluation.metrics import psnr
from realfill.geometry.moving_least_squares import moving_least_squares_warps
from realfill.geometry.warp import Warp
from realfill.matching.correspondences import Matches
from realfill.photo_io.working_files import read_png, write_png
from realfill.pipeline import run_stage

SIZE = (480, 320)


def swayed(photo: np.ndarray, amplitude: float, phase: float) -> np.ndarray:
    """A photo whose parts moved to and fro by up to `amplitude` pixels, as no camera sees what stood still."""
    columns, rows = np.meshgrid(np.arange(SIZE[0], dtype=np.float32), np.arange(SIZE[1], dtype=np.float32))
    x = columns + amplitude * np.sin(rows / 45 + phase)
    y = rows + amplitude * np.sin(columns / 55 + 2 * phase)
    return np.asarray(
        cv2.remap(photo, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    )


def matched(points: np.ndarray, turn: complex, shift: complex) -> Matches:
    moved = points @ [1, 1j] * turn + shift
    theirs = np.column_stack([moved.real, moved.imag])
    return Matches(points.astype(np.float32), theirs.astype(np.float32), np.ones(len(points), np.float32))


def test_a_similarity_is_found_among_strays_and_continued_beyond_its_matches() -> None:
    rng = np.random.default_rng(0)
    found = matched(rng.uniform((50, 50), (150, 120), (80, 2)), 1.5 * np.exp(0.2j), 30 - 10j)
    found.points1[:20] = rng.uniform(0, 400, (20, 2))
    near, far = moving_least_squares_warps({(0, 1): found}, [400, 400])
    assert not far
    columns, rows = np.meshgrid(np.arange(400, dtype=np.float32), np.arange(300, dtype=np.float32))
    x, y, _ = near[1].maps(columns, rows)
    wanted = (columns + 1j * rows) * 1.5 * np.exp(0.2j) + 30 - 10j
    assert np.abs(x + 1j * y - wanted).max() < 0.1


def test_what_shares_nothing_with_the_photo_is_reached_through_what_does() -> None:
    rng = np.random.default_rng(0)
    first = matched(rng.uniform(50, 150, (60, 2)), 2, 10)
    second = matched(rng.uniform(100, 300, (60, 2)), 0.5j, 5j)
    near, far = moving_least_squares_warps({(0, 1): first, (1, 2): second}, [400, 400, 400])
    assert (list(near), list(far)) == ([1], [2])
    columns, rows = np.meshgrid(np.arange(200, dtype=np.float32), np.arange(200, dtype=np.float32))
    x, y, _ = far[2].maps(columns, rows)
    assert np.abs(x + 1j * y - (((columns + 1j * rows) * 2 + 10) * 0.5j + 5j)).max() < 0.1
    backwards = {(0, 2): first, (1, 2): Matches(second.points1, second.points0, second.confidence)}
    near, far = moving_least_squares_warps(backwards, [400, 400, 400])
    assert (list(near), list(far)) == ([2], [1])
    np.testing.assert_allclose(far[1].maps(columns, rows)[:2], (x, y), atol=0.01)


def test_too_few_matches_lay_nothing() -> None:
    rng = np.random.default_rng(0)
    alike = matched(rng.uniform(0, 400, (10, 2)), 1, 0)
    here, there = (rng.uniform(0, 400, (80, 2)).astype(np.float32) for _ in range(2))
    strange = Matches(here, there, np.ones(80, np.float32))
    assert moving_least_squares_warps({(0, 1): alike, (0, 2): strange}, [400, 400, 400]) == ({}, {})


def test_a_palette_is_learned_though_nothing_lies_in_its_place() -> None:
    photo = cv2.resize(skimage.data.coffee(), (300, 200)).astype(np.float32) / 255
    grey = photo.mean(axis=-1, keepdims=True)
    target = (0.8 * (grey + 0.2 * (photo - grey)) + 0.1).astype(np.float32)  # paler, and nearly without colour
    hole = np.zeros((200, 300), bool)
    hole[70:130, 110:190] = True
    light = match_color_statistics(np.roll(photo, (9, -12), (0, 1)), target, ~hole, hole)
    assert light is not None
    assert np.abs(light(photo) - target).mean() < 0.03
    assert np.abs(photo - target).mean() > 0.1
    assert match_color_statistics(photo, target, ~hole & False, hole) is None


def test_what_shows_something_else_around_the_hole_is_not_laid(tmp_path: Path) -> None:
    photo = cv2.resize(skimage.data.coffee(), (300, 200))
    mask = np.zeros((200, 300), np.uint8)
    mask[70:130, 110:190] = 255
    part = Region.around(photo, mask, 0.4, 300)
    write_png(tmp_path / "shifted.png", np.roll(photo, (3, -4), (0, 1)))
    write_png(tmp_path / "other.png", photo[::-1])
    warp = Warp(lambda columns, rows: (columns, rows, np.ones(rows.shape, bool)), 0.0, exact=False)
    assert warp_and_match_color(part, tmp_path / "shifted.png", warp) is not None
    assert warp_and_match_color(part, tmp_path / "other.png", warp) is None


def test_a_scene_that_moved_is_laid_about_right_and_nothing_of_it_is_called_certain(tmp_path: Path) -> None:
    photo = cv2.resize(skimage.data.coffee(), SIZE)
    root = tmp_path / "moved"
    for name in ("target", "ref"):
        (root / name).mkdir(parents=True)
    mask = np.zeros(SIZE[::-1], np.uint8)
    mask[110:230, 170:330] = 255
    write_png(root / "target" / "target.png", np.where(mask[..., None] > 0, np.uint8(128), photo))
    write_png(root / "target" / "mask.png", mask)
    for number, phase in enumerate((0.3, 2.0)):
        write_png(root / "ref" / f"{number}.png", swayed(photo, 4, phase))
    album = open_album(root)
    params = load_params(assignments=["finetune.steps=0", "sample.candidates=1", "sample.steps=2"])
    for stage in ("validate", "masks"):
        run_stage(stage, album, params)
    placed = run_stage("align", album, params).placed
    assert placed.model == "loose"
    assert placed.covered == 1
    assert placed.certain == 0
    proposal = read_proposal(album)
    assert proposal is not None
    assert proposal.confidence.max() < CERTAIN
    hole = read_png(mask_path(album)) > 0
    laid = proposal.over(0, 0, *SIZE).colours
    telea = cv2.inpaint(photo, mask, 5, cv2.INPAINT_TELEA)
    assert psnr(laid[hole], photo[hole]) > psnr(telea[hole], photo[hole]) + 1
    for stage in ("finetune", "sample"):
        run_stage(stage, album, params)
    rows = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    assert [row.kind for row in rows] == ["noise", "placed"]  # nothing is certain that a guided one could hold
