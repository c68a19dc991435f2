"""Choosing another candidate than the best-ranked one.

The choice is stored in the album's `album.yaml` as `blend: {candidate: N}`. This is a parameter that DVC watches: a
choice makes `blend` and `export` stale and nothing else, and it holds until it is taken back.
"""

from __future__ import annotations

from typing import Any

import yaml

from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.store import find_provenance, read_document
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import ParamsError
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
        _check_candidate(album, candidate)
        path = album.root / "album.yaml"
        if path.is_symlink():
            problem = "The file is a link, which the choice would replace."
            raise ParamsError(problem, f"Set blend.candidate to {candidate} in the file that it points to.", path)
        values = read_yaml(path) if path.exists() else {}
        text = path.read_bytes().decode() if path.exists() else ""
        edited = _edit_settings(text, values, candidate)
        if edited is None:
            problem = "The choice cannot be written into this file without changing its other settings."
            raise ParamsError(problem, f"Set blend.candidate to {candidate} in it by hand.", path)
        if edited != text:
            atomic_write(path, edited)


def _check_candidate(album: Album, candidate: str) -> None:
    ranking = read_document(find_provenance(album)).get("ranking", [])
    numbers = [str(number) for number in sorted(row["candidate"] for row in ranking)]
    if candidate not in (*numbers, "best"):
        problem = f"There is no candidate {candidate[:20]!r}."
        raise ParamsError(problem, f"Choose one of {', '.join(numbers)}, or best.", album.root)


def _edit_settings(text: str, values: dict[str, Any], candidate: str) -> str | None:
    """The text of `album.yaml` with the choice in it; None if the edited text would not mean exactly that."""
    blend = values.get("blend") or {}
    if candidate == "best" and "candidate" not in blend:
        return text
    choice = candidate if candidate == "best" else int(candidate)
    try:
        edited = splice_value(text, "blend", "candidate", candidate)
        return edited if parse_yaml(edited) == values | {"blend": blend | {"candidate": choice}} else None
    except ParamsError:
        return None


def splice_value(text: str, section: str, name: str, value: str) -> str:
    """Insert or replace `section.name` in the text of a YAML mapping and keep all other characters.

    Args:
        text: The mapping; check that the result means what is meant, before it is used.
        section: A key of the mapping.
        name: A key of the section.
        value: The value as it is written in YAML.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return f"{text.rstrip()}\n{section}: {{{name}: {value}}}\n".lstrip()
    values = _child(root, section)
    if values is None:
        return _insert_entry(text, root, f"{section}: {{{name}: {value}}}")
    if not isinstance(values, yaml.MappingNode):
        return _replace_node(text, values, f"{{{name}: {value}}}")
    current = _child(values, name)
    if current is None:
        return _insert_entry(text, values, f"{name}: {value}")
    return _replace_node(text, current, value)


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
