"""`realfill evaluate --realbench`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from realfill import pipeline
from realfill.cli.application import app
from realfill.cli.realbench import find_scenes
from realfill.core.errors import AlbumError
from realfill.photo_io.working_files import write_png
from support.scenes import write_scene


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Two scenes, one to be outpainted, and a third without references."""
    rng = np.random.default_rng(0)
    for name, hole in (("2", (slice(0, 96), slice(0, 30))), ("10", (slice(30, 60), slice(30, 60)))):
        truth = np.repeat(np.repeat(rng.integers(0, 255, (12, 16, 3), np.uint8), 8, 0), 8, 1)
        mask = np.zeros((96, 128), np.uint8)
        mask[hole] = 255
        root = write_scene(tmp_path / "RealBench" / name, truth, mask, [np.roll(truth, 8, axis=1)])
        write_png(root / "target" / "gt.png", truth)
    (tmp_path / "RealBench" / "11" / "target").mkdir(parents=True)
    return tmp_path / "RealBench"


def evaluate(bench: Path, model: Path, *options: str) -> Result:
    values = [f"base.model={model}", "align.enabled=false", "finetune.steps=0"]
    values += ["sample.candidates=2", "sample.steps=1", "rank.matcher=sift"]
    settings = [part for value in values for part in ("--set", value)]
    return CliRunner().invoke(app, ["evaluate", "--realbench", str(bench), *settings, *options])


def test_all_scenes_are_completed_and_scored_whatever_becomes_of_one(
    bench: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(bench / "2", bench / "12")
    (out / "12" / "work" / "align").mkdir(parents=True)
    (out / "12" / "work" / "align" / "notes.txt").write_text("of another")
    first = evaluate(bench, tiny_model, "--out", str(out))
    assert first.exit_code == 1
    assert "There is no target photo" in first.stderr
    written = (out / "realbench" / "realbench.md").read_text()
    assert written in first.stdout
    for line in (
        "| 2, delivered | outpainting | 1 |",
        "| 10, samples | inpainting | 2 |",
        "* scene 11 failed: There is",
    ):
        assert line in written
    assert "* scene 12 failed: work/align: " in written
    for path in (out / "realbench").iterdir():
        assert str(tmp_path) not in path.read_bytes().decode(errors="replace"), "it is the same on every machine"
    assert "14.78" in written
    assert "DreamSim is missing" in written
    assert not (bench / "2" / "work").exists()
    monkeypatch.setattr(pipeline, "run_stage", lambda *_: pytest.fail("made again"))
    again = evaluate(bench, tiny_model, "--out", str(out), "--json")
    document = json.loads(again.stdout)
    assert [scene["scene"] for scene in document["scenes"]] == ["2", "10"]
    assert list(document["failed"]) == ["11", "12"]
    assert document["table"][0]["scenes"] == 2


def test_scenes_come_in_the_order_of_their_numbers(bench: Path) -> None:
    (bench / "notes").mkdir()
    assert [path.name for path in find_scenes(bench)] == ["2", "10", "11"]


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(AlbumError, match="no scene"):
            find_scenes(folder)


def test_albums_and_a_benchmark_do_not_go_together(bench: Path, tiny_model: Path) -> None:
    assert evaluate(bench, tiny_model, str(bench / "2")).exit_code == 2
    assert evaluate(bench, tiny_model, "--untuned", "1").exit_code == 2
    assert CliRunner().invoke(app, ["evaluate"]).exit_code == 2
