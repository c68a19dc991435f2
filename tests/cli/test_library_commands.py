"""Commands that work on a library."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from realfill.cli.application import app
from realfill.core.errors import LibraryError
from realfill.library import run_history
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow
from support.libraries import make_library, pretend_completed, write_tiny_album


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with one album that DVC finds up to date."""
    root = make_library(tmp_path_factory.mktemp("finished") / "library", "first")
    pretend_completed(Library.open(root), "first")
    return root


@pytest.fixture
def library(finished: Path, tmp_path: Path) -> Library:
    return Library.open(Path(shutil.copytree(finished, tmp_path / "library", symlinks=True)))


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_status_and_history_are_printed(library: Library) -> None:
    bad = HistoryRow("first", "quarantined", "MaskError", "There is no hole.")
    run_history.write_rows(library, "2026-05-01", "a", [bad])
    run_history.write_rows(library, "2026-05-02", "a", [HistoryRow("first", "completed", digest="aa")])
    assert "first" in invoke("status", "--library", str(library.root))
    output = invoke("history", "first", "--library", str(library.root))
    assert "quarantined -> completed" in output
    assert json.dumps(output).count("2026-05-0") == 2


def test_before_the_first_night_status_tells_how_to_run_one(library: Library) -> None:
    output = invoke("status", "--library", str(library.root))
    assert "`realfill fleet night`" in output
    assert "first" not in output


def test_an_added_album_lies_in_the_library(library: Library, tmp_path: Path) -> None:
    output = invoke("add", str(write_tiny_album(tmp_path / "second")), "--library", str(library.root))
    folder = library.folder("second")
    assert output.startswith(f"{folder}\n")
    assert (folder / "target.dvc").is_file()


def test_commands_work_from_any_folder_of_a_library(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library.folder("first") / "ref")
    assert invoke("gallery") == f"{library.root / 'data' / 'gallery' / 'index.html'}\n"
    assert invoke("engine") == "engine.yaml is up to date\n"
    for command in ("status", "gc"):
        invoke(command)
    assert invoke("history", "first") == "No night has recorded this album yet.\n"
    result = CliRunner().invoke(app, ["history", "frist"])
    assert isinstance(result.exception, LibraryError) and "no album 'frist'" in result.exception.problem


def test_init_makes_a_library_and_prints_where(tmp_path: Path) -> None:
    assert invoke("init", str(tmp_path / "new")) == f"{tmp_path / 'new'}\n"
    assert Library.open(tmp_path / "new").album_names == []


def test_the_command_to_keep_an_album_can_be_pasted(finished: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(finished, tmp_path / "[b]my :pear: library", symlinks=True))
    output = invoke("add", str(write_tiny_album(tmp_path / "roof & attic")), "--library", str(root))
    command = output.split("`")[3]
    assert str(root / "data" / "albums" / "roof & attic") in shlex.split(command)


def test_the_gallery_takes_a_folder_of_albums_too(tmp_path: Path) -> None:
    write_tiny_album(tmp_path / "albums" / "first")
    page = tmp_path / "gallery" / "index.html"
    assert invoke("gallery", str(tmp_path / "albums")) == f"{page}\n"
    assert "first" in page.read_text()


def test_gc_tells_what_it_removed(library: Library) -> None:
    (library.folder("first") / "work" / ".checkpoints" / "x").mkdir(parents=True)
    assert "1 leftovers of runs, 0 files of DVC's cache, 0 albums" in invoke("gc", "--library", str(library.root))
