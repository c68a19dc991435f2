"""The `album.yaml` of a library's album: it has every key that DVC watches, with or without a value.

Stages may also watch single values of `params.yaml`. DVC cannot watch these in `album.yaml`: it refuses files without
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from realfill.album.candidate_override import splice_value
from realfill.album.layout import Album
from realfill.album.settings import AlbumSettings
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import ParamsError
from realfill.core.params import AlbumParams, Params
from realfill.core.validation import parse_yaml, read_yaml
from realfill.pipeline import STAGES

WATCHED_KEYS = (
    *(name for name in AlbumSettings.model_fields if name != "overrides"),
    *(field.alias or name for name, field in AlbumParams.model_fields.items()),
)
LIBRARY_VALUES = tuple(sorted({key for stage in STAGES for key in stage.values}))  # of params.yaml alone
_HEADER = """\
# Settings of this album alone: the hole, where target/mask.* does not draw it, and values that override those of
# params.yaml, e.g. `blend: {candidate: 3}`. Leave every key in its place: DVC watches them one by one.
"""


def read_settings_values(folder: Path) -> dict[str, object]:
    """The values in an album's `album.yaml`; empty without one.

    Raises:
        ParamsError: It cannot be read, or is not YAML.
    """
    path = folder / "album.yaml"
    return read_yaml(path) if path.exists() else {}


def write_settings(values: Mapping[str, object], folder: Path) -> None:
    """Write an `album.yaml` with these values."""
    complete = {key: values.get(key) for key in WATCHED_KEYS}
    atomic_write(folder / "album.yaml", _HEADER + yaml.safe_dump(complete, sort_keys=False))


def complete_settings(folder: Path) -> None:
    """Add the keys that an `album.yaml` lacks, without a value; everything else in it stays.

    It lacks keys where it was emptied, or where the pipeline of a later version watches more of them.

    Raises:
        ParamsError: It cannot be read, or is written in a way that cannot be edited safely.
    """
    path, values = folder / "album.yaml", read_settings_values(folder)
    missing = [key for key in WATCHED_KEYS if key not in values]
    if not missing:
        return
    text = path.read_bytes().decode() if path.exists() else _HEADER
    edited = _append_keys(text if values else _remove_node(text), missing)
    if not _holds(edited, values | dict.fromkeys(missing)):
        problem = f"Keys that DVC watches are missing: {', '.join(missing)}."
        raise ParamsError(problem, f"Add them without a value, each in a line of its own: `{missing[0]}:`.", path)
    atomic_write(path, edited)


def complete_params(root: Path) -> None:
    """Add the single values that DVC watches and that a library's `params.yaml` lacks, with their defaults.

    Raises:
        ParamsError: The file cannot be read, or is written in a way that cannot be edited safely.
    """
    path = root / "params.yaml"
    for key in LIBRARY_VALUES:
        section, _, name = key.partition(".")
        values = read_yaml(path)
        inner = values.get(section) or {}
        if name in inner:
            continue
        default = Params().value(key)
        edited = splice_value(path.read_bytes().decode(), section, name, str(default))
        if not _holds(edited, values | {section: inner | {name: default}}):
            raise ParamsError(f"The value {key} is missing, which DVC watches.", f"Add it: `{default}`.", path)
        atomic_write(path, edited)


def refuse_unwatched(album: Album) -> None:
    """See that an album of a library does not override what holds for the whole library.

    Raises:
        ParamsError: Its `album.yaml` does. DVC would not notice.
    """
    if not (album.base / "dvc.yaml").is_file():
        return
    for key in LIBRARY_VALUES:
        section, _, name = key.partition(".")
        if name in (album.settings.overrides.get(section) or {}):
            problem = f"{key} holds for all albums of a library."
            raise ParamsError(problem, "Set it in the library's params.yaml instead.", album.root / "album.yaml")


def _remove_node(text: str) -> str:
    """The text of a YAML document without its only node; comments stay."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return text if root is None else text[: root.start_mark.index] + text[root.end_mark.index :]


def _append_keys(text: str, keys: list[str]) -> str:
    """The text of a YAML mapping in block style, or of no node, with keys after it."""
    separator = "" if not text or text.endswith("\n") else "\n"
    return text + separator + "".join(f"{key}:\n" for key in keys)


def _holds(text: str, values: Mapping[str, object]) -> bool:
    try:
        return bool(parse_yaml(text) == values)
    except ParamsError:
        return False
