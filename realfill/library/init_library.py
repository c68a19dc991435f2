"""Making a new library."""

from __future__ import annotations

import os
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from realfill.core.atomic_io import new_directory
from realfill.core.errors import LibraryError
from realfill.library.engine import ENGINE, renew_engine
from realfill.library.git import commit_files, run_git
from realfill.library.repository import Library

_WHOLE, _LEFTOVER = "library", ".library.partial"  # in an empty folder that is filled
_DOTTED = {"dvc", "dvcignore", "gitignore", "gitkeep"}  # names in the template that have a leading dot in a library


def init_library(folder: Path) -> Library:
    """Make a new library: a git and DVC repository without albums, and its first commit.

    A new folder appears whole or not at all. An empty one becomes a library at once, and stays the very same folder:
    it may be a volume's mount point, or a shell's working directory.

    Args:
        folder: A folder that does not exist, or is empty.

    Raises:
        LibraryError: The folder is something else, it cannot be written, or git refuses.
    """
    folder = folder.resolve()
    try:
        _require_new(folder)
        if folder.is_dir():
            _fill_in_place(folder)
        else:
            with new_directory(folder) as partial:
                _fill(partial)
    except OSError as error:
        problem = f"The library cannot be written ({error.strerror or error})."
        raise LibraryError(problem, "Name a folder that you may write to, on a disk with room.", folder) from error
    return Library.open(folder)


def _require_new(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise LibraryError("This is a file.", "Name a folder that does not exist, or is empty.", folder)
    if Library.is_root(folder):
        raise LibraryError("This is a library already.", "Add albums to it with `realfill add`.", folder)
    if any(path.name != _LEFTOVER for path in folder.iterdir()):
        remedy = "Name one that does not exist, or is empty; photos are added afterwards, with `realfill add`."
        raise LibraryError("The folder is not empty.", remedy, folder)


def _fill_in_place(folder: Path) -> None:
    """Fill an empty folder; what makes it a library, `.dvc`, comes last."""
    whole = folder / _WHOLE
    with new_directory(whole) as partial:
        _fill(partial)
    for path in sorted(whole.iterdir(), key=lambda path: path.name == ".dvc"):
        path.rename(folder / path.name)
    whole.rmdir()


def _fill(root: Path) -> None:
    """Write a library's files into a folder and commit them."""
    names = [ENGINE]
    with as_file(files("realfill.library.template")) as template:
        for source in template.rglob("*"):
            if source.is_file() and source.suffix not in (".py", ".pyc"):
                parts = [f".{part}" if part in _DOTTED else part for part in source.relative_to(template).parts]
                names.append("/".join(parts))
                copy = root / names[-1]
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
    renew_engine(Library.open(root))
    run_git(root, "init", "--quiet")
    commit_files(root, names, "A new library")
