"""What a library remembers of its nights: orders, seals, quarantine, table, disk space."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from realfill.core.errors import LibraryError, RemoteError, SpaceError, TransientError
from realfill.core.hashing import digest
from realfill.library import disk_space, quarantine, run_history, work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.run_history import Row
from realfill.library.staleness import Seals
from support.fleets import use_remote
from support.libraries import call, change_yaml, make_library, pretend_completed


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose two albums DVC finds up to date."""
    root = make_library(tmp_path_factory.mktemp("finished") / "library", "first", "second")
    library = Library.open(root)
    for name in library.albums:
        pretend_completed(library, name)
    return root


@pytest.fixture
def library(finished: Path, tmp_path: Path) -> Library:
    """A copy of it, with an empty remote."""
    root = Path(shutil.copytree(finished, tmp_path / "library", symlinks=True))
    use_remote(root, str(tmp_path / "remote"))
    return Library.open(root)


@pytest.fixture
def agent(library: Library, tmp_path: Path) -> Library:
    """A clone with neither photos nor results, nor the albums' own files: they were never committed."""
    root = tmp_path / "agent"
    names = ("realfill", "flows", "models", "pipelines", "params.yaml", "dvc.yaml", ".dvcignore")
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    (root / ".dvc").mkdir()
    (root / "data" / "albums").mkdir(parents=True)
    for name in names:
        subprocess.run(["cp", "-a", library.root / name, root / name], check=True)
    for name in (".dvc/config", ".dvc/.gitignore", "data/.gitignore"):
        shutil.copy(library.root / name, root / name)
    use_remote(root, str(tmp_path / "remote"))
    return Library.open(root)


def test_dvc_itself_finds_what_was_recorded_up_to_date(library: Library) -> None:
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/first/dvc.yaml")


def test_an_untouched_album_is_not_stale_and_a_touched_one_is_looked_at_again(library: Library) -> None:
    seals = Seals.of(library)
    assert list(seals.stale(library.albums)) == []
    seals.write(library.albums)
    photo = library.folder("first") / "ref" / "left.png"
    photo.write_bytes(photo.read_bytes() + b"\0")
    again = Seals.of(library)
    assert (again.holds("first"), again.holds("second")) == (False, True)
    assert list(again.stale(library.albums)) == ["first"]


def test_a_parameter_breaks_every_seal_but_calls_only_for_what_depends_on_it(library: Library) -> None:
    seals = Seals.of(library)
    assert list(seals.stale(library.albums)) == []
    seals.write(library.albums)
    change_yaml(library.root / "data" / "albums" / "second" / "album.yaml", "blend", feather=3)
    text = (library.root / "params.yaml").read_text()
    (library.root / "params.yaml").write_text(text + "# a remark\n")
    again = Seals.of(library)
    assert not again.holds("first")
    assert list(again.stale(library.albums)) == ["second"]
    assert again.holds("first")


def test_an_agent_without_a_shared_disk_gets_the_photos_and_gives_the_results_back(
    library: Library, agent: Library
) -> None:
    (library.folder("first") / "dvc.lock").unlink()
    terms = work_orders.shared_context(library)
    wanted = work_orders.make_work_order(library, "first", terms)
    with open_dvc_state(library.root, *library.photos("first")) as known:
        known.push()
    assert work_orders.apply_work_order(agent, wanted, terms)
    with agent.tracked("first") as known:
        known.pull()
    target = Path("target") / "target.png"
    assert digest(agent.folder("first") / target) == digest(library.folder("first") / target)
    pretend_completed(agent, "first")
    with agent.tracked("first") as known:
        known.push()
    shutil.rmtree(library.folder("first") / "completed")
    work_orders.take_lock(library, "first", (agent.folder("first") / "dvc.lock").read_text())
    assert (library.folder("first") / "completed" / "first.png").read_bytes() == b"first"
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/first/dvc.yaml")
    assert list((agent.root.parent / "remote" / "runs").rglob("*"))  # the run-cache went with them


