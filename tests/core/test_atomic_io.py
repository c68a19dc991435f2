"""Files appear complete or not at all."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realfill.core.atomic_io import (
    MARK,
    atomic_directory,
    atomic_write,
    disk_full_as_error,
    is_own_folder,
    new_directory,
    remove_folder,
    write_json,
)
from realfill.core.errors import OutputError, SpaceError
from realfill.core.hashing import digest


def test_a_failed_publication_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    with atomic_directory(folder) as beside:
        (beside / "a").write_text("first")
    with pytest.raises(ZeroDivisionError), atomic_directory(folder) as beside:
        (beside / "a").write_text("second")
        _ = 1 / 0
    assert (folder / "a").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stage"]


def test_a_publication_replaces_the_whole_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    for name in ("old", "new"):
        with atomic_directory(folder) as beside:
            (beside / name).write_text(name)
    assert sorted(path.name for path in folder.iterdir()) == [MARK, "new"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"0" * 1_000_000)
    code = (
        "import sys, itertools; from pathlib import Path; from realfill.core.atomic_io import atomic_write\n"
        "for n in itertools.count():\n"
        "    atomic_write(Path(sys.argv[1]), str(n % 10).encode() * 1_000_000)\n"
        "    print(n, flush=True)"
    )
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout
        for _ in range(5):
            writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        data = path.read_bytes()
        assert len(data) == 1_000_000
        assert len(set(data)) == 1


def test_a_file_that_cannot_be_written_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inner" / "file"
    atomic_write(path, "first")

    def fail(_: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "full", str(target))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError):
        atomic_write(path, "second")
    assert path.read_text() == "first"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_json_is_sorted_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": "ä", "a": [1]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": [\n    1\n  ],\n  "b": "ä"\n}\n'


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_an_error_that_names_the_stage(number: int, tmp_path: Path) -> None:
    message = r"disk is full.*blend could not be written"
    with pytest.raises(SpaceError, match=message) as caught, disk_full_as_error("blend", tmp_path):
        raise OSError(number, "full")
    assert caught.value.path == tmp_path


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk_full_as_error("blend", tmp_path):
        raise PermissionError(errno.EACCES, "denied")


def write_own(folder: Path) -> Path:
    with atomic_directory(folder) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a").write_text("own")
    return folder


@pytest.mark.parametrize("name", ["notes.txt", "inner/notes.txt", "inner/a.bak", ".git/config"])
@pytest.mark.parametrize("own", [True, False])
def test_what_others_wrote_is_never_replaced(tmp_path: Path, name: str, own: bool) -> None:
    folder = write_own(tmp_path / "stage") if own else tmp_path / "stage"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("precious")
    before = digest(folder)
    with pytest.raises(OutputError, match=name) as caught, atomic_directory(folder):
        pytest.fail("nothing is computed in vain")
    assert caught.value.path == folder
    assert "--out" in caught.value.remedy
    assert digest(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_what_appears_during_the_work_is_not_replaced_either(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    with pytest.raises(OutputError), atomic_directory(folder):
        folder.mkdir()
        (folder / "notes.txt").write_text("precious")
    assert (folder / "notes.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


@pytest.mark.parametrize("name", ["stage", ".stage.partial", ".stage.replaced"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file", "folder"])
def test_nothing_is_removed_in_the_place_of_a_folder(tmp_path: Path, name: str, kind: str) -> None:
    victim = tmp_path / "victim"
    if kind != "dangling link":
        victim.mkdir()
        (victim / "precious.txt").write_text("precious")
    place = tmp_path / "inner" / name
    place.parent.mkdir()
    if "link" in kind:
        place.symlink_to(victim)
    elif kind == "file":
        place.write_text("precious")
    else:
        victim.rename(place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError), atomic_directory(tmp_path / "inner" / "stage") as partial:
        (partial / "a").write_text("new")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_file_managers_leave_does_not_matter(tmp_path: Path) -> None:
    folder = write_own(tmp_path / "stage")
    for name in (".DS_Store", "inner/Thumbs.db", "desktop.ini", "inner/.directory"):
        (folder / name).write_text("")
    write_own(folder)
    assert not (folder / ".DS_Store").exists()


def test_an_interrupted_publication_can_be_repeated_at_any_moment(tmp_path: Path) -> None:
    folder = write_own(tmp_path / "stage")
    leftovers = [folder.with_name(f".stage.{name}") for name in ("partial", "replaced")]
    for leftover in leftovers:
        shutil.copytree(folder, leftover)
        shutil.rmtree(leftover / "inner")
    write_own(folder)
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_removal_takes_the_mark_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_own(tmp_path / "stage")
    monkeypatch.setattr(Path, "rmdir", lambda _: 1 / 0)
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        remove_folder(folder)
    assert is_own_folder(folder)
    monkeypatch.undo()
    remove_folder(folder)
    assert not folder.exists()


def test_a_new_folder_is_the_users_own(tmp_path: Path) -> None:
    folder = tmp_path / "album"
    with new_directory(folder) as partial:
        (partial / "photo").write_text("a photo")
    assert [path.name for path in folder.iterdir()] == ["photo"]
    for write in (new_directory, atomic_directory):
        with pytest.raises(OutputError), write(folder):
            pass
    assert [path.name for path in folder.iterdir()] == ["photo"]


def test_names_as_long_as_the_file_system_allows_are_written(tmp_path: Path) -> None:
    name = "日" * 85
    write_own(tmp_path / name)
    write_own(tmp_path / name)
    atomic_write(tmp_path / ("é" * 127), "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["é" * 127, name]


def test_a_partial_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".album.yaml.partial").symlink_to(victim)
    atomic_write(tmp_path / "album.yaml", "new")
    assert (victim.read_text(), (tmp_path / "album.yaml").read_text()) == ("precious", "new")


def test_an_empty_folder_of_the_users_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "completed"
    (folder / "holidays").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(OutputError, match="holidays"), atomic_directory(folder) as partial:
            (partial / "photo.png").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["completed"]
    assert (folder / "holidays").is_dir()
