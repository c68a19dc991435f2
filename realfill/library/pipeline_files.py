"""The pipelines of a library, `dvc.yaml` and `pipelines/album.dvc.yaml`, which an upgrade of realfill may change.

`engine.yaml` holds a digest of each as it was installed when it was last renewed. A file with that digest was not
edited and is renewed; any other is the user's own and stays.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from realfill.album.several_targets import FOLDER
from realfill.core.atomic_io import atomic_write
from realfill.core.hashing import digest
from realfill.library.repository import PIPELINE, Library

PIPELINE_FILES = ("dvc.yaml", PIPELINE.as_posix())
_LENGTH = 16  # hexadecimal digits of a digest in `engine.yaml`


@cache
def installed_pipelines() -> Mapping[str, str]:
    """Digests of the pipelines as this installation has them, by their paths in a library."""
    return MappingProxyType({name: digest(template_path(name))[:_LENGTH] for name in PIPELINE_FILES})


def template_path(name: str) -> Path:
    """Where this installation has a pipeline."""
    return Path(str(files("realfill.library.template").joinpath(name)))


def renew_pipelines(library: Library, recorded: Mapping[str, str]) -> list[str]:
    """Renew the pipelines that are absent, or older and not edited.

    Args:
        library: The library.
        recorded: Digests of the pipelines as they were installed when they were last renewed.

    Returns:
        Paths of the renewed ones in the library.
    """
    renewed = []
    for file, name in _pipelines(library):
        current = _digest(file)
        if current != installed_pipelines()[name] and current in (None, recorded.get(name)):
            atomic_write(file, template_path(name).read_bytes())
            renewed.append(file.relative_to(library.root).as_posix())
    return renewed


def own_pipelines(library: Library) -> list[str]:
    """Paths in the library of the pipelines that are the installed ones."""
    return [name for name in PIPELINE_FILES if _digest(library.root / name) == installed_pipelines()[name]]


def other_pipelines(library: Library) -> dict[str, Path]:
    """The pipelines that are not the installed ones, by their paths in the library, and where those are installed."""
    return {
        file.relative_to(library.root).as_posix(): template_path(name)
        for file, name in _pipelines(library)
        if _digest(file) != installed_pipelines()[name]
    }


def link_pipeline(pipeline: Path, link: Path) -> None:
    """Link the pipeline of all albums into one album, or copy it where links are not supported."""
    try:
        link.symlink_to(os.path.relpath(pipeline, link.parent))
    except OSError:
        shutil.copyfile(pipeline, link)


def _pipelines(library: Library) -> Iterator[tuple[Path, str]]:
    """The pipelines of a library and the copies that albums have, each with the path of the pipeline that it is."""
    for name in PIPELINE_FILES:
        yield library.root / name, name
    for album in library.album_names:
        file = library.pipeline_file(album)
        if not file.is_symlink() and not (library.folder(album) / FOLDER).is_dir():
            yield file, PIPELINE.as_posix()


def _digest(file: Path) -> str | None:
    return digest(file)[:_LENGTH] if file.is_file() else None
