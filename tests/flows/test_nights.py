"""Nights of a library by one machine on a real server, in this process; test_wheel.py has one without any server."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from realfill.core.hashing import digest
from realfill.core.worker_processes import answer_side_by_side
from realfill.flows import complete_here
from realfill.flows.complete_library import record_outcome
from realfill.library import quarantine, run_history
from realfill.library.engine import ENGINE, read_engine
from realfill.library.pipeline_files import PIPELINE_FILES, template_path
from realfill.library.repository import PIPELINE, Library
from realfill.library.run_history import HistoryRow
from realfill.library.staleness import FreshnessCache
from realfill.review.collection import Collection
from realfill.review.journal import Journal
from support.fleets import Fleet, commit, use_remote
from support.libraries import call, copy_library, environment, make_library, pretend_completed
from support.nights import run_night
from support.reviews import log_in, review


def test_a_photo_that_a_killed_night_recorded_is_told_by_the_next_one(prefect_server: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library", "first", "second"))
    use_remote(library.root, str(tmp_path / "remote"))
    for name in library.album_names:
        pretend_completed(library, name)
    known = HistoryRow("second", "completed", digest=run_history.read_photo_digest(library, "second"))
    run_history.write_rows(library, "2026-05-01", "010000-a", [HistoryRow("first", "completed", digest="old"), known])
    run_night(prefect_server, library.root)
    assert {name: row.outcome for name, row in run_history.latest_rows(library).items()} == {
        "first": "completed",
        "second": "unchanged",
    }
    output = call(library.root, "realfill", "history", "first")
    assert f"photo: old -> {run_history.read_photo_digest(library, 'first')[:12]}" in output

    quiet = call(library.root, "realfill", "fleet", "night", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert quiet == "0 quarantined, 0 failed, 0 completed, 2 unchanged, 0 skipped\n"  # no server is needed for that
    assert {row.outcome for row in run_history.latest_rows(library).values()} == {"unchanged"}
    assert "up to date" in call(library.root, "dvc", "status", "data/nights.dvc")


def test_an_album_that_was_removed_while_an_agent_worked_on_it_stays_removed(
    tmp_path: Path,
) -> None:
    library = Library.open(make_library(tmp_path / "library", "roof"))
    shutil.rmtree(library.folder("roof"))
    outcome = {"album": "roof", "outcome": "completed", "lock": "schema: '2.0'\n"}
    row = record_outcome.fn(library, FreshnessCache.read(library), "2026-05-01", outcome, from_agent=True)
    assert row.outcome == "failed"
    assert "removed while it was worked on" in row.reason
    assert not library.folder("roof").exists()


def test_an_empty_library_needs_no_server(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library")
    quiet = call(root, "realfill", "fleet", "night", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert quiet == "0 quarantined, 0 failed, 0 completed, 0 unchanged, 0 skipped\n"


def test_a_fresh_clone_fetches_what_it_lacks_and_puts_nothing_into_quarantine_for_it(
    prefect_server: Fleet, tmp_path: Path
) -> None:
    origin = Library.open(make_library(tmp_path / "library", "roof"))
    use_remote(origin.root, str(tmp_path / "remote"))
    pretend_completed(origin, "roof")
    with origin.album_state("roof") as state:
        state.push()
    commit(origin.root)
    subprocess.run(["git", "clone", "--quiet", str(origin.root), str(tmp_path / "fresh")], check=True)
    fresh = Library.open(tmp_path / "fresh")
    strange = fresh.albums_folder / os.fsdecode(b"M\xf6bel")
    strange.mkdir()
    shutil.copy(fresh.pipeline_file("roof"), strange / "dvc.yaml")

    assert "0 quarantined, 1 failed, 0 completed" in run_night(prefect_server, fresh.root, status=1)
    row = run_history.latest_rows(fresh)["roof"]
    assert (row.outcome, row.error) == ("failed", "LibraryError")
    assert "dvc pull data/albums/roof/ref.dvc data/albums/roof/target.dvc" in row.reason
    assert not (fresh.folder("roof") / "quarantine.json").exists()

    use_remote(fresh.root, str(tmp_path / "remote"))
    said = run_night(prefect_server, fresh.root)
    assert "M\\xf6bel is left out" in said
    assert "gallery is not recorded" not in said
    assert run_history.latest_rows(fresh)["roof"].outcome == "completed"
    assert (fresh.folder("roof") / "target" / "target.png").is_file()


def test_albums_are_worked_on_side_by_side_and_one_in_quarantine_is_tried_again_by_hand(
    prefect_server: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: list[int] = []

    def answer(*arguments: Any, **more: Any) -> Iterator[Any]:
        for outcomes in answer_side_by_side(*arguments, **more):
            processes.append(len(multiprocessing.active_children()))
            yield outcomes

    monkeypatch.setattr(complete_here, "answer_side_by_side", answer)
    library = Library.open(make_library(tmp_path / "library", "first", "second", "third"))
    pretend_completed(library, "first")
    for name in ("second", "third"):
        (library.folder(name) / "target" / "mask.png").unlink()
    assert "2 quarantined, 0 failed" in run_night(prefect_server, library.root, "--jobs", "2", status=1)
    assert processes[-1] == 2
    assert quarantine.is_quarantined(library, "second")
    assert "0 quarantined, 0 failed, 0 completed, 1 unchanged, 2 skipped" in run_night(prefect_server, library.root)
    run_night(prefect_server, library.root, "second", "--again", status=1)
    note = quarantine.read_note(library, "second")
    assert note is not None
    assert note.attempts == 2
    assert run_history.latest_rows(library)["second"].outcome == "quarantined"


def test_a_night_renews_the_engine_and_says_which_stages_changed(prefect_server: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library", "roof"))
    pretend_completed(library, "roof")
    current = read_engine(library)
    (library.root / ENGINE).write_text(yaml.safe_dump(current | {"align": "0" * 16, "rank": "f" * 16}))
    commit(library.root)

    said = f"{ENGINE} is renewed: the code changed of align, rank."
    assert said in run_night(prefect_server, library.root)
    assert read_engine(library) == current
    assert call(library.root, "git", "log", "-1", "--format=%b").strip() == said
    assert ENGINE in call(library.root, "git", "show", "--name-only", "--format=").split()
    assert run_history.latest_rows(library)["roof"].outcome == "completed"

    assert ENGINE not in run_night(prefect_server, library.root)
    assert call(library.root, "git", "log", "-1", "--format=%b").strip() == ""
    assert ENGINE not in call(library.root, "git", "show", "--name-only", "--format=").split()


def test_a_night_renews_the_pipelines_that_nobody_edited(prefect_server: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library"))
    digests = {}
    for name in PIPELINE_FILES:
        text = (library.root / name).read_text().replace("desc: ", "desc: formerly, ")
        (library.root / name).write_text(f"{text}# an older version\n")
        digests[name] = digest(library.root / name)[:16]
    (library.root / ENGINE).write_text(yaml.safe_dump(read_engine(library) | digests))
    commit(library.root)
    (library.root / "dvc.yaml").write_text((library.root / "dvc.yaml").read_text() + "# mine\n")

    said = run_night(prefect_server, library.root)
    assert "dvc.yaml was edited and stays as it is." in said
    assert "# mine" in (library.root / "dvc.yaml").read_text()
    assert (library.root / PIPELINE).read_bytes() == template_path(PIPELINE.as_posix()).read_bytes()
    assert f"{PIPELINE} is renewed" in call(library.root, "git", "log", "-1", "--format=%b")
    committed = call(library.root, "git", "show", "--name-only", "--format=").split()
    assert PIPELINE.as_posix() in committed
    assert "dvc.yaml" not in committed


def test_a_night_applies_what_was_decided_once_and_whatever_is_killed(
    prefect_server: Fleet, finished_library: Path, tmp_path: Path
) -> None:
    library = Library.open(copy_library(finished_library, tmp_path / "library"))
    finished = Collection(library.root).albums()["roof"]
    other = 1 - finished.provenance["candidate"]
    with review(library.root) as (address, app), log_in(address) as client:
        entry = {"id": uuid.uuid4().hex, "album": "roof", "photo": finished.provenance["digest"]}
        entry |= {"subject": "pick", "value": {"candidate": other}}
        assert client.post("/api/decisions", json=entry).status_code == 200
        app.kill()
    journal = library.albums_folder.parent / ".review" / "journal.jsonl"
    decided = journal.read_bytes()

    command = [sys.executable, "-m", "realfill", "fleet", "night"]
    variables = environment(library.root, PREFECT_API_URL=prefect_server.api, PREFECT_HOME=str(tmp_path / "home"))
    with subprocess.Popen(command, cwd=library.root, env=variables, stderr=subprocess.DEVNULL) as killed:
        while journal.read_bytes() == decided and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
    assert [entry.subject for entry in Journal(library.root).read()] == ["pick", "applied"]
    assert Collection(library.root).albums()["roof"].provenance["candidate"] == 1 - other

    assert "0 failed, 1 completed" in run_night(prefect_server, library.root)
    photo = Collection(library.root).albums()["roof"]
    assert photo.provenance["candidate"] == other
    assert set(run_history.latest_rows(library)["roof"].seconds) == {"blend", "export"}
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/roof/dvc.yaml", "dvc.yaml")
    assert call(library.root, "git", "status", "--porcelain", "data", "dvc.lock") == ""
    assert journal.relative_to(library.root).as_posix() in call(library.root, "git", "ls-files").split()

    applied = journal.read_bytes()
    assert "0 failed, 0 completed, 1 unchanged" in run_night(prefect_server, library.root)
    assert journal.read_bytes() == applied
    assert Collection(library.root).albums()["roof"].provenance == photo.provenance
