"""Folders that tests fill by hand, made to look as if realfill had written them."""

import shutil
from pathlib import Path

from realfill.core.atomic_io import atomic_directory


def publish(folder: Path) -> Path:
    """Give a folder the mark that lists its files, as a stage's folder has it; an absent folder stays absent."""
    if folder.is_dir():
        by_hand = folder.rename(folder.with_name(f"{folder.name}-by-hand"))
        with atomic_directory(folder) as partial:
            shutil.copytree(by_hand, partial, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(by_hand)
    return folder
