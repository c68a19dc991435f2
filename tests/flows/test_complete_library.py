"""Nights of a library: on a real server with two agents, in this process on that server, and without any."""

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from realfill.core.hashing import digest
from realfill.flows.complete_library import complete_library
from realfill.library import quarantine, run_history
from realfill.library.add_album import add_album
from realfill.library.engine import ENGINE, read_engine
from realfill.library.pipeline_files import PIPELINE_FILES, template_path
from realfill.library.repository import PIPELINE, Library
from realfill.library.run_history import HistoryRow
from realfill.review.collection import Collection
from realfill.review.journal import Journal
from support.fleets import Fleet, commit, start_fleet, use_remote
from support.libraries import call, copy_library, environment, make_library, pretend_completed, write_tiny_album
from support.nights import flows_of_this_process, run_night
from support.reviews import log_in, review

GOOD, BROKEN = ("roof", "tower"), ("torn", "whole")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A library after its first night: two good albums, one whose photo is damaged, and one without a hole.

    Two agents work in clones of their own and share nothing with the library but the DVC remote.
    """
    with start_fleet(tmp_path_factory.mktemp("fleet"), *GOOD) as fleet:
        for name in BROKEN:
            _break(add_album(write_tiny_album(fleet.root / "broken" / name), fleet.library))
        commit(fleet.library)
        fleet.start_worker("coordinator", fleet.library, pool="realfill-library")
        for name in ("agent-1", "agent-2"):
            fleet.start_worker(name, fleet.make_agent(name))
        run = fleet.wait(fleet.run("complete-library/library", "shard=2"))
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        yield fleet


def _break(album: Path) -> None:
    target = album / "target" / "target.png"
    if album.name == "torn":
        target.write_bytes(target.read_bytes()[:3000])
    else:
        (album / "target" / "mask.png").unlink()


def complete(fleet: Fleet, **parameters: Any) -> dict[str, Any]:
    """Complete the fleet's library by its agents, as the deployment does it, from this process."""
    with flows_of_this_process(fleet, fleet.library):
        return complete_library(str(fleet.library), **parameters)


def test_every_album_is_completed_once_or_in_quarantine_for_its_own_reason(night: Fleet) -> None:
    library = Library.open(night.library)
    rows = run_history.latest_rows(library)
    assert {name: (row.outcome, row.error) for name, row in rows.items()} == {
        "roof": ("completed", ""),
        "tower": ("completed", ""),
        "torn": ("quarantined", "PhotoError"),
        "whole": ("quarantined", "MaskError"),
    }
    assert {rows[name].worker for name in rows} == {"agent-1", "agent-2"}
    assert night.count_album_runs() == Counter((*GOOD, *BROKEN))
    note = quarantine.read_note(library, "torn")
    assert note is not None
    assert "damaged" in note.reason
    assert str(night.root) not in json.dumps(note.__dict__)


def test_the_coordinating_clone_is_clean_for_dvc_and_committed_to_git(night: Fleet) -> None:
    files = [f"data/albums/{name}/dvc.yaml" for name in GOOD]
    assert "up to date" in night.call("dvc", "status", *files, "dvc.yaml", "data/nights.dvc")
    assert night.call("git", "status", "--porcelain") == ""
    assert night.call("git", "log", "--format=%an %s", "-1").startswith("realfill Night of ")


def test_a_fresh_clone_pulls_every_finished_photo(night: Fleet, tmp_path: Path) -> None:
    clone = tmp_path / "fresh"
    subprocess.run(["git", "clone", "--quiet", str(night.library), str(clone)], check=True)
    use_remote(clone, night.remote)
    call(clone, "dvc", "pull", *(f"data/albums/{name}/dvc.yaml" for name in GOOD), "dvc.yaml", "data/nights.dvc")
    for name in GOOD:
        photo = Path("data") / "albums" / name / "completed" / f"{name}.png"
        assert (clone / photo).read_bytes() == (night.library / photo).read_bytes()
    assert (clone / "data" / "gallery" / "index.html").is_file()
    assert set(run_history.latest_rows(Library.open(clone))) == {*GOOD, *BROKEN}


