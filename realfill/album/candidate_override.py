"""The choice of another candidate than the best-ranked one.

It is kept in the album's `album.yaml`, as `blend: {candidate: N}`: a parameter that DVC watches, so a choice calls
for blend and export again and nothing else, and it holds until it is taken back.
"""

from __future__ import annotations

import yaml

from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.store import read_document
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import ParamsError


def pick(album: Album, candidate: str) -> None:
    """Make a candidate the one that `blend` delivers, whatever its rank; all else in `album.yaml` stays as it is.

    Args:
        album: A finished album.
        candidate: Number of a candidate on the album's page, or "best" to follow the ranking again.

    Raises:
        ParamsError: There is no candidate of that number, or `album.yaml` is written in a way that only its author
            can change.
        StageError: The album is not finished: there is nothing to choose from yet.
        AlbumError: A run is working on the album.
    """
    with album_lock(album):
        _check(album, candidate)
        path = album.root / "album.yaml"
        text = path.read_bytes().decode() if path.exists() else ""
        changed = _with_choice(text, candidate)
        if changed is None:
            problem = "The choice cannot be written into this file without changing what else it says."
            raise ParamsError(problem, f"Set blend.candidate to {candidate} in it by hand.", path)
        if changed != text:
            atomic_write(path, changed)


def _check(album: Album, candidate: str) -> None:
    ranking = read_document(album.provenance)["ranking"]
    numbers = [str(number) for number in sorted(row["candidate"] for row in ranking)]
    if candidate not in (*numbers, "best"):
        problem = f"There is no candidate {candidate[:20]!r}."
        raise ParamsError(problem, f"Choose one of {', '.join(numbers)}, or best.", album.root)


def _with_choice(text: str, candidate: str) -> str | None:
    """The settings with the choice in them, all other characters as they were; None where that cannot be done."""
    wanted = yaml.safe_load(text) or {}
    blend = wanted.get("blend") or {}
    if candidate == "best" and "candidate" not in blend:
        return text
    wanted["blend"] = blend | {"candidate": candidate if candidate == "best" else int(candidate)}
    try:
        changed = _spliced(text, candidate)
        return changed if yaml.safe_load(changed) == wanted else None
    except yaml.YAMLError:
        return None


def _spliced(text: str, candidate: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return f"{text.rstrip()}\nblend: {{candidate: {candidate}}}\n".lstrip()
    blend = _value(root, "blend")
    if blend is None:
        return _inserted(text, root, f"blend: {{candidate: {candidate}}}")
    if not isinstance(blend, yaml.MappingNode):
        return _replaced(text, blend, f"{{candidate: {candidate}}}")
    chosen = _value(blend, "candidate")
    if chosen is None:
        return _inserted(text, blend, f"candidate: {candidate}")
    return _replaced(text, chosen, candidate)


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return {key.value: value for key, value in mapping.value}.get(name)


def _inserted(text: str, mapping: yaml.MappingNode, entry: str) -> str:
    if not mapping.value:
        return _replaced(text, mapping, f"{{{entry}}}")
    first = mapping.value[0][0].start_mark
    separator = ", " if mapping.flow_style else "\n" + first.column * " "
    return text[: first.index] + entry + separator + text[first.index :]


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    before, after = text[: node.start_mark.index], text[node.end_mark.index :]
    return f"{before}{' ' if before.endswith(':') else ''}{value}{after}"
