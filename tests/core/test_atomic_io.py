"""Files appear complete or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realfill.core.atomic_io import atomic_directory, atomic_write, disk_full_as_error, write_json
from realfill.core.errors import SpaceError


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
    assert [path.name for path in folder.iterdir()] == ["new"]


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