def test_the_same_order_is_answered_without_work_and_another_one_is_not(library: Library, agent: Library) -> None:
    terms = work_orders.shared_context(library)
    wanted = work_orders.make_work_order(library, "first", terms)
    assert work_orders.apply_work_order(agent, wanted, terms)
    assert work_orders.kept_outcome(agent, wanted) is None
    assert not work_orders.apply_work_order(agent, wanted, terms)
    work_orders.keep_outcome(agent, wanted, {"album": "first"})
    assert work_orders.kept_outcome(agent, wanted) == {"album": "first"}
    assert work_orders.kept_outcome(agent, work_orders.make_work_order(library, "first", terms, attempt=2)) is None
    change_yaml(library.root / "params.yaml", "blend", feather=3)
    assert (
        work_orders.kept_outcome(
            agent, work_orders.make_work_order(library, "first", work_orders.shared_context(library))
        )
        is None
    )


def test_an_interrupted_order_keeps_what_the_agent_has_done(library: Library, agent: Library) -> None:
    (library.folder("first") / "dvc.lock").unlink()
    terms = work_orders.shared_context(library)
    wanted = work_orders.make_work_order(library, "first", terms)
    work_orders.apply_work_order(agent, wanted, terms)
    (agent.folder("first") / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    work_orders.apply_work_order(agent, wanted, terms)
    assert (agent.folder("first") / "dvc.lock").is_file()


def test_a_clone_of_another_version_refuses_the_order_and_changes_nothing(library: Library, agent: Library) -> None:
    weights = next((agent.root / "models").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes() + b"\0")
    terms = work_orders.shared_context(library)
    with pytest.raises(TransientError, match="same commit"):
        work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", terms), terms)
    assert agent.albums == []


@pytest.mark.parametrize("name", ["../../escape", "..", "/etc/passwd", "a/b"])
def test_an_order_cannot_lead_out_of_the_library(library: Library, agent: Library, name: str) -> None:
    terms = work_orders.shared_context(library)
    wanted = work_orders.make_work_order(library, "first", terms) | {"album": name}
    with pytest.raises(LibraryError, match="cannot be the name"):
        work_orders.apply_work_order(agent, wanted, terms)


def test_the_clone_that_asks_changes_nothing_of_its_own(library: Library) -> None:
    terms = work_orders.shared_context(library)
    wanted = work_orders.make_work_order(library, "first", terms)
    (library.folder("first") / "album.yaml").write_text("{}\n")
    assert not work_orders.apply_work_order(library, wanted, terms)
    assert (library.folder("first") / "album.yaml").read_text() == "{}\n"


def test_quarantine_ends_when_the_photos_the_settings_or_the_parameters_change(library: Library) -> None:
    note = quarantine.Note("PhotoError", "Broken.", ("a line",), quarantine.inputs(library, "first"), "2026-05-01")
    quarantine.write(library, "first", note)
    assert quarantine.read(library, "first") == note
    assert quarantine.holds(library, "first")
    assert not quarantine.holds(library, "second")
    settings = library.folder("first") / "album.yaml"
    text = settings.read_text()
    settings.write_text(text + "# a remark\n")
    assert not quarantine.holds(library, "first")
    settings.write_text(text)
    assert quarantine.holds(library, "first")
    photo = library.folder("first") / "target" / "target.png"
    photo.write_bytes(photo.read_bytes() + b"\0")
    library.record_photos("first")
    assert not quarantine.holds(library, "first")


def test_the_table_tells_the_last_of_every_album_and_what_changed(library: Library) -> None:
    row = Row("first", "completed", digest="aa", scores={"rank.score": 1.0}, seconds={"finetune": 3.5}, worker="w")
    bad = Row("second", "quarantined", "PhotoError", "Broken.")
    run_history.write(library, "2026-05-01", "010000-a", [row, bad, Row("gone", "completed")])
    run_history.write(library, "2026-05-02", "010000-b", [row.unchanged(), bad])
    better = replace(row, digest="bb", scores={"rank.score": 2.0})
    run_history.write(library, "2026-05-03", "010000-c", [better])
    last = run_history.latest(library)
    assert last == {"first": replace(better, night="2026-05-03"), "second": replace(bad, night="2026-05-02")}
    assert [one.album for one in run_history.in_order(last.values())] == ["second", "first"]
    history = run_history.history(library, "first")
    assert [(one.night, lines) for one, lines in history] == [
        ("2026-05-01", []),
        ("2026-05-03", ["photo: aa -> bb", "rank.score: 1 -> 2"]),
    ]


def test_a_photo_that_a_killed_night_took_in_is_told_by_the_next_one(library: Library) -> None:
    known = Row("second", "completed", digest=run_history.delivered(library, "second"))
    run_history.write(library, "2026-05-01", "010000-a", [Row("first", "completed", digest="old"), known])
    call(
        library.root, sys.executable, "-c", "from flows.complete_library import complete_library; complete_library()"
    )
    assert {name: row.outcome for name, row in run_history.latest(library).items()} == {
        "first": "completed",
        "second": "unchanged",
    }
    told = call(library.root, "realfill", "history", "first")
    assert f"photo: old -> {run_history.delivered(library, 'first')[:12]}" in told


def test_the_gallery_tells_of_a_failure_though_no_album_changed(library: Library) -> None:
    library.update_gallery()
    failed = {"album": library.albums[0], "outcome": "failed", "reason": "The remote is away."}
    library.update_gallery([failed])
    assert "The remote is away." in (library.root / "data" / "gallery" / "index.html").read_text()
    with open_dvc_state(library.root, library.root / "dvc.yaml") as known:
        assert known.is_current(library.root / "dvc.yaml", "gallery")


def test_the_table_is_a_dataset_that_others_can_read(library: Library) -> None:
    import pyarrow.dataset as ds

    run_history.write(library, "2026-05-01", "a", [Row("first", "completed", seconds={"finetune": 3.5})])
    table = ds.dataset(run_history.folder(library), partitioning="hive").to_table().to_pylist()
    assert [(row["album"], str(row["night"]), dict(row["seconds"])) for row in table] == [
        ("first", "2026-05-01", {"finetune": 3.5})
    ]


def test_a_result_names_photo_digest_and_every_number_of_the_metrics(library: Library) -> None:
    folder = library.folder("first")
    (folder / "work" / "rank" / "metrics.json").write_text('{"score": 2.5, "matcher": "sift", "sure": true}')
    found = run_history.result(library.album("first"))
    assert found["photo"] == "completed/first.png"
    assert found["digest"] == digest(folder / "completed" / "first.png")
    assert found["scores"] == {"rank.score": 2.5}


def test_too_little_space_is_told_before_the_album_starts(library: Library) -> None:
    disk_space.check(library, "first")
    file = library.folder("first") / "ref.dvc"
    document = yaml.safe_load(file.read_text())
    document["outs"][0]["size"] = 10**15
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(SpaceError, match="realfill gc"):
        disk_space.check(library, "first")


def test_gc_without_a_remote_removes_leftovers_alone(library: Library) -> None:
    (library.root / ".dvc" / "config.local").unlink()
    work = library.folder("first") / "work"
    leftovers = [work / ".checkpoints" / "x", work / ".blend.partial", library.folder("first") / ".completed.partial"]
    for folder in leftovers:
        folder.mkdir(parents=True)
    objects = sorted((library.root / ".dvc" / "cache").rglob("*"))
    freed = disk_space.collect(library, albums=False)
    assert freed.leftovers == 3
    assert not any(folder.exists() for folder in leftovers)
    assert sorted((library.root / ".dvc" / "cache").rglob("*")) == objects
    assert list(Seals.of(library).stale(library.albums)) == []


def test_gc_keeps_the_checkpoints_of_an_album_that_is_not_finished(library: Library) -> None:
    shutil.rmtree(library.folder("first") / "completed")
    checkpoint = library.folder("first") / "work" / ".checkpoints" / "x"
    checkpoint.mkdir(parents=True)
    disk_space.collect(library)
    assert checkpoint.is_dir()


def test_gc_removes_albums_and_old_objects_only_where_the_remote_has_them(library: Library) -> None:
    with library.tracked("first") as known:
        known.push()
    settings = library.folder("second") / "work" / "blend" / "blend.txt"
    settings.write_text("another blend")
    pretend_completed(library, "second")
    cached = library.root / ".dvc" / "cache" / "files"
    before = sum(path.is_file() for path in cached.rglob("*"))
    freed = disk_space.collect(library, albums=True)
    assert freed.albums == ("first",)
    assert not (library.folder("first") / "completed").exists()
    assert (library.folder("second") / "completed").is_dir()
    assert sum(path.is_file() for path in cached.rglob("*")) <= before
    files = [str(path) for path in (library.pipeline("first"), *library.photos("first"))]
    call(library.root, "dvc", "pull", *files)
    assert "up to date" in call(library.root, "dvc", "status", *files)


def test_a_bucket_serves_as_the_remote(library: Library, agent: Library, tmp_path: Path) -> None:
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
        _complete_at(agent, library, tmp_path)
    finally:
        server.stop()


def _complete_at(agent: Library, library: Library, tmp_path: Path) -> None:
    """Send the photos, pretend to complete the album at the agent's, and take the results in."""
    with open_dvc_state(library.root, *library.photos("first")) as known:
        known.push()
    terms = work_orders.shared_context(library)
    work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", terms), terms)
    with open_dvc_state(agent.root, *agent.photos("first")) as known:
        known.pull()
    pretend_completed(agent, "first")
    with agent.tracked("first") as known:
        known.push()
        assert known.is_whole_on_remote()
        known.send(agent.pipeline("first"), "first/order/dvc.yaml")
        known.receive("first/order", tmp_path / "received")
        known.forget("first")
        known.receive("first/order", tmp_path / "nothing")
    assert (tmp_path / "received" / "dvc.yaml").is_file()
    assert not (tmp_path / "nothing").exists()
    shutil.rmtree(library.folder("first") / "completed")
    shutil.rmtree(library.root / ".dvc" / "cache")
    work_orders.take_lock(library, "first", (agent.folder("first") / "dvc.lock").read_text())
    assert (library.folder("first") / "completed" / "first.png").read_bytes() == b"first"


@pytest.mark.parametrize("blocked", ["remote", "remote/files"], ids=["away", "not to be written"])
def test_a_remote_that_cannot_be_used_is_told_and_nothing_is_lost(library: Library, blocked: str) -> None:
    place = library.root.parent / blocked
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("no folder, even root cannot write into it")
    with library.tracked("first") as known, pytest.raises(RemoteError, match="dvc push"):
        known.push()
    place.unlink()
    place.mkdir()
    with library.tracked("first") as known:
        known.push()
        assert known.is_whole_on_remote()


def test_checkpoints_travel_by_the_remote(library: Library, agent: Library, tmp_path: Path) -> None:
    pretend_completed(library, "first")
    checkpoint = tmp_path / "tuning.safetensors"
    checkpoint.write_bytes(b"weights")
    with library.tracked("first") as known:
        known.send(checkpoint, "first/order/work/.checkpoints/key/tuning.safetensors")
        known.send(library.folder("first") / "dvc.lock", "first/order/dvc.lock")
    with open_dvc_state(agent.root) as known:
        known.receive("first/order", tmp_path / "album")
        known.receive("second/order", tmp_path / "nothing")
        known.forget("first")
        known.receive("first/order", tmp_path / "nothing")
    assert (tmp_path / "album" / "work" / ".checkpoints" / "key" / "tuning.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "album" / "dvc.lock").is_file()
    assert not (tmp_path / "nothing").exists()


def test_status_and_history_are_printed(library: Library) -> None:
    run_history.write(library, "2026-05-01", "a", [Row("first", "quarantined", "MaskError", "There is no hole.")])
    run_history.write(library, "2026-05-02", "a", [Row("first", "completed", digest="aa")])
    assert "first" in call(library.root, "realfill", "status", COLUMNS="200")
    told = call(library.root, "realfill", "history", "first", COLUMNS="200")
    assert "quarantined -> completed" in told
    assert json.dumps(told).count("2026-05-0") == 2
