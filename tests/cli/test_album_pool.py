"""Several albums at a time."""

import multiprocessing
import shutil
import threading
import time
from pathlib import Path

from realfill.album.discovery import open_album
from realfill.cli.album_pool import complete_in_parallel
from realfill.cli.complete_albums import complete_album
from realfill.cli.options import AlbumOptions
from realfill.core.hashing import digest


def test_an_album_whose_process_dies_hurts_no_other_and_the_others_are_as_if_completed_alone(
    album_folder: Path, tmp_path: Path
) -> None:
    assignments = ["align.enabled=false", "blend.generate=never", "rank.matcher=sift"]
    doomed = Path(shutil.copytree(album_folder, tmp_path / "doomed"))

    def kill_the_first() -> None:
        while not (tmp_path / "out" / "doomed" / "work").is_dir():
            time.sleep(0.01)
        for process in multiprocessing.active_children():
            process.kill()

    threading.Thread(target=kill_the_first, daemon=True).start()
    options = AlbumOptions(tmp_path / "out", None, None, assignments)
    nowhere = tmp_path / "nowhere"
    (died,), (missing,), (completed,) = complete_in_parallel(
        [doomed, nowhere, album_folder], options, force=False, verbose=False, jobs=1
    )
    assert "signal 9" in str(died.error)
    assert "no such folder" in str(missing.error)
    assert completed.error is None
    (alone,) = complete_album(
        album_folder, AlbumOptions(tmp_path / "alone", None, None, assignments), force=False, show_progress=False
    )
    assert alone.error is None
    names = ("align", "sample", "blend")
    ours, theirs = (open_album(album_folder, tmp_path / out / album_folder.name) for out in ("out", "alone"))
    assert [digest(ours.work(name)) for name in names] == [digest(theirs.work(name)) for name in names]
    assert not multiprocessing.active_children()
