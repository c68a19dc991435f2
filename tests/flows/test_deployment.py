"""A night of a library on a real server: two agents in clones of their own, nothing shared but the DVC remote."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realfill.library import quarantine, run_history
from realfill.library.repository import Library, add
from support.fleets import Fleet, commit, fleet, use_remote
from support.libraries import call, write_tiny_album

GOOD, BROKEN = ("roof", "tower"), ("torn", "whole")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A library after its first night: two albums, one whose photo is damaged, and one without a hole."""
    with fleet(tmp_path_factory.mktemp("fleet"), *GOOD) as made:
        for name in BROKEN:
            _break(add(write_tiny_album(made.root / "broken" / name), made.library))
        commit(made.library)
        made.start_worker("coordinator", made.library, pool="realfill-library")
        for name in ("agent-1", "agent-2"):
            made.start_worker(name, made.agent(name))
        _complete(made, "shard=2")
        yield made


def _break(album: Path) -> None:
    target = album / "target" / "target.png"
    if album.name == "torn":
        target.write_bytes(target.read_bytes()[:3000])
    else:
        (album / "target" / "mask.png").unlink()


def _complete(made: Fleet, *params: str) -> dict[str, Any]:
    run = made.wait(made.run("complete-library/library", *params))
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    return run


def _album_runs(made: Fleet) -> Counter[str]:
    flows = {flow["id"]: flow["name"] for flow in made.find("flows")}
    return Counter(run["name"] for run in made.find("flow_runs") if flows[run["flow_id"]] == "complete-album")


def test_every_album_is_completed_once_or_in_quarantine_for_its_own_reason(night: Fleet) -> None:
    library = Library.open(night.library)
    rows = run_history.latest(library)
    assert {name: (row.outcome, row.error) for name, row in rows.items()} == {
        "roof": ("completed", ""),
        "tower": ("completed", ""),
        "torn": ("quarantined", "PhotoError"),
        "whole": ("quarantined", "MaskError"),
    }
    assert {rows[name].worker for name in rows} == {"agent-1", "agent-2"}
    assert _album_runs(night) == Counter((*GOOD, *BROKEN))
    note = quarantine.read(library, "torn")
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
    assert set(run_history.latest(Library.open(clone))) == {*GOOD, *BROKEN}


def test_a_second_night_with_nothing_new_asks_no_agent(night: Fleet) -> None:
    before = _album_runs(night)
    _complete(night)
    assert _album_runs(night) == before
    rows = run_history.latest(Library.open(night.library))
    assert [rows[name].outcome for name in (*GOOD, *BROKEN)] == ["unchanged"] * 2 + ["quarantined"] * 2


def test_a_mended_album_is_tried_again_and_no_other(night: Fleet) -> None:
    before = _album_runs(night)
    intact = write_tiny_album(night.root / "mended" / "torn") / "target" / "target.png"
    shutil.copyfile(intact, night.library / "data" / "albums" / "torn" / "target" / "target.png")
    _complete(night, "share_progress=true")
    assert _album_runs(night) - before == Counter(["torn"])
    assert not list((Path(night.remote) / "realfill").rglob("*.safetensors"))
    assert run_history.latest(Library.open(night.library))["torn"].outcome == "completed"
    assert quarantine.read(Library.open(night.library), "torn") is None
    assert "quarantined -> completed" in night.call("realfill", "history", "torn")


def test_one_machine_needs_no_worker_and_asking_tries_quarantine_again(night: Fleet) -> None:
    code = "import json; from flows.complete_library import complete_library; print(json.dumps(complete_library(again=True)))"
    told = json.loads(night.call(sys.executable, "-c", code).splitlines()[-1])
    assert (told["completed"], told["quarantined"]) == ([], ["whole"])
    note = quarantine.read(Library.open(night.library), "whole")
    assert note is not None
    assert note.attempts == 2


def test_setting_up_again_changes_nothing(night: Fleet) -> None:
    def state() -> list[Any]:
        kinds = ("work_pools", "deployments", "automations")
        return [sorted((entry["id"], entry["name"]) for entry in night.find(kind)) for kind in kinds]

    before = state()
    night.call("realfill", "fleet", "up")
    assert state() == before
    assert [name for _, name in before[0]] != []
    (library,) = (entry for entry in night.find("deployments") if entry["name"] == "library")
    (schedule,) = library["schedules"]
    assert schedule["slug"] == "nightly"
    assert (library["global_concurrency_limit"]["limit"], library["concurrency_options"]["collision_strategy"]) == (
        1,
        "ENQUEUE",
    )
    properties = library["parameter_openapi_schema"]["properties"]
    assert all(entry.get("description") for entry in properties.values())
