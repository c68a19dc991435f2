"""Kill one album's run at random moments, again and again: always the same bytes, never a half-written file.

The run is the flow of one album, in a process apart, killed with SIGKILL after a random time and started again; when
it ends, the album is made anew, until it has been killed as often as asked. After every kill each file in completed/
must be one of an undisturbed run, whole, and no stage may have published a part of its folder.

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

CODE = "from flows.complete_album import complete_album; complete_album('album', gallery=False)"
TUNING = {"steps": 40, "checkpoint_every": 4}


def main() -> None:
    folder, kills = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 50
    shutil.rmtree(folder, ignore_errors=True)
    calm = library(folder / "calm")
    seconds = run_to_the_end(calm)
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    expected = digests(calm)
    disturbed, draw = library(folder / "disturbed"), random.Random(0)
    moments: list[float] = []
    while len(moments) < kills:
        moment = draw.uniform(0.1, 0.9) * seconds
        if not killed(disturbed, moment):
            assert digests(disturbed) == expected, "the bytes differ"
            forget(disturbed)
            continue
        moments.append(moment)
        check(disturbed, expected)
        print(f"{len(moments)} kills, the last after {moment:.1f} s", flush=True)
    run_to_the_end(disturbed)
    assert digests(disturbed) == expected, "the bytes differ"
    print(f"{kills} kills between {min(moments):.1f} and {max(moments):.1f} s: the same bytes")


def library(root: Path) -> Library:
    made = make_library(root / "library", "album")
    change_yaml(made / "params.yaml", "finetune", **TUNING)
    return Library.open(made)


def start(of: Library) -> subprocess.Popen[bytes]:
    more = environment(of.root, PREFECT_HOME=str(of.root.parent / "home"), PREFECT_LOGGING_LEVEL="ERROR")
    return subprocess.Popen([sys.executable, "-c", CODE], cwd=of.root, env=more, start_new_session=True)


def run_to_the_end(of: Library) -> float:
    started = time.monotonic()
    assert start(of).wait() == 0
    return time.monotonic() - started


def killed(of: Library, moment: float) -> bool:
    """Whether the run was still going on when it was killed."""
    process = start(of)
    try:
        return process.wait(moment) is None
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:  # Prefect's server among them
            one.kill()
        process.wait()
        return True


def forget(of: Library) -> None:
    """Make the album as if it had never been completed, in DVC's cache too."""
    album = of.album("album")
    for stage in STAGES:
        shutil.rmtree(stage.output(album), ignore_errors=True)
    for made in (of.folder("album") / "dvc.lock", of.root / ".dvc" / "cache"):
        shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)


def digests(of: Library) -> dict[str, str]:
    album = of.album("album")
    return {
        path.relative_to(album.root).as_posix(): digest(path)
        for stage in STAGES
        for path in sorted(stage.output(album).rglob("*"))
        if path.is_file()
    }


def check(of: Library, expected: dict[str, str]) -> None:
    """Each output is whole and right, or not there at all."""
    found = digests(of)
    for stage in STAGES:
        prefix = stage.output(of.album("album")).relative_to(of.folder("album")).as_posix() + "/"
        here = {name: value for name, value in found.items() if name.startswith(prefix)}
        assert not here or here == {n: v for n, v in expected.items() if n.startswith(prefix)}, (stage.name, here)


if __name__ == "__main__":
    main()
