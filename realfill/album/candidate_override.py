"""Choosing another candidate than the best-ranked one.

The choice is stored in the album's `album.yaml` as `blend: {candidate: N}`. This is a parameter that DVC watches: a
choice makes `blend` and `export` stale and nothing else, and it holds until it is taken back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.store import find_provenance, read_document
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import ParamsError
from realfill.core.params import BlendParams
from realfill.core.validation import parse_yaml, read_yaml


def override_candidate(album: Album, candidate: str) -> None:
    """Choose the candidate that `blend` delivers, whatever its rank.

    Everything else in `album.yaml`, comments and formatting included, stays as it is.

    Args:
        album: A finished album.
        candidate: Number of a candidate on the album's page, or "best" to follow the ranking again.

    Raises:
        ParamsError: There is no candidate of that number, or `album.yaml` is written in a way that cannot be edited
            safely, or is not YAML.
        StageError: The album is not finished: there is nothing to choose from yet.
        AlbumError: Another run is working on the album.
    """
    with album_lock(album):
        check_candidate(album, candidate)
        override_blend(album, {"candidate": candidate if candidate == "best" else int(candidate)})


def check_candidate(album: Album, candidate: str) -> None:
    """Check that a finished album has a candidate of this number, or that it is "best".

    Raises:
        ParamsError: There is none.
        StageError: The album is not finished.
    """
    ranking = read_document(find_provenance(album)).get("ranking", [])
    numbers = [str(number) for number in sorted(row["candidate"] for row in ranking)]
    if candidate not in (*numbers, "best"):
        problem = f"There is no candidate {candidate[:20]!r}."
        raise ParamsError(problem, f"Choose one of {', '.join(numbers)}, or best.", album.root)


def override_blend(album: Album, choice: Mapping[str, Any]) -> None:
    """Write values of the section `blend` into `album.yaml`, as `override_candidate` does; the caller has the lock.

    Args:
        album: The album.
        choice: Values by name, JSON types. A default value is written only over another one.

    Raises:
        ParamsError: `album.yaml` is written in a way that cannot be edited safely, or is not YAML, or is a link.
    """
    path = album.root / "album.yaml"
    if path.is_symlink():
        problem = "The file is a link, which the choice would replace."
        raise ParamsError(problem, f"Set {_describe(choice)} in the file that it points to.", path)
    values = read_yaml(path) if path.exists() else {}
    text = path.read_bytes().decode() if path.exists() else ""
    edited = _edit_blend(text, values, choice)
    if edited is None:
        problem = "The choice cannot be written into this file without changing its other settings."
        raise ParamsError(problem, f"Set {_describe(choice)} in it by hand.", path)
    if edited != text:
        atomic_write(path, edited)


def override_hole(album: Album, *, keep_transparency: bool) -> None:
    """Leave the hole to the mask file: empty boxes and polygons in `album.yaml`; the caller has the lock.

    Args:
        album: The album.
        keep_transparency: Whether transparent pixels of the target are no longer filled.

    Raises:
        ParamsError: As for `override_blend`.
    """
    path = album.root / "album.yaml"
    values = read_yaml(path) if path.is_file() else {}
    changes: dict[str, Any] = {name: [] for name in ("boxes", "polygons") if values.get(name)}
    if keep_transparency:
        changes["transparency"] = "keep"
    if not changes:
        return
    text = path.read_bytes().decode() if path.is_file() else ""
    for name, value in changes.items():
        text = _splice_top(text, name, _format(value))
    if path.is_symlink() or parse_yaml(text) != values | changes:
        problem = "The mask takes the place of other descriptions of the hole, which cannot be removed here safely."
        wanted = ", ".join(f"{name}: {_format(value)}" for name, value in changes.items())
        raise ParamsError(problem, f"Write this into it by hand: {wanted}.", path)
    atomic_write(path, text)


def _splice_top(text: str, name: str, value: str) -> str:
    """Insert or replace a key of the text of a YAML mapping, as `splice_value` does for a key of a section."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return f"{text.rstrip()}\n{name}: {value}\n".lstrip()
    return _splice_entry(text, root, name, value)


def _splice_entry(text: str, mapping: yaml.MappingNode, name: str, value: str) -> str:
    node = _child(mapping, name)
    if node is None:
        return _insert_entry(text, mapping, f"{name}: {value}")
    is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    return _replace_node(text, node, value + "\n" * is_block)


def _edit_blend(text: str, values: dict[str, Any], choice: Mapping[str, Any]) -> str | None:
    """The text of `album.yaml` with the choice in it; None if the edited text would not mean exactly that."""
    blend = values.get("blend") or {}
    defaults = BlendParams().model_dump(mode="json")
    choice = {name: value for name, value in choice.items() if name in blend or value != defaults[name]}
    try:
        for name, value in choice.items():
            text = splice_value(text, "blend", name, _format(value))
        return text if not choice or parse_yaml(text) == values | {"blend": blend | choice} else None
    except ParamsError:
        return None


def _describe(choice: Mapping[str, Any]) -> str:
    return ", ".join(f"blend.{name} to {_format(value)}" for name, value in choice.items())


def _format(value: Any) -> str:
    """A value as it is written in YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def splice_value(text: str, section: str, name: str, value: str) -> str:
    """Insert or replace `section.name` in the text of a YAML mapping and keep all other characters.

    Args:
        text: The mapping; check that the result means what is meant, before it is used.
        section: A key of the mapping.
        name: A key of the section.
        value: The value as it is written in YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    values = _child(root, section) if isinstance(root, yaml.MappingNode) else None
    if not isinstance(values, yaml.MappingNode):
        return _splice_top(text, section, f"{{{name}: {value}}}")
    return _splice_entry(text, values, name, value)


def _child(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return {key.value: value for key, value in mapping.value}.get(name)


def _insert_entry(text: str, mapping: yaml.MappingNode, entry: str) -> str:
    """Insert "key: value" as the first entry of a mapping, in flow or block style as the mapping is."""
    if not mapping.value:
        return _replace_node(text, mapping, f"{{{entry}}}")
    first = mapping.value[0][0].start_mark
    separator = ", " if mapping.flow_style else "\n" + first.column * " "
    return text[: first.index] + entry + separator + text[first.index :]


def _replace_node(text: str, node: yaml.Node, value: str) -> str:
    before, after = text[: node.start_mark.index], text[node.end_mark.index :]
    return f"{before}{' ' if before.endswith(':') else ''}{value}{after}"
