"""DVC's records: committing, remotes, and what DVC itself makes of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from realfill.core.atomic_io import MARK
from realfill.core.errors import LibraryError, RemoteError
from realfill.library import work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.pipeline import STAGES
from support.fleets import use_remote
from support.libraries import call, environment, is_up_to_date, parse_stages, pretend_completed


def test_dvc_itself_finds_what_was_committed_up_to_date(library: Library) -> None:
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/first/dvc.yaml")


def test_an_s3_bucket_serves_as_the_remote(library: Library, agent: Library, tmp_path: Path) -> None:
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("dvc_s3")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        httpx.put(f"{address}/albums").raise_for_status()
        for clone in (library.root, agent.root):
            use_remote(clone, "s3://albums/library")
            with (clone / ".dvc" / "config.local").open("a") as file:
                file.write(f"    endpointurl = {address}\n    access_key_id = a\n    secret_access_key = b\n")
        _exchange_album(agent, library, tmp_path)
    finally:
        server.stop()


def _exchange_album(agent: Library, library: Library, tmp_path: Path) -> None:
    """Push the photos, pretend to complete the album in the agent's clone, and pull the results."""
    with open_dvc_state(library.root, *library.dvc_files("first")) as state:
        state.push()
    context = work_orders.shared_context(library)
    work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", context), context)
    with open_dvc_state(agent.root, *agent.dvc_files("first")) as state:
        state.pull()
    pretend_completed(agent, "first")
    with agent.album_state("first") as state:
        state.push()
        assert state.is_pushed()
        state.upload_file(agent.pipeline_file("first"), "first/order/dvc.yaml")
        state.download_folder("first/order", tmp_path / "received")
        state.delete_folder("first")
        state.download_folder("first/order", tmp_path / "nothing")
    assert (tmp_path / "received" / "dvc.yaml").is_file()
    assert not (tmp_path / "nothing").exists()
    shutil.rmtree(library.folder("first") / "completed")
    shutil.rmtree(library.root / ".dvc" / "cache")
    work_orders.pull_results(library, "first", (agent.folder("first") / "dvc.lock").read_text())
    assert (library.folder("first") / "completed" / "first.png").read_bytes() == b"first"


@pytest.mark.parametrize("blocked", ["remote", "remote/files"], ids=["absent", "read-only"])
def test_a_remote_that_cannot_be_used_is_an_error_and_nothing_is_lost(library: Library, blocked: str) -> None:
    blocker = library.root.parent / blocked
    shutil.rmtree(blocker, ignore_errors=True)
    blocker.write_text("a file, so that not even root can write into it")
    with library.album_state("first") as state, pytest.raises(RemoteError, match="dvc push"):
        state.push()
    blocker.unlink()
    blocker.mkdir()
    with library.album_state("first") as state:
        state.push()
        assert state.is_pushed()


def test_checkpoints_are_exchanged_through_the_remote(library: Library, agent: Library, tmp_path: Path) -> None:
    pretend_completed(library, "first")
    checkpoint = tmp_path / "tuning.safetensors"
    checkpoint.write_bytes(b"weights")
    with library.album_state("first") as state:
        state.upload_file(checkpoint, "first/order/work/.checkpoints/key/tuning.safetensors")
        state.upload_file(library.folder("first") / "dvc.lock", "first/order/dvc.lock")
    with open_dvc_state(agent.root) as state:
        state.download_folder("first/order", tmp_path / "album")
        state.download_folder("second/order", tmp_path / "nothing")
        state.delete_folder("first")
        state.download_folder("first/order", tmp_path / "nothing")
    assert (tmp_path / "album" / "work" / ".checkpoints" / "key" / "tuning.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "album" / "dvc.lock").is_file()
    assert not (tmp_path / "nothing").exists()


def test_processes_that_commit_at_the_same_time_wait_for_each_other(library: Library) -> None:
    for album in ("first", "second"):
        (library.folder(album) / "dvc.lock").unlink()
    code = (
        "import sys; from pathlib import Path; from realfill.library.repository import Library\n"
        "library = Library.open(Path()); name = sys.argv[1]\n"
        "with library.album_state(name) as state:\n"
        "    for stage in sys.argv[2:]: state.commit(library.pipeline_file(name), stage)"
    )
    names = [stage.name for stage in STAGES]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, album, *names], cwd=library.root, env=environment(library.root))
        for album in ("first", "second")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    files = [f"data/albums/{album}/dvc.yaml" for album in ("first", "second")]
    assert parse_stages(call(library.root, "dvc", "repro", *files)) == []


def test_a_changed_photo_is_committed_as_dvc_does(library: Library) -> None:
    album = library.album("first")
    assert is_up_to_date(library, "first", "validate")
    shutil.copyfile(album.target, album.references[0].with_name("another.png"))
    assert not is_up_to_date(library, "first", "validate")
    library.commit_photos("first")
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/first/ref.dvc")


def test_committing_one_stage_leaves_the_others_records_as_they_are(library: Library) -> None:
    lock = library.folder("first") / "dvc.lock"
    before = lock.read_text()
    with library.album_state("first") as state:
        state.commit(library.pipeline_file("first"), "blend")
    assert lock.read_text() == before


def test_outputs_that_were_removed_are_pulled_again(library: Library) -> None:
    with library.album_state("first") as state:
        state.push()
        state.remove_outputs()
        assert not (library.folder("first") / "ref").exists()
        state.pull()
        assert state.all_up_to_date()
    assert (library.folder("first") / "ref" / "left.png").is_file()


def test_a_clone_without_a_remote_says_how_to_add_one(library: Library) -> None:
    (library.root / ".dvc" / "config.local").unlink()
    with library.album_state("first") as state:
        assert not state.has_remote
        with pytest.raises(RemoteError, match="dvc remote add"):
            state.push()


def test_half_of_a_lock_file_is_named(library: Library) -> None:
    (library.folder("first") / "dvc.lock").write_text("stages:\n  blend: {")
    with pytest.raises(LibraryError, match=r"dvc\.lock"), library.album_state("first"):
        pass


def test_a_folder_that_is_no_dvc_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="dvc init"), open_dvc_state(tmp_path):
        pass


def test_outputs_that_dvc_finds_as_committed_get_the_mark_that_an_earlier_version_did_not_write(
    library: Library,
) -> None:
    marks = {}
    for stage, change in (("align", False), ("rank", True)):
        folder = library.folder("first") / "work" / stage
        (folder / MARK).unlink(missing_ok=True)
        with library.album_state("first") as state:
            state.commit(library.pipeline_file("first"), stage)
        if change:
            (folder / "own.txt").write_text("a file of the user's")
        with library.album_state("first") as state:
            state.adopt_outputs(library.pipeline_file("first"), stage)
        marks[stage] = (folder / MARK).is_file()
    assert marks == {"align": True, "rank": False}
