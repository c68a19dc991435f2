"""Scores against the truth: what they reward, what they do not look at, and what is written about them."""

import json
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import huggingface_hub.constants
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from safetensors.torch import save_file
from scipy.stats import spearmanr
from skimage import data
from skimage.metrics import structural_similarity
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, ViTConfig, ViTModel

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate
from realfill.album.store import mask_path, read_rows, write_rows
from realfill.core.errors import AlbumError, ModelError, StageError
from realfill.core.params import load_params
from realfill.evaluation import baselines, perceptual
from realfill.evaluation.evaluate import evaluate
from realfill.evaluation.metrics import PROTOCOL, Score, Scorer, psnr, ssim_map, unavailable_metrics
from realfill.evaluation.scores_table import remarks, scores_table
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.stages import export
from support.finished_album import finish

ASTRONAUT = data.astronaut()
HOLE = np.zeros((512, 512), np.uint8)
HOLE[40:300, 120:420] = 255
INSIDE = HOLE > 0


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(ASTRONAUT, HOLE)


@pytest.fixture
def album(album_folder: Path) -> Album:
    album = finish(album_folder)
    export.run(album, load_params())
    return album


def test_the_truth_itself_scores_best(scorer: Scorer) -> None:
    score = scorer.score(ASTRONAUT)
    assert (score.psnr, score.ssim) == (100.0, 1.0)
    assert score.recall is not None
    assert score.recall > 0.99


def test_psnr_is_that_of_its_definition() -> None:
    assert psnr(np.full(100, 100, np.uint8), np.full(100, 110, np.uint8)) == pytest.approx(28.1308, abs=1e-4)


