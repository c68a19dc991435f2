"""Files appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realfill.core.atomic_io import atomic_directory, atomic_write
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


def test_a_folders_digest_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, digest(tmp_path)}) == 3
