"""Measure what a library costs by its number of albums: a first check by DVC, then nights with nothing new.

Each album is tiny and pretends to be completed; no stage runs and no server is needed.

usage: PYTHONPATH=tests python bench/library.py FOLDER [ALBUMS...]     (10 100 1000 by default)
"""

import logging
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from realfill.flows.complete_library import complete_library
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from support.libraries import make_library, pretend_completed


def main() -> None:
    folder, sizes = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or [10, 100, 1000]
    os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
    logging.disable(logging.INFO)
    print("| albums | first check by DVC | per album | a night with nothing new | per album | peak memory |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        library = make_finished_library(folder / str(size), size)
        os.chdir(library.root)
        check = measure(partial(check_all_albums, library))
        complete_library(str(library.root))  # writes the gallery
        night = measure(partial(complete_library, str(library.root)))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cells = (f"{check:.1f} s", f"{check / size:.2f} s", f"{night:.1f} s", f"{1000 * night / size:.0f} ms")
        print(f"| {size} | {' | '.join(cells)} | {memory:.2f} GB |", flush=True)


def make_finished_library(root: Path, size: int) -> Library:
    """Make a library of albums that DVC finds up to date."""
    shutil.rmtree(root, ignore_errors=True)
    library = Library.open(make_library(root / "library", "a0000"))
    pretend_completed(library, "a0000")
    for name in (f"a{number:04}" for number in range(1, size)):
        shutil.copytree(library.folder("a0000"), library.folder(name), symlinks=True)
        completed = library.folder(name) / "completed"
        (completed / "a0000.json").rename(completed / f"{name}.json")
        with open_dvc_state(library.root, library.pipeline_file(name)) as state:
            state.commit(library.pipeline_file(name), "export")
    return library


def check_all_albums(library: Library) -> None:
    """Let DVC check every album, and store that none is stale."""
    freshness = FreshnessCache.read(library)
    stale = list(freshness.find_stale(library.album_names))
    assert stale == [], stale
    freshness.write(library.album_names)


def measure(function: Callable[[], object]) -> float:
    """Call a function and return the seconds it took."""
    started = time.monotonic()
    function()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