def test_ssim_is_that_of_scikit_image() -> None:
    noisy = np.clip(ASTRONAUT + np.random.default_rng(0).normal(0, 20, ASTRONAUT.shape), 0, 255).astype(np.uint8)
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (noisy, ASTRONAUT)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    _, expected = structural_similarity(*gray, **options)
    assert np.allclose(ssim_map(noisy, ASTRONAUT)[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-6)


def test_blur_invention_and_misplacement_lose_recall(scorer: Scorer) -> None:
    blurred = scorer.score(cv2.GaussianBlur(ASTRONAUT, (0, 0), 12))
    moved = scorer.score(np.roll(ASTRONAUT, 20, axis=1))
    invented = scorer.score(cv2.resize(data.cat(), (512, 512)))
    for score in (blurred, moved, invented):
        assert score.recall is not None
        assert score.recall < 0.2
        assert score.psnr < 30


def test_only_the_hole_counts(scorer: Scorer) -> None:
    elsewhere = ASTRONAUT.copy()
    elsewhere[320:] = 0
    score = scorer.score(elsewhere)
    assert (score.psnr, score.ssim) == (100.0, 1.0)


def test_baselines_fill_the_hole_from_outside_of_it_and_touch_nothing_else(scorer: Scorer) -> None:
    dug = np.where(INSIDE[..., None], np.uint8(7), ASTRONAUT)
    for fill in (baselines.mean_color, baselines.telea):
        filled = fill(ASTRONAUT, INSIDE)
        assert np.array_equal(filled[~INSIDE], ASTRONAUT[~INSIDE])
        assert np.array_equal(filled, fill(dug, INSIDE))
        assert 5 < scorer.score(filled).psnr < 20
    assert len(np.unique(baselines.mean_color(ASTRONAUT, INSIDE)[INSIDE], axis=0)) == 1


def test_one_homography_lays_the_reference_that_shows_the_same_plane(scorer: Scorer) -> None:
    turn = np.array([[0.95, 0.05, 12], [-0.04, 0.97, 9], [6e-5, -3e-5, 1]])
    moved = cv2.warpPerspective(ASTRONAUT, turn, (512, 512), flags=cv2.INTER_AREA)
    reference = (moved * 0.8 + 10).astype(np.uint8)
    laid = baselines.one_homography(ASTRONAUT, INSIDE, [data.cat(), reference])
    assert np.array_equal(laid.picture[~INSIDE], ASTRONAUT[~INSIDE])
    assert laid.inliers > 100
    score = scorer.score(laid.picture)
    assert score.recall is not None
    assert score.psnr > 25
    assert score.recall > 0.7


def test_one_homography_leaves_to_telea_what_the_reference_does_not_reach() -> None:
    telea = baselines.telea(ASTRONAUT, INSIDE)
    left = baselines.one_homography(ASTRONAUT, INSIDE, [ASTRONAUT[:, :270]])
    assert left.inliers > 100
    assert np.array_equal(left.picture[:, 275:], telea[:, 275:])
    assert not np.array_equal(left.picture[:, :265], telea[:, :265])
    nothing = baselines.one_homography(ASTRONAUT, INSIDE, [np.full((300, 400, 3), 90, np.uint8)])
    assert nothing.inliers == 0
    assert np.array_equal(nothing.picture, telea)


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of every network, laid out as the hub's cache and the authors' packages do."""
    torch.manual_seed(0)
    hub = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    vgg, before = {}, 3
    widths = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
    index = 0
    for width in widths:
        if width:
            vgg[f"features.{index}.weight"] = torch.randn(width, before, 3, 3) * (2 / (9 * before)) ** 0.5
            vgg[f"features.{index}.bias"] = torch.zeros(width)
            before = width
        index += 2 if width else 1
    save_file(vgg, _snapshot(hub, "timm/vgg16.tv_in1k", "3394518cba29aee1ea82a49d971be90d2dd1dab7"))
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    dino = _snapshot(hub, "facebook/dino-vits16", "a7a4d161f5c0bd70478c05ca5777ec7cd8848021")
    ViTModel(ViTConfig(**size), add_pooling_layer=False).save_pretrained(dino.parent)
    clip = _snapshot(hub, "openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
    CLIPVisionModelWithProjection(CLIPVisionConfig(**size, projection_dim=16)).save_pretrained(clip.parent)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    _package(tmp_path, "lpips", "weights/v0.1/vgg.pth", heads)
    features = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    _package(tmp_path, "DISTS_pytorch", "weights.pt", features)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return hub


def _snapshot(hub: Path, repository: str, revision: str) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    folder.mkdir(parents=True)
    return folder / "model.safetensors"


def _package(root: Path, name: str, file: str, values: dict[str, torch.Tensor]) -> None:
    path = root / "packages" / name / file
    path.parent.mkdir(parents=True)
    (root / "packages" / name / "__init__.py").write_text("raise ImportError('needs torchvision')")
    torch.save(values, path)


def test_networks_tell_a_blurred_picture_from_the_truth(weights: Path) -> None:
    truth, hole = ASTRONAUT[:160, 150:330], np.zeros((160, 180), bool)
    hole[30:120, 40:150] = True
    loaders = {
        perceptual.load_lpips: 0.0,
        perceptual.load_dists: 0.0,
        perceptual.load_dino: 1.0,
        perceptual.load_clip: 1.0,
    }
    for load, best in loaders.items():
        measure = load()
        slightly, badly = (np.abs(measure(cv2.GaussianBlur(truth, (0, 0), s), truth, hole) - best) for s in (1, 6))
        assert measure(truth, truth, hole) == pytest.approx(best, abs=1e-4)
        assert 1e-5 < slightly < badly


def test_a_network_whose_weights_are_not_here_is_absent_and_says_how_to_get_them(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(weights / "empty"))
    for load in (perceptual.load_lpips, perceptual.load_dists, perceptual.load_dino, perceptual.load_clip):
        with pytest.raises(ModelError, match="Run `hf download [^ ]+ config.json model.safetensors --revision"):
            load()


def test_small_holes_at_the_border_can_be_looked_at_by_networks(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perceptual.measures.cache_clear()
    try:
        assert "lpips" not in unavailable_metrics()
        corner = np.zeros((512, 512), np.uint8)
        corner[:9, 500:] = 255
        score = Scorer(ASTRONAUT, corner).score(cv2.GaussianBlur(ASTRONAUT, (0, 0), 4))
        assert None not in (score.lpips, score.dists, score.dino, score.clip)
        assert set(score.measured()) >= {"lpips", "dists", "dino", "clip"}
    finally:
        perceptual.measures.cache_clear()


def test_large_photos_are_scored_at_1024_pixels() -> None:
    large = cv2.resize(ASTRONAUT, (1536, 1536))
    scorer = Scorer(large, HOLE)
    assert scorer.truth.shape == (1024, 1024, 3)
    assert scorer.hole.mean() == pytest.approx((HOLE > 0).mean(), rel=0.01)
    assert scorer.score(ASTRONAUT).psnr > 30


def test_an_album_is_scored_and_everything_is_kept(album: Album) -> None:
    params = load_params()
    scored = evaluate(album, params)
    kept = _files(album)
    assert json.loads(kept["evaluation.json"]) == scored.to_json()
    assert json.loads(kept["metrics.json"]) == scored.to_metrics()
    assert scored.protocol == PROTOCOL
    assert [fill.number for fill in scored.candidates] == [0, 1, 2]
    assert [fill.rank for fill in scored.candidates] == [2, 1, 3]
    assert scored.outside_max_difference == 0
    scores = {fill.name: fill.score for fill in scored.fills}
    assert set(scores) >= {"result", "Telea", "mean colour", "one homography"}
    assert abs(scored.result.psnr - scores["Telea"].psnr) < 1, "the delivered fill is Telea's, too"
    assert abs(scores["candidate 1"].psnr - scored.result.psnr) < 1
    evaluate(album, params)
    assert _files(album) == kept


def _files(album: Album) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in album.work("evaluate").iterdir()}


def test_the_table_tells_the_scores_and_the_remarks_what_is_absent(album: Album) -> None:
    scored = evaluate(album, load_params())
    console = Console(record=True, width=160)
    console.print(scores_table([scored]))
    told = console.export_text()
    assert f"{scored.result.psnr:.2f}" in told
    assert f"best candidate (#{scored.oracle.number})" in told
    said = remarks([scored])
    assert f"motorcycle: the best-ranked candidate lies {scored.ranking.position:.2f} of the way" in said[0]
    for name, why in unavailable_metrics().items():
        assert f"{name} is absent: {why}" in said
        assert getattr(scored.result, name, None) is None


def test_a_row_a_fill_can_be_read_with_types(album: Album) -> None:
    scored = evaluate(album, load_params())
    rows = pq.read_table(album.work("evaluate") / "fills.parquet")
    assert rows.num_rows == len(scored.fills)
    types = {field.name: str(field.type) for field in rows.schema}
    assert {types[field.name] for field in fields(Score)} == {"double"}
    assert (types["album"], types["number"], types["tuned"]) == ("string", "int64", "bool")
    result, *_ = rows.to_pylist()
    assert result["number"] is None
    assert result["psnr"] == scored.result.psnr
    assert {row["album"] for row in rows.to_pylist()} == {"motorcycle"}


def test_metrics_for_dvc_are_numbers_alone(album: Album) -> None:
    def leaves(value: Any) -> list[Any]:
        return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [value]

    metrics = evaluate(album, load_params()).to_metrics()
    assert all(isinstance(leaf, int | float) for leaf in leaves(metrics))
    assert metrics["result"]["psnr"] > 5
    assert {"oracle", "candidates_mean", "without_geometry", "telea", "mean_colour"} <= set(metrics)


def test_the_ranking_is_judged_by_psnr(album: Album) -> None:
    scored = evaluate(album, load_params())
    psnrs = {fill.number: fill.score.psnr for fill in scored.candidates}
    assert scored.oracle.score.psnr == max(psnrs.values())
    mean = sum(psnrs.values()) / 3
    assert scored.ranking.position == pytest.approx((psnrs[1] - mean) / (max(psnrs.values()) - mean), abs=1e-3)
    expected = spearmanr([3, 2, 1], [psnrs[1], psnrs[0], psnrs[2]]).statistic
    assert scored.ranking.spearman == pytest.approx(expected, abs=1e-3)


def test_candidates_that_are_all_alike_cannot_be_ranked_well_or_badly(album: Album) -> None:
    first = read_png(album.work("sample") / "000.png")
    for number in (1, 2):
        write_png(album.work("sample") / f"00{number}.png", first)
    ranking = evaluate(album, load_params()).ranking
    assert (ranking.position, ranking.spearman) == (None, None)


def test_what_there_would_be_without_geometry_is_told(album: Album) -> None:
    _change(album, 1, kind="placed")
    scored = evaluate(album, load_params())
    assert scored.without_geometry is not None
    assert scored.without_geometry.number == 0, "the better-ranked one of the two from pure noise"
    for number in (0, 2):
        _change(album, number, adapter_digest="")
    scored = evaluate(album, load_params())
    assert scored.without_geometry is None
    assert "without_geometry" not in scored.to_metrics()


def _change(album: Album, number: int, **values: Any) -> None:
    path = album.work("sample") / "candidates.parquet"
    rows = [replace(row, **values) if row.candidate == number else row for row in read_rows(path, Candidate)]
    write_rows(path, Candidate, rows)


def test_the_error_is_told_for_each_label_of_the_authenticity_map(album: Album) -> None:
    assert set(evaluate(album, load_params()).authenticity) == {"generated_only"}
    assert album.truth is not None
    mask = read_png(mask_path(album))
    labels = np.where(mask > 0, np.uint8(85), np.uint8(0))
    middle = mask.shape[1] // 2
    labels[:, middle:][mask[:, middle:] > 0] = 255
    write_png(album.work("blend") / "authenticity.png", labels)
    classes = evaluate(album, load_params()).authenticity
    truth, result = (read_srgb(path).astype(float) for path in (album.truth, album.completed / "motorcycle.png"))
    assert set(classes) == {"generated_only", "reference_pixel"}
    for name, label in (("generated_only", 85), ("reference_pixel", 255)):
        squared = (truth - result)[labels == label] ** 2
        assert classes[name]["mse"] == pytest.approx(squared.mean(), abs=0.06)
    assert sum(values["share"] for values in classes.values()) == pytest.approx(1, abs=1e-3)


class _Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_shows_every_fill_and_nothing_of_the_network(album: Album) -> None:
    kind = "<img src=x onerror=alert(1)>"
    _change(album, 2, kind=kind)
    scored = evaluate(album, load_params())
    folder = album.work("evaluate")
    html = (folder / "index.html").read_text()
    assert kind not in html
    assert "&lt;img src=x" in html
    page = _Links(html)
    shown = {unquote(link) for link in page.links if not link.startswith(("data:", "#"))}
    assert all((folder / link).is_file() for link in shown)
    pictures = {link for link in shown if link.endswith(".jpg")}
    assert len(pictures) == len(scored.fills) + 2, "the truth and the hole as well"
    assert "img-comparison-slider" in page.tags


def test_a_pixel_changed_outside_the_hole_is_noticed(album: Album) -> None:
    photo = album.completed / "motorcycle.png"
    pixels = read_png(photo).copy()
    pixels[0, 0] ^= 0x40
    write_png(photo, pixels)
    assert evaluate(album, load_params()).outside_max_difference == 0x40


def test_an_album_without_truth_says_so(album_folder: Path) -> None:
    (album_folder / "target" / "gt.png").unlink()
    with pytest.raises(AlbumError, match="no ground truth"):
        evaluate(open_album(album_folder), load_params())


def test_a_truth_of_another_extent_is_refused(album: Album) -> None:
    assert album.truth is not None
    write_png(album.truth, read_png(album.truth)[:, :200])
    with pytest.raises(AlbumError, match="The truth has 200 x 200 pixels"):
        evaluate(album, load_params())


def test_an_unfinished_album_is_told_so(album_folder: Path) -> None:
    with pytest.raises(StageError, match="realfill complete"):
        evaluate(open_album(album_folder), load_params())
