"""`realfill complete`: albums one after another, and what is told of each."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from realfill import pipeline
from realfill.album.layout import Album
from realfill.cli import console
from realfill.cli.application import app
from realfill.core.hashing import digest
from realfill.core.params import Params, load_params
from realfill.stages import export
from support.finished_album import finish

STRANGE = "[red]summer :pear: 2019"  # markup and an emoji of rich


@pytest.fixture(autouse=True)
def wide_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps every row of a table in one line, whatever terminal the tests run in."""
    monkeypatch.setattr(console.out_console, "_width", 1000)


@pytest.fixture
def settings(quick_params: Params) -> list[str]:
    model = f"base.model={quick_params.base.model}"
    values = ["align.enabled=false", "finetune.steps=0", "sample.candidates=1", "sample.steps=1", "rank.matcher=sift"]
    return [word for value in (model, *values) for word in ("--set", value)]


def complete(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["complete", *map(str, arguments)])


def test_one_album_is_told_by_its_photo_and_its_page(album_folder: Path, settings: list[str]) -> None:
    (album_folder.parent / STRANGE).mkdir()
    folder = album_folder.rename(album_folder.parent / STRANGE / "roof (1)")
    result = complete(folder, *settings)
    photo, page = folder / "completed" / f"{folder.name}.png", folder / "completed" / "page" / "index.html"
    assert result.stdout == f"photo  {photo}\npage   {page}\n"
    assert photo.is_file() and page.is_file()


def test_of_many_albums_each_is_told_whatever_becomes_of_the_others(
    album_folder: Path, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = tmp_path / STRANGE / "motorcycle"
    good.parent.mkdir()
    album_folder.rename(good)
    broken = Path(shutil.copytree(good, tmp_path / "broken"))
    complete_targets = pipeline.complete_targets

    def fail(runs: Sequence[tuple[Album, Params]], **more: object) -> list[Path]:
        if runs[0][0].root == broken:
            raise ZeroDivisionError("a mistake in the code")
        return complete_targets(runs, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "complete_targets", fail)
    result = complete(tmp_path / "nowhere", broken, good, "--jobs", "1", *settings)
    assert result.exit_code == 1
    photo = good / "completed" / "motorcycle.png"
    assert photo.is_file()
    lines = result.stdout.splitlines()
    assert lines[:2] == [f"photo  {photo}", f"page   {good / 'completed' / 'page' / 'index.html'}"]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[:2] for row in rows] == [["nowhere", "failed"], ["broken", "failed"], ["motorcycle", "completed"]]
    assert "There is no such folder" in rows[0][3]
    assert "unexpected failed (ZeroDivisionError: a mistake in the code)" in rows[1][3]
    assert rows[2][3] == str(photo)
    result = complete(tmp_path / "nowhere", good, "--json", "--jobs", "1", *settings)
    assert result.exit_code == 1
    failed, completed = json.loads(result.stdout)
    assert (failed["album"], failed["outcome"], failed["error"]) == ("nowhere", "failed", "AlbumError")
    assert failed["reason"].startswith(f"{tmp_path / 'nowhere'}: There is no such folder.")
    assert failed["photo"] is None
    assert (completed["outcome"], completed["photo"], completed["reason"]) == ("completed", str(photo), None)
    assert completed["folder"] == str(good)


def test_albums_of_one_name_do_not_overwrite_each_other(
    album_folder: Path, settings: list[str], tmp_path: Path
) -> None:
    twin = Path(shutil.copytree(album_folder, tmp_path / "elsewhere" / album_folder.name))
    other = Path(shutil.copytree(album_folder, tmp_path / "other"))
    out = tmp_path / "out"
    result = complete(album_folder, other, twin, "--out", out, "--json", "--jobs", "1", *settings)
    assert result.exit_code == 1
    outcomes = json.loads(result.stdout)
    assert [(row["folder"], row["outcome"]) for row in outcomes] == [
        (str(album_folder), "failed"),
        (str(other), "completed"),
        (str(twin), "failed"),
    ]
    assert "2 of the albums have this name" in outcomes[0]["reason"]
    assert [path.name for path in out.iterdir()] == ["other"]
    assert complete(album_folder, "--out", out, *settings).exit_code == 0
    before = digest(out / album_folder.name)
    result = complete(twin, "--out", out, *settings)
    assert result.exit_code == 1
    assert "another album" in result.stderr
    assert digest(out / album_folder.name) == before
    assert complete(album_folder, os.path.relpath(album_folder), "--out", out, *settings).exit_code == 0


def test_what_the_user_keeps_beside_the_results_is_left_alone(album_folder: Path, settings: list[str]) -> None:
    (album_folder / "completed").mkdir()
    (album_folder / "completed" / "family.txt").write_text("precious")
    result = complete(album_folder, *settings)
    assert result.exit_code == 1
    assert "completed: The folder holds files that realfill did not write" in result.stderr
    assert not (album_folder / "work").exists()
    (album_folder / "completed" / "family.txt").rename(album_folder / "family.txt")
    assert complete(album_folder, *settings).exit_code == 0
    (album_folder / "family.txt").rename(album_folder / "completed" / "family.txt")
    result = complete(album_folder, *settings, "--force")
    assert (result.exit_code, "family.txt" in result.stderr) == (1, True)
    assert (album_folder / "completed" / "family.txt").read_text() == "precious"


def test_of_many_albums_each_is_evaluated_whatever_becomes_of_the_others(album_folder: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(album_folder, tmp_path / "bare"))
    for path in (bare / "target").glob("gt.*"):
        path.unlink()
    export.run(finish(album_folder), load_params())
    arguments = ["evaluate", str(tmp_path / "nowhere"), str(bare), str(album_folder)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    page = album_folder / "work" / "evaluate" / "index.html"
    assert page.is_file()
    lines = result.stdout.splitlines()
    assert f"page   {page}" in lines
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")][-3:]
    assert [row[:2] for row in rows] == [["nowhere", "failed"], ["bare", "failed"], ["motorcycle", "completed"]]
    assert "There is no such folder" in rows[0][3]
    assert "no ground truth" in rows[1][3]
    assert rows[2][3] == str(page)
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 1
    documents = json.loads(result.stdout)
    assert [document["album"] for document in documents] == ["nowhere", "bare", "motorcycle"]
    assert [document.get("error") for document in documents] == ["AlbumError", "AlbumError", None]
    assert documents[2]["protocol"]
