"""Nights of a library: on a real server with two agents, in this process on that server, and without any."""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realfill.flows.complete_library import complete_library
from realfill.library import quarantine, run_history
from realfill.library.add_album import add_album
from realfill.library.repository import Library
from realfill.pipeline import STAGES
from support.fleets import Fleet, commit, start_fleet, use_remote
from support.libraries import call, write_tiny_album
from support.nights import flows_of_this_process

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


def test_an_agent_completes_an_album_that_is_asked_for(night: Fleet) -> None:
    for name in ("agent-1", "agent-2"):
        call(night.root / name, "dvc", "pull", *(f"data/albums/roof/{part}.dvc" for part in ("ref", "target")))
    run = night.wait(night.run("complete-album/album", "album=roof", "gallery=false"))
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    tasks = night.tasks(run["id"], len(STAGES))
    assert [task["name"] for task in tasks] == [stage.name for stage in STAGES]
    assert {task["state_name"] for task in tasks} <= {"Completed", "Cached"}
    assert any(
        list((night.root / name / "data/albums/roof/completed").glob("*.png")) for name in ("agent-1", "agent-2")
    )


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
