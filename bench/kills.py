"""Kill one album's run at random moments, again and again: always the same bytes, never a half-written file.

The flow of one album runs in a process of its own. The process is killed with SIGKILL after a random time and started
again. When the flow ends, its results are removed, until it has been killed as often as asked. After every kill, each
file in completed/ must be whole and the same as in an undisturbed run, and no stage may have published a part of its
folder.

usage: PYTHONPATH=tests python bench/kills.py FOLDER [KILLS]     (50 by default)
"""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from realfill.core.hashing import digest
from realfill.library.repository import Library
from realfill.pipeline import STAGES
from support.libraries import change_yaml, environment, make_library

CODE = "from realfill.flows.complete_album import complete_album; complete_album('album', gallery=False)"
TUNING = {"steps": 40, "checkpoint_every": 4}


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    shutil.rmtree(folder, ignore_errors=True)
    calm = make_album(folder / "calm")
    seconds = run_to_end(calm)
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    expected = read_digests(calm)
    disturbed, generator = make_album(folder / "disturbed"), random.Random(0)
    moments: list[float] = []
    while len(moments) < kills:
        moment = generator.uniform(0.1, 0.9) * seconds
        if not run_and_kill(disturbed, moment):
            assert read_digests(disturbed) == expected, "the bytes differ"
            reset(disturbed)
            continue
        moments.append(moment)
        check_outputs(disturbed, expected)
        print(f"{len(moments)} kills, the last after {moment:.1f} s", flush=True)
    run_to_end(disturbed)
    assert read_digests(disturbed) == expected, "the bytes differ"
    print(f"{kills} kills between {min(moments):.1f} and {max(moments):.1f} s: the same bytes")


def make_album(root: Path) -> Library:
    """Make a library with one album."""
    library_root = make_library(root / "library", "album")
    change_yaml(library_root / "params.yaml", "finetune", **TUNING)
    return Library.open(library_root)


def start(library: Library) -> subprocess.Popen[bytes]:
    home = library.root.parent / "home"
    variables = environment(library.root, PREFECT_HOME=str(home), PREFECT_LOGGING_LEVEL="ERROR")
    return subprocess.Popen([sys.executable, "-c", CODE], cwd=library.root, env=variables, start_new_session=True)


def run_to_end(library: Library) -> float:
    """Complete the album and return the seconds it took."""
    started = time.monotonic()
    assert start(library).wait() == 0
    return time.monotonic() - started


def run_and_kill(library: Library, moment: float) -> bool:
    """Kill the run after some seconds; False if it had ended by then."""
    process = start(library)
    try:
        process.wait(moment)
        return False
    except subprocess.TimeoutExpired:
        # Prefect's temporary server is among the children.
        for member in [*psutil.Process(process.pid).children(recursive=True), process]:
            member.kill()
        process.wait()
        return True


def reset(library: Library) -> None:
    """Remove what was made of the album, in DVC's cache too."""
    album = library.album("album")
    for stage in STAGES:
        shutil.rmtree(stage.output(album), ignore_errors=True)
    (library.folder("album") / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(library.root / ".dvc" / "cache", ignore_errors=True)


def read_digests(library: Library) -> dict[str, str]:
    """The digest of every file that the stages published, by its path inside the album."""
    album = library.album("album")
    return {
        path.relative_to(album.root).as_posix(): digest(path)
        for stage in STAGES
        for path in sorted(stage.output(album).rglob("*"))
        if path.is_file()
    }


def check_outputs(library: Library, expected: dict[str, str]) -> None:
    """Check that each stage's output is complete and right, or not there at all."""
    digests = read_digests(library)
    for stage in STAGES:
        prefix = stage.output(library.album("album")).relative_to(library.folder("album")).as_posix() + "/"
        present = {name: value for name, value in digests.items() if name.startswith(prefix)}
        right = {name: value for name, value in expected.items() if name.startswith(prefix)}
        assert present in ({}, right), (stage.name, present)


if __name__ == "__main__":
    main()
