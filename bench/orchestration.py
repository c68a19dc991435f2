"""What it costs to complete an album besides the stages' own work, in one process on one machine.

A library of small albums is completed in one night: everything is new, and the base model is tiny. The script prints
the seconds between an album's beginning and its end that no stage took (Prefect, DVC, the outcome), and the same for
the whole night (also finding what is stale, table, gallery, commit). Prefect's server is started beforehand.

usage: PYTHONPATH=tests python bench/orchestration.py FOLDER [ALBUMS]     (24 by default)
"""

import os
import shutil
import sys
import time
from pathlib import Path

from fleet import overhead

from realfill.library import run_history
from realfill.library.repository import Library
from support.libraries import make_library


def main() -> None:
    folder, albums = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 24
    shutil.rmtree(folder, ignore_errors=True)
    root = make_library(folder / "library", *(f"album{number:02}" for number in range(albums)))
    os.environ |= {
        "REALFILL_MODELS": str(root / "models"),
        "PREFECT_HOME": str(folder / "home"),
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    os.chdir(root)
    from realfill.flows.complete_library import complete_library  # Prefect reads its settings when it is imported

    complete_library(str(root), albums=[])
    started = time.monotonic()
    result = complete_library(str(root))
    seconds = time.monotonic() - started
    assert len(result["completed"]) == albums, result
    rows = run_history.latest_rows(Library.open(root)).values()
    stage_seconds = sum(sum(row.seconds.values()) for row in rows)
    overheads = sorted(overhead(row) for row in rows)
    print(f"{albums} albums in {seconds:.1f} s: {stage_seconds:.1f} s in stages; beside them, seconds an album:")
    print(f"from its beginning to its end {overheads[len(overheads) // 2]:.2f} (median), {overheads[-1]:.2f} (most)")
    print(f"of the whole night {(seconds - stage_seconds) / albums:.2f}")


if __name__ == "__main__":
    main()
