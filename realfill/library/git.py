"""Git commands that work on a library."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from realfill.core.errors import LibraryError

IDENTITY = ("-c", "user.name=realfill", "-c", "user.email=realfill@localhost")
_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set in hooks; they would win over the folder


def run_git(folder: Path, *arguments: str) -> str:
    """Run a git command in a folder and return what it printed.

    Raises:
        LibraryError: Git is not installed, or the command failed.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _ANOTHER_REPOSITORY}
    try:
        process = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise LibraryError("git is not installed.", "Install it, e.g. `apt-get install git`.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or f"exit code {error.returncode}"
        raise LibraryError(f"git cannot do its part: {said[:300]}", "Mend that, then run again.", folder) from error
    return process.stdout


def commit_files(folder: Path, files: Sequence[str], message: str) -> None:
    """Commit files of a repository, in the name of the user that git is configured for, or else of realfill.

    Raises:
        LibraryError: Git refuses.
    """
    run_git(folder, "add", "--force", "--", *files)
    identity = () if _knows_user(folder) else IDENTITY
    run_git(folder, *identity, "-c", "commit.gpgSign=false", "commit", "--quiet", "--no-verify", "-m", message)


def _knows_user(folder: Path) -> bool:
    """Whether git is told in whose name to commit, so that it need not guess."""
    try:
        for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            run_git(folder, "-c", "user.useConfigOnly=true", "var", name)
    except LibraryError:
        return False
    return True
