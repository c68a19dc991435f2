"""The pipeline of an album of several targets in a library.

Its `dvc.yaml` is written from the pipeline of all albums: each stage stands there once for each target, as
`<stage>-<target>`, and a shared stage once, which depends on all targets.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from realfill.album.album_name import is_library_album_name
from realfill.album.layout import SHARED_STAGES, Album
from realfill.album.settings import HoleDescription
from realfill.album.several_targets import FOLDER, target_folders
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import LibraryError
from realfill.core.validation import known_keys
from realfill.pipeline import Stage

_HEADER = """\
# Written by realfill from pipelines/album.dvc.yaml, for the targets of this album, and written anew when that or the
# targets change.
"""
_REFUSED = frozenset("@${}")  # DVC takes them for a part of a name, or for a variable


def dvc_stage_name(stage: Stage, album: Album) -> str:
    """The name by which DVC knows a stage of an album, or of a target of an album of several."""
    return stage.name if album.around is None or stage.shared else f"{stage.name}-{album.root.name}"


def plain_stage_name(name: str) -> str:
    """The name of the stage that DVC knows by this one."""
    return name.partition("-")[0]


def renew_target_pipeline(pipeline: Path, folder: Path) -> None:
    """Write the `dvc.yaml` of an album of several targets, and track the photos of those that are new.

    Nothing happens to an album of one target.

    Args:
        pipeline: The pipeline of all albums.
        folder: The album's folder in the library.

    Raises:
        LibraryError: A target has a name that DVC cannot take, or the pipeline of all albums cannot be read.
        AlbumError: The folders of the targets do not follow the layout.
    """
    targets = target_folders(folder)
    if not targets:
        return
    for target in targets:
        _check_name(target)
        if not (target / "target.dvc").is_file():
            atomic_write(target / "target.dvc", "outs:\n- path: target\n")
    document = make_target_pipeline(_read_pipeline(pipeline), [target.name for target in targets])
    text = _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    file = folder / "dvc.yaml"
    if file.is_symlink():
        file.unlink()
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        atomic_write(file, text)


def make_target_pipeline(pipeline: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    """The pipeline of an album with targets of these names.

    Args:
        pipeline: The pipeline of all albums, as its YAML file has it.
        targets: Names of the targets' folders.
    """
    stages: dict[str, Any] = {}
    for name, stage in pipeline["stages"].items():
        if name in SHARED_STAGES:
            stages[name] = _share(name, stage, targets)
        else:
            stages |= {f"{name}-{target}": _move(name, stage, target, targets) for target in targets}
    files = [path for entry in pipeline.get("metrics", ()) for path in _move_paths([entry], targets)]
    rest = {key: value for key, value in pipeline.items() if key not in ("stages", "metrics")}
    return rest | {"stages": stages, "metrics": list(dict.fromkeys(files))}


def _share(name: str, stage: Mapping[str, Any], targets: Sequence[str]) -> dict[str, Any]:
    """A stage that is run once, for all targets."""
    cmd = _name_target(stage["cmd"], name, targets[0])
    return {**stage, "cmd": cmd, "deps": list(dict.fromkeys(_move_paths(stage["deps"], targets)))}


def _move(name: str, stage: Mapping[str, Any], target: str, targets: Sequence[str]) -> dict[str, Any]:
    """A stage that is run for one target."""
    deps, params = _move_paths(stage["deps"], [target]), _move_params(stage["params"], target)
    if name == "validate":  # compares the references with all targets
        others = [other for other in targets if other != target]
        deps += _move_paths(["target"], others)
        params += [{f"{FOLDER}/{other}/album.yaml": known_keys(HoleDescription)} for other in others]
    outs = [
        {_move_path(path, target): options for path, options in out.items()}
        if isinstance(out, dict)
        else _move_path(out, target)
        for out in stage["outs"]
    ]
    return {**stage, "cmd": _name_target(stage["cmd"], name, target), "deps": deps, "params": params, "outs": outs}


def _move_params(params: Sequence[Mapping[str, Any]], target: str) -> list[dict[str, Any]]:
    """The parameters that a stage of one target watches: also those of its own `album.yaml`."""
    return list(_watch(params, target))


def _watch(params: Sequence[Mapping[str, Any]], target: str) -> Iterator[dict[str, Any]]:
    for entry in params:
        yield dict(entry)
        if "album.yaml" in entry:
            yield {f"{FOLDER}/{target}/album.yaml": entry["album.yaml"]}


def _move_paths(paths: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Paths in the album, in the folder of each target that has its own."""
    return [moved for path in paths for moved in dict.fromkeys(_move_path(path, target) for target in targets)]


def _move_path(path: str, target: str) -> str:
    """A path in the album, in a target's folder unless all targets share it."""
    parts = PurePosixPath(path).parts
    is_shared = parts[0] == "ref" or (parts[0] == "work" and parts[1] in SHARED_STAGES)
    return path if is_shared else f"{FOLDER}/{target}/{path}"


def _name_target(command: str, stage: str, target: str) -> str:
    """The command of a stage, for a target instead of the album."""
    return command.replace(f" {stage} . ", f" {stage} {shlex.quote(f'{FOLDER}/{target}')} ")


def _check_name(target: Path) -> None:
    if not is_library_album_name(target.name) or not _REFUSED.isdisjoint(target.name):
        problem = "In a library, the folder of a target cannot have this name."
        remedy = f"Rename it, without any of {' '.join(sorted(_REFUSED))} [ ], and a dot, hyphen or space before it."
        raise LibraryError(problem, remedy, target)


def _read_pipeline(pipeline: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = yaml.safe_load(pipeline.read_text(encoding="utf-8"))
        assert document["stages"]
    except (OSError, ValueError, LookupError, TypeError, AssertionError, yaml.YAMLError) as error:
        raise LibraryError("This is no pipeline.", "Run `realfill engine`.", pipeline) from error
    return document
