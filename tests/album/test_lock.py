import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.album.lock import album_lock
from realfill.core.errors import AlbumError, OutputError, TransientError


def test_one_run_keeps_another_off_the_album(album_folder: Path) -> None:
    album = open_album(album_folder)
    with album_lock(album), pytest.raises(AlbumError, match="Another run"), album_lock(album):
        pass
    with album_lock(album):
        pass


def test_runs_with_other_results_do_not_wait_for_each_other(album_folder: Path, tmp_path: Path) -> None:
    first, second = (open_album(album_folder, tmp_path / name) for name in ("first", "second"))
    with album_lock(first), album_lock(second):
        pass


def test_a_killed_run_lets_go_of_the_album(album_folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from realfill.album.discovery import open_album; from realfill.album.lock import album_lock\n"
        "with album_lock(open_album(Path(sys.argv[1]))): print('locked', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(album_folder)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"locked\n"
    album = open_album(album_folder)
    with pytest.raises(AlbumError), album_lock(album):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    with album_lock(album):
        pass


def test_two_albums_do_not_share_one_place_for_results(album_folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(album_folder, tmp_path / "elsewhere" / album_folder.name))
    out = tmp_path / "out"
    for _ in range(2):
        with album_lock(open_album(album_folder, out)):
            pass
    for place in (out, album_folder):
        with pytest.raises(OutputError, match=f"another album, {album_folder}"), album_lock(open_album(other, place)):
            pytest.fail("nothing is overwritten")
    album_folder.rename(tmp_path / "gone")
    with album_lock(open_album(other, out)):
        pass


def test_a_place_that_cannot_be_written_is_told(album_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "out", Path("/proc/out"), tmp_path / ("x" * 300)):
        with (
            pytest.raises(TransientError, match=r"cannot be (written here|read) \("),
            album_lock(open_album(album_folder, place)),
        ):
            pass
