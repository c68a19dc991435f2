"""The engine of a library: which code makes its results.

`engine.yaml` in the library's root holds a fingerprint for each stage. Git keeps it, and DVC watches it line by line
(`params:` in the pipelines), so that after an upgrade exactly the stages rerun whose code changed. It also holds the
digests by which `pipeline_files` renews the pipelines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import yaml

from realfill.album.layout import Album
from realfill.album.several_targets import FOLDER
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import LibraryError, RealFillError
from realfill.core.fingerprint import code_fingerprint
from realfill.core.hashing import digest_json
from realfill.library.pipeline_files import installed_pipelines, other_pipelines, renew_pipelines
from realfill.library.repository import Library
from realfill.library.target_pipelines import plain_stage_name
from realfill.library.watched_settings import complete_params
from realfill.pipeline import STAGES, stage_fingerprint

ENGINE = "engine.yaml"
_HEADER = """\
# The engine: a fingerprint of the code, data and library versions by which each stage's results are made. DVC watches
# it, so that after an upgrade the stages rerun whose code changed. Written by `realfill engine` and by every night.
"""


@dataclass(frozen=True)
class Renewal:
    """What an upgrade changed in a library.

    Attributes:
        stages: The stages, and `gallery`, whose code changed: DVC reruns them, for every album that was completed.
        pipelines: Paths of the pipelines that were renewed.
        edited: Paths of the pipelines that stay as the user edited them, and where the installed ones are.
    """

    stages: list[str]
    pipelines: list[str]
    edited: Mapping[str, Path]

    @property
    def notes(self) -> list[str]:
        """What was renewed, sentences."""
        stages = [f"{ENGINE} is renewed: the code changed of {', '.join(self.stages)}."] if self.stages else []
        return [*stages, *(f"{name} is renewed, as this version of realfill has it." for name in self.pipelines)]

    @property
    def warnings(self) -> list[str]:
        """What was not renewed, sentences."""
        return [
            f"{name} was edited and stays as it is. This version of realfill has another one: take over its changes "
            f"from {path}, or copy it."
            for name, path in self.edited.items()
        ]


@cache
def installed_engine() -> Mapping[str, str]:
    """The fingerprint of each stage, of the gallery, and of the pipelines, as this installation has them."""
    return MappingProxyType(dict(_installed_stages()) | dict(installed_pipelines()))


@cache
def _installed_stages() -> Mapping[str, str]:
    stages = {stage.name: stage_fingerprint(stage) for stage in STAGES}
    return MappingProxyType(stages | {"gallery": code_fingerprint("realfill.library.gallery")})


def engine_digest() -> str:
    """Digest of the whole installed engine, hex."""
    return digest_json(dict(installed_engine()))


def read_engine(library: Library) -> dict[str, str]:
    """The engine that a library's results are made by; empty where none is written down yet.

    Raises:
        LibraryError: `engine.yaml` cannot be read.
    """
    path = library.root / ENGINE
    if not path.is_file():
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {str(name): str(fingerprint) for name, fingerprint in document.items()}
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise LibraryError("This is not an engine file that can be read.", "Run `realfill engine`.", path) from error


def changed_stages(library: Library) -> list[str]:
    """The stages, and `gallery`, whose code here is not what `engine.yaml` says."""
    recorded = _read_engine_or_nothing(library)
    return [name for name, fingerprint in _installed_stages().items() if recorded.get(name) != fingerprint]


def is_current(library: Library) -> bool:
    """Whether `renew_engine` would change nothing and has nothing to say."""
    return _read_engine_or_nothing(library) == installed_engine() and not other_pipelines(library)


def renew_engine(library: Library) -> Renewal:
    """Bring a library up to the installed version: `engine.yaml`, and the pipelines that nobody edited.

    Albums get the keys of `album.yaml`, and the library the values of `params.yaml`, that a renewed pipeline watches.
    """
    changed, recorded = changed_stages(library), _read_engine_or_nothing(library)
    renewed = renew_pipelines(library, recorded)
    if renewed:
        with suppress(RealFillError):  # DVC names the value that is missing
            complete_params(library.root)
    for name in library.album_names:
        if renewed or (library.folder(name) / FOLDER).is_dir():
            with suppress(RealFillError):  # of its own, which is told when it is opened
                library.prepare(name)
    if recorded != installed_engine():
        lines = [f"{name}: '{fingerprint}'\n" for name, fingerprint in installed_engine().items()]
        atomic_write(library.root / ENGINE, _HEADER + "".join(lines))
    return Renewal(changed, renewed, other_pipelines(library))


def _read_engine_or_nothing(library: Library) -> dict[str, str]:
    try:
        return read_engine(library)
    except LibraryError:
        return {}


def require_engine(album: Album, stage: str) -> None:
    """See that a stage of a library's album is run by the code that `engine.yaml` names.

    DVC would record it as the work of that code otherwise. An album outside of a library is nothing to this.

    Raises:
        LibraryError: The installed code of the stage is another one.
    """
    library = Library.enclosing(album.root)
    if library is None or album.base.parent != library.albums_folder:
        return
    if read_engine(library).get(stage) != installed_engine()[stage]:
        problem = f"The installed code of the stage '{stage}' is not the one that {ENGINE} names."
        raise LibraryError(problem, "Run `realfill engine` in the library, then again.", library.root / ENGINE)


def results_of_other_code(library: Library) -> dict[str, list[str]]:
    """The albums whose results were made by other code than the installed one, by the name of the stage."""
    results: dict[str, list[str]] = {}
    for name in library.album_names:
        for stage, fingerprint in _recorded_fingerprints(library.folder(name) / "dvc.lock"):
            albums = results.setdefault(stage, [])
            if fingerprint != installed_engine().get(stage) and name not in albums:
                albums.append(name)
    return {stage: albums for stage, albums in results.items() if albums}


def _recorded_fingerprints(lock: Path) -> Iterator[tuple[str, str]]:
    """The stages of a `dvc.lock` with the fingerprint of the code that made each; empty where none was recorded."""
    if not lock.is_file():
        return
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages") or {}
    for name, stage in stages.items():
        params = stage.get("params") or {}
        watched: dict[str, str] = next((values for file, values in params.items() if file.endswith(f"/{ENGINE}")), {})
        yield plain_stage_name(name), str(watched.get(name, ""))
