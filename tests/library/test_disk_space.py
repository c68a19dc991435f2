"""Disk space: checked before an album begins, and freed."""

import shutil

import pytest
import yaml
from filelock import FileLock

from realfill.core.errors import SpaceError
from realfill.library import disk_space
from realfill.library.disk_space import DiskSpaceSettings
from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from support.libraries import call, pretend_completed


def test_too_little_space_is_told_before_the_album_starts(library: Library) -> None:
    disk_space.require_disk_space(library, "first")
    file = library.folder("first") / "ref.dvc"
    document = yaml.safe_load(file.read_text())
    document["outs"][0]["size"] = 10**15
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(SpaceError, match="realfill gc"):
        disk_space.require_disk_space(library, "first")


def test_the_estimate_grows_with_the_photos(library: Library) -> None:
    photos = [path for name in ("ref", "target") for path in (library.folder("first") / name).iterdir()]
    settings = DiskSpaceSettings(base_bytes=7, bytes_per_photo_byte=2)
    expected = 7 + 2 * sum(path.stat().st_size for path in photos if path.suffix == ".png")
    assert disk_space.estimate_disk_space(library, "first", settings) == expected


def test_gc_without_a_remote_removes_leftovers_alone(library: Library) -> None:
    (library.root / ".dvc" / "config.local").unlink()
    work = library.folder("first") / "work"
    leftovers = [work / ".checkpoints" / "x", work / ".blend.partial", library.folder("first") / ".completed.partial"]
    for folder in leftovers:
        folder.mkdir(parents=True)
    objects = sorted((library.root / ".dvc" / "cache").rglob("*"))
    freed = disk_space.collect_garbage(library, albums=False)
    assert freed.leftovers == 3
    assert not any(folder.exists() for folder in leftovers)
    assert sorted((library.root / ".dvc" / "cache").rglob("*")) == objects
    assert list(FreshnessCache.read(library).find_stale(library.album_names)) == []


def test_gc_removes_nothing_that_realfill_did_not_write(library: Library) -> None:
    folder = library.folder("first")
    with library.album_state("first") as state:
        state.push()
    names = (".completed.backup/a", ".completed.partial/a", "work/.mine.partial/a", "work/.checkpoints/x/notes.txt")
    precious = [folder / name for name in (*names, "target/Thumbs.db", "ref/inner/.DS_Store")]
    (library.root / ".dvcignore").write_text("Thumbs.db\n.DS_Store\n/data/albums/*/.*\n/data/albums/*/work/.*\n")
    for path in precious:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    freed = disk_space.collect_garbage(library, albums=True)
    assert (freed.leftovers, freed.albums) == (0, ("first",))
    assert all(path.read_text() == "precious" for path in precious)
    assert sorted(path.name for path in (folder / "target").iterdir()) == ["Thumbs.db"]
    assert not (folder / "completed").exists()


def test_gc_leaves_an_album_alone_while_a_run_works_on_it(library: Library) -> None:
    leftover = library.folder("first") / "work" / ".blend.partial"
    leftover.mkdir(parents=True)
    with library.album_state("first") as state:
        state.push()
    with FileLock(library.folder("first") / "work" / ".lock"):
        freed = disk_space.collect_garbage(library, albums=True)
    assert (freed.leftovers, freed.albums) == (0, ())
    assert leftover.is_dir()


def test_gc_keeps_the_checkpoints_of_an_album_that_is_not_finished(library: Library) -> None:
    shutil.rmtree(library.folder("first") / "completed")
    checkpoint = library.folder("first") / "work" / ".checkpoints" / "x"
    checkpoint.mkdir(parents=True)
    disk_space.collect_garbage(library)
    assert checkpoint.is_dir()


def test_gc_removes_albums_and_unused_objects_only_where_the_remote_has_them(library: Library) -> None:
    with library.album_state("first") as state:
        state.push()
    blend = library.folder("second") / "work" / "blend" / "blend.txt"
    blend.write_text("another blend")
    pretend_completed(library, "second")
    cache = library.root / ".dvc" / "cache" / "files"
    before = sum(path.is_file() for path in cache.rglob("*"))
    freed = disk_space.collect_garbage(library, albums=True)
    assert freed.albums == ("first",)
    assert not (library.folder("first") / "completed").exists()
    assert (library.folder("second") / "completed").is_dir()
    assert sum(path.is_file() for path in cache.rglob("*")) <= before
    files = [str(path) for path in (library.pipeline_file("first"), *library.dvc_files("first"))]
    call(library.root, "dvc", "pull", *files)
    assert "up to date" in call(library.root, "dvc", "status", *files)