def test_setting_a_server_up_again_changes_nothing(night: Fleet) -> None:
    def state() -> list[Any]:
        kinds = ("work_pools", "deployments", "automations")
        return [sorted((entry["id"], entry["name"]) for entry in night.query(kind)) for kind in kinds]

    before = state()
    night.call("realfill", "fleet", "up")
    assert state() == before
    assert [name for _, name in before[0]] != []


def test_the_library_is_completed_every_night_one_run_at_a_time(night: Fleet) -> None:
    (library,) = (entry for entry in night.query("deployments") if entry["name"] == "library")
    (schedule,) = library["schedules"]
    assert schedule["slug"] == "nightly"
    assert (library["global_concurrency_limit"]["limit"], library["concurrency_options"]["collision_strategy"]) == (
        1,
        "ENQUEUE",
    )
    properties = library["parameter_openapi_schema"]["properties"]
    assert all(entry.get("description") for entry in properties.values())


def test_every_deployment_finds_its_flow(night: Fleet) -> None:
    flows = {flow["id"]: flow["name"] for flow in night.query("flows")}
    names = {f"{flows[entry['flow_id']]}/{entry['name']}" for entry in night.query("deployments")}
    assert names == {"complete-album/album", "complete-shard/shard", "complete-library/library"}


def test_a_second_night_with_nothing_new_asks_no_agent(night: Fleet) -> None:
    before = night.count_album_runs()
    complete(night, agents=True)
    assert night.count_album_runs() == before
    rows = run_history.latest_rows(Library.open(night.library))
    assert [rows[name].outcome for name in (*GOOD, *BROKEN)] == ["unchanged"] * 2 + ["quarantined"] * 2


def test_a_repaired_album_is_tried_again_and_no_other(night: Fleet) -> None:
    before = night.count_album_runs()
    intact = write_tiny_album(night.root / "repaired" / "torn") / "target" / "target.png"
    shutil.copyfile(intact, night.library / "data" / "albums" / "torn" / "target" / "target.png")
    complete(night, agents=True, share_progress=True)
    assert night.count_album_runs() - before == Counter(["torn"])
    assert not list((Path(night.remote) / "realfill").rglob("*.safetensors"))
    assert run_history.latest_rows(Library.open(night.library))["torn"].outcome == "completed"
    assert quarantine.read_note(Library.open(night.library), "torn") is None
    assert "quarantined -> completed" in night.call("realfill", "history", "torn")


def test_one_machine_needs_no_worker_and_asking_tries_quarantine_again(night: Fleet) -> None:
    result = complete(night, again=True)
    assert (result["completed"], result["quarantined"]) == ([], ["whole"])
    note = quarantine.read_note(Library.open(night.library), "whole")
    assert note is not None
    assert note.attempts == 2


