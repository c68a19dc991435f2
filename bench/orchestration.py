"""What it costs to complete an album besides the stages' own work, in one process on one machine.

A library of small albums is completed in a night of its own: everything is new, the base model is tiny. Told are the
seconds between an album's beginning and its end that no stage took (Prefect, DVC, the outcome), and the same of the
whole night (finding what is stale, table, gallery, commit too). Prefect's server is started before.

usage: PYTHONPATH=tests python bench/orchestration.py FOLDER [ALBUMS]     (24 by default)
"""

import os
import shutil
import sys
import time
from pathlib import Path

from fleet import cost

from realfill.library import run_history
from realfill.library.repository import Library
from support.libraries import make_library


def main() -> None:
    folder, albums = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 24
    shutil.rmtree(folder, ignore_errors=True)
    library = make_library(folder / "library", *(f"album{number:02}" for number in range(albums)))
    os.environ |= {
        "REALFILL_MODELS": str(library / "models"),
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    os.chdir(library)
    from flows.complete_library import complete_library  # Prefect reads its settings when it is imported

    complete_library(str(library), albums=[])
    started = time.monotonic()
    told = complete_library(str(library))
    seconds = time.monotonic() - started
    assert len(told["completed"]) == albums, told
    rows = run_history.latest(Library.open(library)).values()
    stages = sum(sum(row.seconds.values()) for row in rows)
    costs = sorted(cost(row) for row in rows)
    print(f"{albums} albums in {seconds:.1f} s: {stages:.1f} s in stages; beside them, seconds an album:")
    print(f"from its beginning to its end {costs[len(costs) // 2]:.2f} (median), {costs[-1]:.2f} (most)")
    print(f"of the whole night {(seconds - stages) / albums:.2f}")


if __name__ == "__main__":
    main()
