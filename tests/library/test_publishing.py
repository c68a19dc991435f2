"""Publishing a night: what of it is committed to git."""

import subprocess
from pathlib import Path

from realfill.library.publishing import commit_data


def git(root: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout


def test_only_data_and_the_lock_are_committed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "data").mkdir()
    for name in ("data/table.dvc", "dvc.lock", "notes.txt"):
        (tmp_path / name).write_text(name)
    git(tmp_path, "add", "notes.txt")
    commit_data(tmp_path, "Night of 2026-05-01")
    assert git(tmp_path, "log", "--format=%an %s").strip() == "realfill Night of 2026-05-01"
    assert git(tmp_path, "ls-tree", "-r", "--name-only", "HEAD").split() == ["data/table.dvc", "dvc.lock"]
    assert git(tmp_path, "status", "--porcelain").split() == ["A", "notes.txt"]


def test_without_changes_there_is_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.dvc").write_text("table")
    for _ in range(2):
        commit_data(tmp_path, "Night")
    assert git(tmp_path, "rev-list", "--count", "HEAD").strip() == "1"


def test_a_library_outside_of_git_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    commit_data(tmp_path, "Night")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
