import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.album.lock import album_lock
from realfill.core.errors import AlbumError


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
