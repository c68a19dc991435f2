"""The command `realfill pick`: choosing another candidate, in a library and in a folder."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from realfill.album.discovery import open_album
from realfill.cli.application import app
from realfill.core.errors import RealFillError
from realfill.core.params import load_params
from realfill.library.repository import Library
from realfill.review.application import write_choices
from realfill.review.collection import Collection
from realfill.stages import export
from support.finished_album import finish
from support.libraries import call, change_yaml, copy_library, parse_stages


def chosen(library: Path) -> int:
    """The candidate that the album `roof` delivers."""
    document = library / "data" / "albums" / "roof" / "completed" / "roof.json"
    return int(json.loads(document.read_text())["candidate"])


def test_dvc_reruns_blend_and_export_alone_and_the_choice_holds_in_later_runs(
    finished_library: Path, tmp_path: Path
) -> None:
    library = copy_library(finished_library, tmp_path / "library")
    best = chosen(library)
    other = 1 if best == 0 else 0
    call(library, "realfill", "pick", "roof", str(other))
    assert parse_stages(call(library, "dvc", "repro")) == ["roof blend", "roof export", "gallery"]
    assert chosen(library) == other
    assert parse_stages(call(library, "dvc", "repro")) == []
    change_yaml(library / "params.yaml", "blend", feather=2.5)
    assert parse_stages(call(library, "dvc", "repro")) == ["roof blend", "roof export", "gallery"]
    assert chosen(library) == other
    collection = Collection(library)
    pick = collection.journal.append("roof", "pick", {"candidate": best, "before": other})
    assert call(library, "realfill", "review", "--apply") == "roof: made again\n"
    assert chosen(library) == best
    assert not collection.albums()["roof"].is_outdated(collection.journal.decisions()["roof"])
    assert parse_stages(call(library, "dvc", "repro")) == [], "what the review applied is up to date"
    collection.journal.append("roof", "undo", pick.id)
    assert write_choices(collection) == {}
    call(library, "realfill", "pick", "roof", "best")
    stale = json.loads(call(library, "dvc", "status", "--json"))
    assert set(stale) == {"gallery", *(f"data/albums/roof/dvc.yaml:{stage}" for stage in ("blend", "export"))}
    opened = Library.open(library)
    assert opened.params(opened.album("roof")).blend.candidate == "best"


def test_the_command_takes_a_folder_and_tells_how_to_correct_a_mistake(
    album_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album_folder.parent)
    album = finish(album_folder)
    export.run(album, load_params())

    def run(candidate: str) -> Result:
        return CliRunner().invoke(app, ["pick", album.name, candidate])

    done = run("2")
    assert (done.exit_code, done.stderr) == (0, "Run `realfill complete motorcycle` to deliver it.\n")
    assert open_album(album.root).settings.overrides == {"blend": {"candidate": 2}}
    for number in ("-1", "7"):
        done = run(number)
        assert isinstance(done.exception, RealFillError)
        assert f"There is no candidate '{number}'. Choose one of 0, 1, 2, or best." in str(done.exception)
