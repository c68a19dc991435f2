"""Committing a night's results to git."""

from __future__ import annotations

import subprocess
from pathlib import Path

_COMMITTER = ("-c", "user.name=realfill", "-c", "user.email=realfill@localhost")


def commit_data(root: Path, message: str) -> None:
    """Commit what changed below data/, in dvc.lock and in engine.yaml, and nothing else.

    Does nothing outside a git repository.

    Args:
        root: Root of the library.
        message: The commit's message.
    """
    if not (root / ".git").exists():
        return
    paths = ["data", *(name for name in ("dvc.lock", "engine.yaml") if (root / name).is_file())]
    _git(root, "add", "--all", "--", *paths)
    if _git(root, "diff", "--cached", "--name-only", "--", *paths):
        _git(root, *_COMMITTER, "commit", "--quiet", "-m", message, "--", *paths)


def _git(root: Path, *command: str) -> str:
    """Run a git command and return what it printed."""
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout
