"""What a library costs by its number of albums: a first look by DVC, then nights with nothing new.

Each album is tiny and completed as far as DVC is concerned; no stage runs and no server is needed.

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

from flows.complete_library import complete_library, find_stale
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import Library
from realfill.library.staleness import Seals
from support.libraries import make_library, pretend_completed


def main() -> None:
    folder, sizes = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or [10, 100, 1000]
    os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
    logging.disable(logging.INFO)
    print("| albums | first look by DVC | an album | a night with nothing new | an album | peak memory |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        library = made(folder / str(size), size)
        os.chdir(library.root)
        look = timed(partial(first_look, library))
        complete_library(str(library.root))  # writes the gallery
        night = timed(partial(complete_library, str(library.root)))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cells = (f"{look:.1f} s", f"{look / size:.2f} s", f"{night:.1f} s", f"{1000 * night / size:.0f} ms")
        print(f"| {size} | {' | '.join(cells)} | {memory:.2f} GB |", flush=True)


def made(root: Path, size: int) -> Library:
    """A library of albums that DVC finds up to date."""
    shutil.rmtree(root, ignore_errors=True)
    library = Library.open(make_library(root / "library", "a0000"))
    pretend_completed(library, "a0000")
    for name in (f"a{number:04}" for number in range(1, size)):
        shutil.copytree(library.folder("a0000"), library.folder(name), symlinks=True)
        completed = library.folder(name) / "completed"
        (completed / "a0000.json").rename(completed / f"{name}.json")
        with open_dvc_state(library.root, library.pipeline(name)) as known:
            known.record(library.pipeline(name), "export")
    return library


def first_look(library: Library) -> None:
    seals = Seals.of(library)
    stale = find_stale.fn(library, seals, library.albums, again=False)
    assert stale == [], stale
    seals.write(library.albums)


def timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()
