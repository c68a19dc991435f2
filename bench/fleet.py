"""A night that is disturbed: workers killed in the middle of tuning, sampling and recording, the server restarted.

A calm night of the same albums comes first. Both must deliver the same photos byte by byte; every album is completed
or in quarantine for its own reason, and a fresh clone pulls every finished photo.

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
from realfill.library.repository import Library, add
from support.fleets import Fleet, commit, fleet, use_remote
from support.libraries import call, change_yaml, write_tiny_album

BROKEN = {"torn": "PhotoError", "unmarked": "MaskError", "misspelt": "ParamsError"}
AGENTS = ("agent-1", "agent-2")


def main() -> None:
    folder, albums = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24
    shutil.rmtree(folder, ignore_errors=True)
    calm = one_night(folder / "calm", albums - len(BROKEN), disturbed=False)
    rough = one_night(folder / "rough", albums - len(BROKEN), disturbed=True)
    assert calm == rough, {name: (calm[name], rough.get(name)) for name in calm if calm[name] != rough.get(name)}
    print(f"{len(calm)} finished photos, the same bytes in both nights")


def one_night(folder: Path, good: int, *, disturbed: bool) -> dict[str, str]:
    """The digests of the finished photos."""
    folder.mkdir(parents=True)
    with fleet(folder) as made:
        prepare(made, good)
        made.start_worker("coordinator", made.library, pool="realfill-library")
        clones = {name: made.agent(name) for name in AGENTS}
        for name, clone in clones.items():
            made.start_worker(name, clone)
        started = time.monotonic()
        run = made.run("complete-library/library", "shard=3")
        trouble = threading.Thread(target=disturb, args=(made, clones))
        if disturbed:
            trouble.start()
        ended = made.wait(run, 7200)
        seconds = time.monotonic() - started
        if disturbed:
            trouble.join()
        assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
        photos = examine(made, good)
        runs = album_runs(made)
        again = time.monotonic()
        made.wait(made.run("complete-library/library"), 600)
        print(
            f"{'disturbed' if disturbed else 'calm'}: {seconds:.0f} s, {seconds / (good + 3):.1f} s an album; "
            f"{sum(runs.values())} runs for {len(runs)} albums; a night with nothing new: "
            f"{time.monotonic() - again:.0f} s",
            flush=True,
        )
        assert album_runs(made) == runs
        return photos


def prepare(made: Fleet, good: int) -> None:
    change_yaml(made.library / "params.yaml", "finetune", steps=30, checkpoint_every=3)
    for number in range(good):
        source = write_tiny_album(made.root / "sources" / f"album{number:02}")
        mask = Image.new("L", Image.open(source / "target" / "mask.png").size)
        mask.paste(255, (50 + number, 40, 100 + number, 90))
        mask.save(source / "target" / "mask.png")
        add(source, made.library)
    for name in BROKEN:
        album = add(write_tiny_album(made.root / "sources" / name), made.library)
        target = album / "target" / "target.png"
        if name == "torn":
            target.write_bytes(target.read_bytes()[:3000])
        if name == "unmarked":
            (album / "target" / "mask.png").unlink()
        if name == "misspelt":
            text = (album / "album.yaml").read_text()
            (album / "album.yaml").write_text(text.replace("blend:", "blend: {fether: 3}"))
    commit(made.library)


def disturb(made: Fleet, clones: dict[str, Path]) -> None:
    """Kill a worker in the middle of tuning, one while it samples, one while DVC records; restart the server once."""
    for name, moment, seen in (
        ("agent-1", "tuning", lambda clone: any(clone.glob("data/albums/*/work/.checkpoints/*/*"))),
        ("agent-2", "sampling", lambda clone: any(clone.glob("data/albums/*/work/.sample.partial"))),
        ("agent-1", "recording", lambda clone: any(clone.glob("data/albums/*/.dvc.lock.partial"))),
    ):
        when(lambda seen=seen, name=name: seen(clones[name]))  # type: ignore[misc]
        made.kill(name)
        print(f"killed {name} while {moment}", flush=True)
        time.sleep(5)
        made.start_worker(name, clones[name])
    made.kill("server")
    time.sleep(5)
    made.start_server()
    print("restarted the server", flush=True)


def when(seen: Callable[[], bool], seconds: float = 1800) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, "the moment did not come"
        time.sleep(0.002)


def examine(made: Fleet, good: int) -> dict[str, str]:
    library = Library.open(made.library)
    rows = run_history.latest(library)
    assert Counter(row.outcome for row in rows.values()) == {"completed": good, "quarantined": len(BROKEN)}
    assert {name: rows[name].error for name in BROKEN} == BROKEN
    finished = sorted(rows.keys() - BROKEN.keys())
    files = [f"data/albums/{name}/dvc.yaml" for name in finished]
    assert "up to date" in made.call("dvc", "status", *files, "dvc.yaml", "data/nights.dvc")
    clone = made.root / "fresh"
    subprocess.run(["git", "clone", "--quiet", str(made.library), str(clone)], check=True)
    use_remote(clone, made.remote)
    call(clone, "dvc", "pull", *files)
    for name in finished:
        photo = Path("data") / "albums" / name / rows[name].photo
        assert (clone / photo).read_bytes() == (made.library / photo).read_bytes(), name
    costs = sorted(cost(rows[name]) for name in finished)
    print(f"an album's seconds beside its stages' own: {costs[len(costs) // 2]:.1f} (median), {costs[-1]:.1f} (most)")
    return {name: rows[name].digest for name in finished}


def cost(row: run_history.Row) -> float:
    """Seconds between an album's beginning and end that no stage took."""
    whole = datetime.fromisoformat(row.ended) - datetime.fromisoformat(row.began)
    return whole.total_seconds() - sum(row.seconds.values())


def album_runs(made: Fleet) -> Counter[str]:
    flows = {flow["id"]: flow["name"] for flow in made.find("flows")}
    found = [run for page in range(0, 1000, 200) for run in made.find("flow_runs", limit=200, offset=page)]
    return Counter(run["name"] for run in found if flows[run["flow_id"]] == "complete-album")


if __name__ == "__main__":
    main()
