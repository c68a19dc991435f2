"""The table of a run of RealBench."""

from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from realfill.evaluation.realbench import PictureScore, SceneScores
from realfill.evaluation.realbench_table import render_markdown, summarize, write_realbench

SCENES = [
    SceneScores("0", "outpainting", "pocket", (PictureScore(10, 0.2), PictureScore(14, 0.4)), PictureScore(20, 0.5)),
    SceneScores("1", "inpainting", "pocket", (PictureScore(18, 0.6, 0.25),), PictureScore(22, 0.7)),
]


def test_samples_are_averaged_by_scene_first() -> None:
    rows = {(row.method, row.group): row for row in summarize(SCENES)}
    assert rows["samples", "all"].psnr == 15, "12 and 18, not 10, 14 and 18"
    assert rows["samples", "all"].pictures == (1, 2)
    assert rows["samples", "outpainting"].ssim == pytest.approx(0.3)
    assert rows["samples", "all"].lpips == 0.25
    assert rows["delivered", "inpainting"].psnr == 22
    assert rows["delivered", "all"].dreamsim is None


def test_the_table_stands_beside_the_published_rows_and_tells_what_is_missing() -> None:
    text = render_markdown(SCENES, {"2": "It is\nbroken."}, {"dreamsim": "No weights."})
    assert "| RealFill (Tang et al., 2024) | 33 | 64 | 14.78 | 0.424 | 0.431 | 0.077 | – | – |" in text
    assert "| GeoComplete (NeurIPS 2025) | 33 | 64 | 17.32 | 0.578 | 0.197 | 0.036 | – | – |" in text
    assert "| realfill, samples | 2 | 1–2 | 15.00 | 0.450 | 0.250 | – | – | – |" in text
    for remark in ("2 scenes were scored", "another number of samples", "DreamSim is missing: No weights."):
        assert remark in text
    assert "* scene 2 failed: It is broken." in text
    assert "| 1, delivered | inpainting | 1 | 22.00 |" in text


def test_every_picture_and_every_scene_has_a_row(tmp_path: Path) -> None:
    document = write_realbench(tmp_path / "realbench", SCENES, {"2": "It is broken."}, {})
    assert document.read_text() == render_markdown(SCENES, {"2": "It is broken."}, {})
    pictures = pq.read_table(document.parent / "samples.parquet").to_pylist()
    assert [(row["scene"], row["sample"]) for row in pictures] == [
        ("0", None),
        ("0", 0),
        ("0", 1),
        ("1", None),
        ("1", 0),
    ]
    scenes = pyarrow.csv.read_csv(document.parent / "scenes.csv").to_pylist()
    assert [row["scene"] for row in scenes] == [0, 1, 2]
    assert (scenes[0]["psnr"], scenes[0]["delivered_psnr"], scenes[2]["failed"]) == (12, 20, "It is broken.")


def test_nothing_scored_is_no_traceback() -> None:
    assert "0 scenes were scored" in render_markdown([], {"0": "It is broken."}, {})