def test_a_photo_that_a_killed_night_recorded_is_told_by_the_next_one(tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library", "first", "second"))
    use_remote(library.root, str(tmp_path / "remote"))
    for name in library.album_names:
        pretend_completed(library, name)
    known = HistoryRow("second", "completed", digest=run_history.read_photo_digest(library, "second"))
    run_history.write_rows(library, "2026-05-01", "010000-a", [HistoryRow("first", "completed", digest="old"), known])
    call(library.root, "realfill", "fleet", "night", PREFECT_HOME=str(tmp_path / "home"))
    assert {name: row.outcome for name, row in run_history.latest_rows(library).items()} == {
        "first": "completed",
        "second": "unchanged",
    }
    output = call(library.root, "realfill", "history", "first")
    assert f"photo: old -> {run_history.read_photo_digest(library, 'first')[:12]}" in output


def test_a_fresh_clone_fetches_what_it_lacks_and_puts_nothing_into_quarantine_for_it(
    night: Fleet, tmp_path: Path
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

    assert "0 quarantined, 1 failed, 0 completed" in run_night(night, fresh.root, status=1)
    row = run_history.latest_rows(fresh)["roof"]
    assert (row.outcome, row.error) == ("failed", "LibraryError")
    assert "dvc pull data/albums/roof/ref.dvc data/albums/roof/target.dvc" in row.reason
    assert not (fresh.folder("roof") / "quarantine.json").exists()

    use_remote(fresh.root, str(tmp_path / "remote"))
    said = run_night(night, fresh.root)
    assert "M\\xf6bel is left out" in said
    assert "gallery is not recorded" not in said
    assert run_history.latest_rows(fresh)["roof"].outcome == "completed"
    assert (fresh.folder("roof") / "target" / "target.png").is_file()


def test_an_album_in_quarantine_is_tried_again_by_hand(night: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library", "first", "second"))
    pretend_completed(library, "first")
    (library.folder("second") / "target" / "mask.png").unlink()
    assert "1 quarantined, 0 failed" in run_night(night, library.root, status=1)
    assert quarantine.is_quarantined(library, "second")
    assert "0 quarantined, 0 failed, 0 completed, 1 unchanged, 1 skipped" in run_night(night, library.root)
    run_night(night, library.root, "second", "--again", status=1)
    note = quarantine.read_note(library, "second")
    assert note is not None
    assert note.attempts == 2
    assert run_history.latest_rows(library)["second"].outcome == "quarantined"


def test_a_night_renews_the_engine_and_says_which_stages_changed(night: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library", "roof"))
    pretend_completed(library, "roof")
    current = read_engine(library)
    (library.root / ENGINE).write_text(yaml.safe_dump(current | {"align": "0" * 16, "rank": "f" * 16}))
    commit(library.root)

    said = f"{ENGINE} is renewed: the code changed of align, rank."
    assert said in run_night(night, library.root)
    assert read_engine(library) == current
    assert call(library.root, "git", "log", "-1", "--format=%b").strip() == said
    assert ENGINE in call(library.root, "git", "show", "--name-only", "--format=").split()
    assert run_history.latest_rows(library)["roof"].outcome == "completed"

    assert ENGINE not in run_night(night, library.root)
    assert call(library.root, "git", "log", "-1", "--format=%b").strip() == ""
    assert ENGINE not in call(library.root, "git", "show", "--name-only", "--format=").split()


def test_a_night_renews_the_pipelines_that_nobody_edited(night: Fleet, tmp_path: Path) -> None:
    library = Library.open(make_library(tmp_path / "library"))
    digests = {}
    for name in PIPELINE_FILES:
        text = (library.root / name).read_text().replace("desc: ", "desc: formerly, ")
        (library.root / name).write_text(f"{text}# an older version\n")
        digests[name] = digest(library.root / name)[:16]
    (library.root / ENGINE).write_text(yaml.safe_dump(read_engine(library) | digests))
    commit(library.root)
    (library.root / "dvc.yaml").write_text((library.root / "dvc.yaml").read_text() + "# mine\n")

    said = run_night(night, library.root)
    assert "dvc.yaml was edited and stays as it is." in said
    assert "# mine" in (library.root / "dvc.yaml").read_text()
    assert (library.root / PIPELINE).read_bytes() == template_path(PIPELINE.as_posix()).read_bytes()
    assert f"{PIPELINE} is renewed" in call(library.root, "git", "log", "-1", "--format=%b")
    committed = call(library.root, "git", "show", "--name-only", "--format=").split()
    assert PIPELINE.as_posix() in committed
    assert "dvc.yaml" not in committed


def test_a_night_applies_what_was_decided_once_and_whatever_is_killed(
    night: Fleet, finished_library: Path, tmp_path: Path
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
    variables = environment(library.root, PREFECT_API_URL=night.api, PREFECT_HOME=str(tmp_path / "home"))
    with subprocess.Popen(command, cwd=library.root, env=variables, stderr=subprocess.DEVNULL) as killed:
        while journal.read_bytes() == decided and killed.poll() is None:
            time.sleep(0.01)
        killed.kill()
    assert [entry.subject for entry in Journal(library.root).read()] == ["pick", "applied"]
    assert Collection(library.root).albums()["roof"].provenance["candidate"] == 1 - other

    assert "0 failed, 1 completed" in run_night(night, library.root)
    photo = Collection(library.root).albums()["roof"]
    assert photo.provenance["candidate"] == other
    assert set(run_history.latest_rows(library)["roof"].seconds) == {"blend", "export"}
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/roof/dvc.yaml", "dvc.yaml")
    assert call(library.root, "git", "status", "--porcelain", "data", "dvc.lock") == ""
    assert journal.relative_to(library.root).as_posix() in call(library.root, "git", "ls-files").split()

    applied = journal.read_bytes()
    assert "0 failed, 0 completed, 1 unchanged" in run_night(night, library.root)
    assert journal.read_bytes() == applied
    assert Collection(library.root).albums()["roof"].provenance == photo.provenance
