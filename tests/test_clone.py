"""This very repository as a user has it: cloned, with albums added, completed, pushed, and cloned again."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from support.fleets import commit
from support.libraries import PROJECT, QUICK, call, change_yaml, parse_stages, write_tiny_album

STAGES = ("validate", "masks", "align", "finetune", "sample", "rank", "blend", "export")


def clone_project(root: Path) -> Path:
    """Clone this repository, with what is not committed yet, and give it quick parameters."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(root)], check=True)
    command = ["git", "ls-files", "--modified", "--deleted", "--others", "--exclude-standard", "-z"]
    changed = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, changed.split("\0")):
        (root / name).unlink(missing_ok=True)
        if (PROJECT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, root / name, follow_symlinks=False)
    for section, values in QUICK.items():
        change_yaml(root / "params.yaml", section, **values)
    run(root, "realfill", "engine")
    commit(root)
    return root


def run(root: Path, *command: str) -> str:
    """Run a command in a clone, by the code of that clone; what it printed on both streams."""
    return call(root, "sh", "-c", f"{shlex.join(command)} 2>&1", PYTHONPATH=str(root), REALFILL_MODELS="")


def status(root: Path) -> str:
    return run(root, "git", "status", "--porcelain", "--untracked-files=all")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with one album, which `dvc repro` has completed and git has as `realfill add` said."""
    folder = tmp_path_factory.mktemp("user")
    root = clone_project(folder / "clone")
    said = run(root, "realfill", "add", str(write_tiny_album(folder / "old roof")))
    assert parse_stages(run(root, "dvc", "repro")) == [*(f"old roof {stage}" for stage in STAGES), "gallery"]
    (git_add,) = re.findall(r"`(git add [^`]+)`", said)
    run(root, *shlex.split(git_add))
    assert all(line.startswith("A  ") for line in status(root).splitlines())
    commit(root)
    return root


def test_a_second_repro_runs_no_stage(clone: Path) -> None:
    assert "up to date" in run(clone, "dvc", "status")
    assert parse_stages(run(clone, "dvc", "repro")) == []
    assert status(clone) == ""


def test_a_fresh_clone_pulls_what_was_pushed_and_has_nothing_to_do(clone: Path, tmp_path: Path) -> None:
    run(clone, "dvc", "remote", "add", "--force", "--default", "store", str(tmp_path / "store"))
    run(clone, "dvc", "push")
    assert status(clone) == " M .dvc/config\n"
    commit(clone)
    fresh = tmp_path / "fresh"
    subprocess.run(["git", "clone", "--quiet", str(clone), str(fresh)], check=True)
    run(fresh, "dvc", "pull")
    assert "up to date" in run(fresh, "dvc", "status")
    assert parse_stages(run(fresh, "dvc", "repro")) == []
    assert status(fresh) == ""
    photo = Path("data") / "albums" / "old roof" / "completed" / "old roof.png"
    assert (fresh / photo).read_bytes() == (clone / photo).read_bytes()


def test_a_pick_reruns_blend_export_and_the_gallery_alone(clone: Path) -> None:
    run(clone, "realfill", "pick", "old roof", "1")
    assert parse_stages(run(clone, "dvc", "repro")) == ["old roof blend", "old roof export", "gallery"]
    assert {line[3:].strip('"').split("/")[-1] for line in status(clone).splitlines()} == {"album.yaml", "dvc.lock"}
