"""Measure the nightly look at a library in which nothing is new, by its number of albums: time and memory.

The albums are folders of empty files, as many as a finished album has, that are marked as fresh; neither DVC nor
Prefect runs. Both figures should grow with the number of albums, and no faster.

usage: PYTHONPATH=tests python bench/look.py FOLDER [ALBUMS...]     (1000 10000 by default)
"""

import shutil
import sys
import time
import tracemalloc
from pathlib import Path

from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from support.libraries import make_library

FILES = 45  # of a finished album with five references


def main() -> None:
    folder, sizes = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or [1000, 10_000]
    shutil.rmtree(folder, ignore_errors=True)
    library = Library.open(make_library(folder / "library", "a0"))
    print("| albums | a look | per album | memory |\n|---|---|---|---|")
    names = ["a0"]
    for size in sorted(sizes):
        names += [make_album(library, number) for number in range(len(names), size)]
        freshness = FreshnessCache.read(library)
        for name in names:
            freshness.mark_fresh(name)
        freshness.write(names)
        started = time.process_time()
        look(library, names)
        seconds = time.process_time() - started
        tracemalloc.start()
        look(library, names)
        memory = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        print(f"| {size} | {seconds:.1f} s | {1000 * seconds / size:.2f} ms | {memory:.1f} MB |", flush=True)


def look(library: Library, names: list[str]) -> None:
    stale = list(FreshnessCache.read(library).find_stale(names))
    assert stale == []


def make_album(library: Library, number: int) -> str:
    """Make a folder that looks like a finished album."""
    name = f"a{number}"
    for file in range(FILES):
        path = library.folder(name) / "work" / f"stage{file % 8}" / f"{file}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return name


if __name__ == "__main__":
    main()
