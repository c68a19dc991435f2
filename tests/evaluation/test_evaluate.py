"""Evaluations of whole albums: what is scored, and what is written about it."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Candidate
from realfill.album.store import mask_path, read_rows, write_rows
from realfill.core.errors import AlbumError, StageError
from realfill.core.params import load_params
from realfill.evaluation.evaluate import evaluate
from realfill.evaluation.metrics import PROTOCOL, Score
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from support.html import PageReader, assert_links_lead_to_files


def test_an_album_is_scored_and_everything_is_kept(album: Album) -> None:
    params = load_params()
    evaluation = evaluate(album, params)
    kept = _files(album)
    assert json.loads(kept["evaluation.json"]) == evaluation.to_json()
    assert json.loads(kept["metrics.json"]) == evaluation.to_metrics()
    assert evaluation.protocol == PROTOCOL
    assert [fill.number for fill in evaluation.candidates] == [0, 1, 2]
    assert [fill.rank for fill in evaluation.candidates] == [2, 1, 3]
    assert evaluation.outside_max_difference == 0
    scores = {fill.name: fill.score for fill in evaluation.fills}
    assert set(scores) >= {"result", "Telea", "mean color", "one homography"}
    assert abs(evaluation.result.psnr - scores["Telea"].psnr) < 1, "the delivered fill is Telea's, too"
    assert abs(scores["candidate 1"].psnr - evaluation.result.psnr) < 1
    evaluate(album, params)
    assert _files(album) == kept


def _files(album: Album) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in album.work("evaluate").iterdir()}


def test_a_row_a_fill_can_be_read_with_types(album: Album) -> None:
    evaluation = evaluate(album, load_params())
    rows = pq.read_table(album.work("evaluate") / "fills.parquet")
    assert rows.num_rows == len(evaluation.fills)
    types = {field.name: str(field.type) for field in rows.schema}
    assert {types[field.name] for field in fields(Score)} == {"double"}
    assert (types["album"], types["number"], types["tuned"]) == ("string", "int64", "bool")
    result, *_ = rows.to_pylist()
    assert result["number"] is None
    assert result["psnr"] == evaluation.result.psnr
    assert {row["album"] for row in rows.to_pylist()} == {"motorcycle"}


def test_metrics_for_dvc_are_numbers_alone(album: Album) -> None:
    def leaves(value: Any) -> list[Any]:
        return [leaf for v in value.values() for leaf in leaves(v)] if isinstance(value, dict) else [value]

    metrics = evaluate(album, load_params()).to_metrics()
    assert all(isinstance(leaf, int | float) for leaf in leaves(metrics))
    assert metrics["result"]["psnr"] > 5
    assert {"oracle", "candidates_mean", "without_geometry", "telea", "mean_color"} <= set(metrics)


def test_the_ranking_is_judged_by_psnr(album: Album) -> None:
    evaluation = evaluate(album, load_params())
    psnrs = {fill.number: fill.score.psnr for fill in evaluation.candidates}
    assert evaluation.oracle.score.psnr == max(psnrs.values())
    mean = sum(psnrs.values()) / 3
    assert evaluation.ranking.position == pytest.approx((psnrs[1] - mean) / (max(psnrs.values()) - mean), abs=1e-3)
    expected = spearmanr([3, 2, 1], [psnrs[1], psnrs[0], psnrs[2]]).statistic
    assert evaluation.ranking.spearman == pytest.approx(expected, abs=1e-3)


def test_candidates_that_are_all_alike_cannot_be_ranked_well_or_badly(album: Album) -> None:
    first = read_png(album.work("sample") / "000.png")
    for number in (1, 2):
        write_png(album.work("sample") / f"00{number}.png", first)
    ranking = evaluate(album, load_params()).ranking
    assert (ranking.position, ranking.spearman) == (None, None)


def test_what_there_would_be_without_geometry_is_told(album: Album) -> None:
    _change(album, 1, kind="placed")
    evaluation = evaluate(album, load_params())
    assert evaluation.without_geometry is not None
    assert evaluation.without_geometry.number == 0, "the better-ranked one of the two from pure noise"
    for number in (0, 2):
        _change(album, number, adapter_digest="")
    evaluation = evaluate(album, load_params())
    assert evaluation.without_geometry is None
    assert "without_geometry" not in evaluation.to_metrics()


def _change(album: Album, number: int, **values: Any) -> None:
    path = album.work("sample") / "candidates.parquet"
    rows = [replace(row, **values) if row.candidate == number else row for row in read_rows(path, Candidate)]
    write_rows(path, Candidate, rows)


def test_the_error_is_told_for_each_label_of_the_authenticity_map(album: Album) -> None:
    assert set(evaluate(album, load_params()).authenticity) == {"generated_only"}
    assert album.ground_truth is not None
    mask = read_png(mask_path(album))
    labels = np.where(mask > 0, np.uint8(85), np.uint8(0))
    middle = mask.shape[1] // 2
    labels[:, middle:][mask[:, middle:] > 0] = 255
    write_png(album.work("blend") / "authenticity.png", labels)
    classes = evaluate(album, load_params()).authenticity
    paths = album.ground_truth, album.completed / "motorcycle.png"
    truth, result = (read_srgb(path).astype(float) for path in paths)
    assert set(classes) == {"generated_only", "reference_pixel"}
    for name, label in (("generated_only", 85), ("reference_pixel", 255)):
        squared = (truth - result)[labels == label] ** 2
        assert classes[name]["mse"] == pytest.approx(squared.mean(), abs=0.06)
    assert sum(values["share"] for values in classes.values()) == pytest.approx(1, abs=1e-3)


def test_the_page_shows_every_fill_and_nothing_of_the_network(album: Album) -> None:
    kind = "<img src=x onerror=alert(1)>"
    _change(album, 2, kind=kind)
    evaluation = evaluate(album, load_params())
    page = album.work("evaluate") / "index.html"
    html = page.read_text()
    assert kind not in html
    assert "&lt;img src=x" in html
    reader = PageReader(page)
    assert_links_lead_to_files(page, reader)
    pictures = {link for link in reader.links if link.endswith(".jpg")}
    assert len(pictures) == len(evaluation.fills) + 2, "the truth and the hole as well"
    assert reader.find("img-comparison-slider")


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
    assert album.ground_truth is not None
    write_png(album.ground_truth, read_png(album.ground_truth)[:, :200])
    with pytest.raises(AlbumError, match="The ground truth has 200 x 200 pixels"):
        evaluate(album, load_params())


def test_an_unfinished_album_is_told_so(album_folder: Path) -> None:
    with pytest.raises(StageError, match="realfill complete"):
        evaluate(open_album(album_folder), load_params())


def test_an_album_that_was_completed_at_another_size_is_refused(album: Album) -> None:
    photo = album.completed / "motorcycle.png"
    write_png(photo, np.repeat(np.repeat(read_png(photo), 2, axis=0), 2, axis=1))
    with pytest.raises(AlbumError, match="another size than the canvas"):
        evaluate(album, load_params())


def test_what_was_evaluated_before_stays_if_an_evaluation_fails(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(album, load_params())
    kept = _files(album)
    monkeypatch.setattr("realfill.evaluation.evaluate.unavailable_metrics", lambda settings: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(album, load_params())
    assert _files(album) == kept
