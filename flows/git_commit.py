"""Committing a night's results to git."""

from __future__ import annotations

from pathlib import Path

from realfill.library.git import IDENTITY, run_git


def commit_data(root: Path, message: str) -> None:
    """Commit what changed below data/, in dvc.lock and in engine.yaml, and nothing else.

    Does nothing outside a git repository.

    Args:
        root: Root of the library.
        message: The commit's message.

    Raises:
        LibraryError: Git refuses.
    """
    if not (root / ".git").exists():
        return
    paths = ["data", *(name for name in ("dvc.lock", "engine.yaml") if (root / name).is_file())]
    run_git(root, "add", "--all", "--", *paths)
    if run_git(root, "diff", "--cached", "--name-only", "--", *paths):
        run_git(root, *IDENTITY, "commit", "--quiet", "-m", message, "--", *paths)
