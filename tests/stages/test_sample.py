"""The stage that samples: which candidates there are, and what their rows say."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import CERTAIN
from realfill.album.schemas import Candidate, PlacementSummary
from realfill.album.store import read_rows
from realfill.core.atomic_io import write_json
from realfill.core.errors import ModelError
from realfill.core.params import Params
from realfill.core.progress import ProgressUpdate
from realfill.diffusion.base_model import BaseModel, load_base_model
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.photo_io.color_management import convert_rgb, read_srgb
from realfill.photo_io.working_files import read_png, read_png_profile, write_png
from realfill.stages import blend, finetune, rank, sample
from support.camera_photos import ADOBE_RGB
from support.finished_album import finish


@pytest.fixture
def album(album_folder: Path) -> Album:
    """An album whose model is not tuned and for which nothing is placed."""
    album = finish(album_folder)
    write_json(album.work("finetune") / "metrics.json", {"steps": 0, "final_loss": None})
    return album


def complete(album: Album) -> None:
    """Place nothing, and complete the hole in blue."""
    mask = read_png(album.work("masks") / "mask.png")
    summary = PlacementSummary("none", (0, 0, *mask.shape[::-1]), (), 0.0, 0.0, {"patches": 9.0})
    write_json(album.work("align") / "placed.json", asdict(summary))
    write_png(album.work("align") / "completed.png", np.full((*mask.shape, 3), (10, 10, 250), np.uint8))


def place(album: Album, confidence: int) -> None:
    """Place the same confidence all over the canvas."""
    complete(album)
    mask = read_png(album.work("masks") / "mask.png")
    summary = PlacementSummary("depth", (0, 0, *mask.shape[::-1]), ("a.png",), 1.0, float(confidence >= CERTAIN))
    write_json(album.work("align") / "placed.json", asdict(summary))
    write_png(album.work("align") / "proposal.png", np.full((*mask.shape, 3), (250, 10, 10), np.uint8))
    write_png(album.work("align") / "confidence.png", np.full(mask.shape, confidence, np.uint8))


def kinds(album: Album, params: Params) -> list[tuple[str, int]]:
    return [(row.kind, row.draw) for row in sample.run(album, params).candidates]


def test_what_is_sampled_depends_on_what_is_placed(album: Album, quick_params: Params) -> None:
    noise = [("noise", 0), ("noise", 1)]
    assert kinds(album, quick_params) == noise
    complete(album)
    assert kinds(album, quick_params) == [*noise, ("patches", 0)]
    place(album, CERTAIN - 1)
    assert kinds(album, quick_params) == [*noise, ("placed", 0)]
    place(album, CERTAIN)
    assert kinds(album, quick_params) == [*noise, ("placed", 0), ("guided", 0), ("guided", 1)]


def test_none_are_drawn_from_noise_where_a_trial_tells_that_tuning_cannot_pay(
    album: Album, quick_params: Params
) -> None:
    complete(album)
    assert not finetune.run(album, quick_params).steps, "random weights cannot compete with patches"
    assert kinds(album, quick_params) == [("patches", 0)]
    assert rank.run(album, quick_params).ranked[0].candidate == 0
    always = quick_params.model_copy(update={"finetune": quick_params.finetune.model_copy(update={"when": "always"})})
    assert finetune.run(album, always).steps
    assert kinds(album, always) == [("noise", 0), ("noise", 1), ("patches", 0)]


def test_half_of_the_candidates_from_noise_are_given_up_where_asked(album: Album, quick_params: Params) -> None:
    place(album, CERTAIN)
    everyone = sample.run(album, quick_params)
    pictures = {(row.kind, row.draw): read_png(everyone.folder / row.file) for row in everyone.candidates}
    params = quick_params.model_copy(update={"sample": quick_params.sample.model_copy(update={"reject": 0.5})})
    kept = sample.run(album, params)
    assert [row.kind for row in kept.candidates] == ["noise", "placed", "guided", "guided"]
    assert {row.count for row in kept.candidates} == {4}, "those that were given up count, too"
    row = kept.candidates[0]
    difference = pictures[row.kind, row.draw].astype(int) - read_png(kept.folder / row.file)
    assert np.abs(difference).max() <= 2


def test_a_row_describes_its_picture(album: Album, quick_params: Params) -> None:
    place(album, CERTAIN)
    result = sample.run(album, quick_params)
    assert read_rows(result.folder / "candidates.parquet", Candidate) == list(result.candidates)
    assert [row.candidate for row in result.candidates] == list(range(5))
    files = {path.name for path in result.folder.glob("*.png")}
    assert files == {row.file for row in result.candidates}
    placed = result.candidates[2]
    assert (placed.scheduler, placed.steps, placed.batch_size) == ("", 0, 1)
    assert (read_png(result.folder / placed.file) == (250, 10, 10)).all()
    generated = result.candidates[0]
    assert (generated.scheduler, generated.steps, generated.count) == ("dpmsolver++", 2, 4)
    assert {row.adapter_digest for row in result.candidates} == {""}, "the model is not tuned"


def test_candidates_are_in_the_working_space_and_the_model_sees_srgb(album: Album, quick_params: Params) -> None:
    place(album, CERTAIN)
    in_srgb = [read_srgb(sample.run(album, quick_params).folder / f"{n:03d}.png").astype(int) for n in range(5)]
    canvas = album.work("masks") / "canvas.png"
    write_png(canvas, convert_rgb(read_png(canvas), None, ADOBE_RGB), ADOBE_RGB)
    rows = sample.run(album, quick_params).candidates
    paths = [album.work("sample") / row.file for row in rows]
    assert {read_png_profile(path) for path in paths} == {ADOBE_RGB}
    assert (read_png(paths[2]) == (250, 10, 10)).all(), "the placed pixels, as they are"
    for number in (0, 1):
        assert np.abs(read_srgb(paths[number]) - in_srgb[number]).mean() < 8


def test_patches_are_a_candidate_that_no_model_has_sampled(album: Album, quick_params: Params) -> None:
    complete(album)
    result = sample.run(album, quick_params)
    patches = result.candidates[-1]
    assert (patches.kind, patches.scheduler, patches.steps, patches.adapter_digest) == ("patches", "", 0, "")
    assert {row.count for row in result.candidates} == {2}
    _, mask = read_model_window(album, patches.resolution)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
    assert (read_png(result.folder / patches.file)[inside] == (10, 10, 250)).all()


def fail_decoding(monkeypatch: pytest.MonkeyPatch, *failing: int) -> None:
    """Let the model fail at these of the candidates that it makes, counted over all passes of a stage."""
    decode, done = BaseModel.decode, 0

    def fail(self: BaseModel, latents: torch.Tensor) -> np.ndarray:
        nonlocal done
        pictures = decode(self, latents)
        for index in range(len(pictures)):
            if done + index in failing:
                pictures[index, 3, 5, 1] = np.nan
        done += len(pictures)
        return pictures

    monkeypatch.setattr(BaseModel, "decode", fail)


def test_a_candidate_that_is_not_finite_is_left_out(
    album: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place(album, CERTAIN)
    whole = sample.run(album, quick_params)
    pictures = [read_png(whole.folder / row.file) for row in whole.candidates]
    fail_decoding(monkeypatch, 0, 3)
    result = sample.run(album, quick_params)
    assert "The candidate 0 from pure noise failed and is left out" in caplog.text
    assert "The candidate 1 from placed pixels failed and is left out" in caplog.text
    rows = [(row.candidate, row.file, row.kind, row.draw) for row in result.candidates]
    assert rows == [(0, "000.png", "noise", 1), (1, "001.png", "placed", 0), (2, "002.png", "guided", 0)]
    for row, before in zip(result.candidates, (1, 2, 3), strict=True):
        np.testing.assert_array_equal(read_png(result.folder / row.file), pictures[before])
    assert {row.count for row in result.candidates} == {4}


def test_placed_pixels_go_on_alone_where_the_model_fails(
    album: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(album, CERTAIN)
    fail_decoding(monkeypatch, *range(9))
    assert kinds(album, quick_params) == [("placed", 0)]
    ranked = rank.run(album, quick_params).ranked
    assert [(row.rank, row.candidate) for row in ranked] == [(1, 0)]
    assert blend.run(album, quick_params).candidate == 0


def test_no_candidate_at_all_is_an_error(album: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_decoding(monkeypatch, *range(9))
    with pytest.raises(ModelError, match="no usable picture.*base.precision"):
        sample.run(album, quick_params)


def test_the_rows_name_the_model_alike_on_every_machine(album: Album, quick_params: Params) -> None:
    row = sample.run(album, quick_params).candidates[0]
    model = Path(quick_params.base.model)
    assert model.is_absolute()
    assert (row.model, row.model_digest) == (model.name, load_base_model(quick_params.base).digest)


def test_the_versions_are_those_of_the_libraries_that_decide_pixels(album: Album, quick_params: Params) -> None:
    rows = sample.run(album, quick_params).candidates
    expected = {name: version(name) for name in ("torch", "diffusers", "peft")}
    assert expected.items() <= json.loads(rows[0].versions).items()


def test_a_candidate_can_be_sampled_again_from_its_row(album: Album, quick_params: Params) -> None:
    result = sample.run(album, quick_params)
    row = result.candidates[1]
    model = load_base_model(quick_params.base)
    params = quick_params.sample.model_copy(update={"steps": row.steps, "seed": row.seed, "guidance": row.guidance})
    window = read_model_window(album, row.resolution)
    again = sample_candidates(model, *window, row.draw + 1, params, quick_params.finetune.prompt).images[row.draw]
    assert np.abs(again.astype(int) - read_png(result.folder / row.file)).max() <= 2


def test_the_progress_counts_every_step_of_every_candidate(album: Album, quick_params: Params) -> None:
    place(album, CERTAIN)
    updates: list[ProgressUpdate] = []
    sample.run(album, quick_params, updates.append)
    assert {update.total for update in updates} == {8}
    assert [update.done for update in updates] == sorted(update.done for update in updates)
    assert {update.stage for update in updates} == {"sample"}
