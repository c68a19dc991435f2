"""A disturbed night: workers killed in the middle of tuning, sampling and recording, and the server restarted.

A calm night of the same albums comes first. Both must deliver the same photos byte by byte. Every album has to be
completed, or in quarantine for its own reason, and a fresh clone has to pull every finished photo.

usage: PYTHONPATH=tests python bench/fleet.py FOLDER [ALBUMS]     (24 by default, three of them broken)
"""

import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PIL import Image

from realfill.library import run_history
from realfill.library.add_album import add_album
from realfill.library.repository import Library
from support.fleets import Fleet, commit, start_fleet, use_remote
from support.libraries import call, change_yaml, write_tiny_album

BROKEN = {"torn": "PhotoError", "unmarked": "MaskError", "misspelt": "ParamsError"}
AGENTS = ("agent-1", "agent-2")


def main() -> None:
    folder, albums = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24
    shutil.rmtree(folder, ignore_errors=True)
    calm = run_night(folder / "calm", albums - len(BROKEN), disturbed=False)
    rough = run_night(folder / "rough", albums - len(BROKEN), disturbed=True)
    assert calm == rough, {name: (calm[name], rough.get(name)) for name in calm if calm[name] != rough.get(name)}
    print(f"{len(calm)} finished photos, the same bytes in both nights")


def run_night(folder: Path, good: int, *, disturbed: bool) -> dict[str, str]:
    """Complete a library and a second time, when nothing is new; the digests of the finished photos by album."""
    folder.mkdir(parents=True)
    with start_fleet(folder) as fleet:
        add_albums(fleet, good)
        fleet.start_worker("coordinator", fleet.library, pool="realfill-library")
        clones = {name: fleet.make_agent(name) for name in AGENTS}
        for name, clone in clones.items():
            fleet.start_worker(name, clone)
        seconds = time_night(fleet, clones if disturbed else {})
        digests = check_results(fleet, good)
        runs = fleet.count_album_runs()
        started = time.monotonic()
        fleet.wait(fleet.run("complete-library/library"), 600)
        print(
            f"{'disturbed' if disturbed else 'calm'}: {seconds:.0f} s, {seconds / (good + 3):.1f} s an album; "
            f"{sum(runs.values())} runs for {len(runs)} albums; a night with nothing new: "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        assert fleet.count_album_runs() == runs
        return digests


def add_albums(fleet: Fleet, good: int) -> None:
    """Add good albums, each with another hole, and one album for each way of being broken."""
    change_yaml(fleet.library / "params.yaml", "finetune", steps=30, checkpoint_every=3)
    for number in range(good):
        source = write_tiny_album(fleet.root / "sources" / f"album{number:02}")
        mask = Image.new("L", Image.open(source / "target" / "mask.png").size)
        mask.paste(255, (50 + number, 40, 100 + number, 90))
        mask.save(source / "target" / "mask.png")
        add_album(source, fleet.library)
    for name in BROKEN:
        album = add_album(write_tiny_album(fleet.root / "sources" / name), fleet.library)
        target = album / "target" / "target.png"
        if name == "torn":
            target.write_bytes(target.read_bytes()[:3000])
        if name == "unmarked":
            (album / "target" / "mask.png").unlink()
        if name == "misspelt":
            text = (album / "album.yaml").read_text()
            (album / "album.yaml").write_text(text.replace("blend:", "blend: {fether: 3}"))
    commit(fleet.library)


def time_night(fleet: Fleet, clones: dict[str, Path]) -> float:
    """Run the library's flow to its end, disturbing the agents in these clones, and return the seconds it took."""
    started = time.monotonic()
    run = fleet.run("complete-library/library", "shard=3")
    disturbance = threading.Thread(target=disturb, args=(fleet, clones))
    if clones:
        disturbance.start()
    flow_run = fleet.wait(run, 7200)
    seconds = time.monotonic() - started
    if clones:
        disturbance.join()
    assert flow_run["state_type"] == "COMPLETED", flow_run["state"]["message"]
    return seconds


def disturb(fleet: Fleet, clones: dict[str, Path]) -> None:
    """Kill a worker while it tunes, one while it samples, one while DVC records; then restart the server."""
    for name, moment, pattern in (
        ("agent-1", "tuning", "data/albums/*/work/.checkpoints/*/*"),
        ("agent-2", "sampling", "data/albums/*/work/.sample.partial"),
        ("agent-1", "recording", "data/albums/*/.dvc.lock.partial"),
    ):
        wait_until(lambda name=name, pattern=pattern: any(clones[name].glob(pattern)))  # type: ignore[misc]
        fleet.kill(name)
        print(f"killed {name} while {moment}", flush=True)
        time.sleep(5)
        fleet.start_worker(name, clones[name])
    fleet.kill("server")
    time.sleep(5)
    fleet.start_server()
    print("restarted the server", flush=True)


def wait_until(condition: Callable[[], bool], seconds: float = 1800) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.002)


def check_results(fleet: Fleet, good: int) -> dict[str, str]:
    """Check the table, DVC, and what a fresh clone pulls; the digests of the finished photos by album."""
    library = Library.open(fleet.library)
    rows = run_history.latest_rows(library)
    assert Counter(row.outcome for row in rows.values()) == {"completed": good, "quarantined": len(BROKEN)}
    assert {name: rows[name].error for name in BROKEN} == BROKEN
    finished = sorted(rows.keys() - BROKEN.keys())
    files = [f"data/albums/{name}/dvc.yaml" for name in finished]
    assert "up to date" in fleet.call("dvc", "status", *files, "dvc.yaml", "data/nights.dvc")
    clone = fleet.root / "fresh"
    subprocess.run(["git", "clone", "--quiet", str(fleet.library), str(clone)], check=True)
    use_remote(clone, fleet.remote)
    call(clone, "dvc", "pull", *files)
    for name in finished:
        photo = Path("data") / "albums" / name / rows[name].photo
        assert (clone / photo).read_bytes() == (fleet.library / photo).read_bytes(), name
    seconds = sorted(overhead(rows[name]) for name in finished)
    median, most = seconds[len(seconds) // 2], seconds[-1]
    print(f"an album's seconds beside its stages' own: {median:.1f} (median), {most:.1f} (most)")
    return {name: rows[name].digest for name in finished}


def overhead(row: run_history.HistoryRow) -> float:
    """Seconds between an album's beginning and end that no stage took."""
    total = datetime.fromisoformat(row.ended) - datetime.fromisoformat(row.began)
    return total.total_seconds() - sum(row.seconds.values())


if __name__ == "__main__":
    main()
