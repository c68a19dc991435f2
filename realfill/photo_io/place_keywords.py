"""Keywords that tell a place: hierarchies below a root such as "Places", and machine tags.

Lightroom, digiKam, Windows, Bridge and others write them so: `Places|France|Paris`, `Places/France/Paris`. They often
repeat each level as a keyword of its own; such a name counts as a place where a hierarchy tells that it is one. Other
names of places cannot be told from other words, and stay, as after Lightroom's "remove location info".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_ROOT = re.compile(  # in the languages of the programs
    r"places?|locations?|geo|geotag(s|ged|ging)?|geograph(y|ic|ie|ia|ía)|gps|where|countr(y|ies)|cit(y|ies)|towns?"
    r"|orte?|standorte?|l[äa]nder|lieux?|localisation|lugar(es)?|luog(o|hi)|localit[àa]|plaats(en)?|locaties?"
    r"|loca(l|is)|plats(er)?|sted(er)?|paikat|miejsc[ae]|m[íi]st[ao]|места?|場所|地点|地點|位置|장소",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[|/\\>]\s*")
_MACHINE_TAG = re.compile(r"(geo|places?|location|gps|osm|foursquare|woe|geonames|cell)\w*:\w+\s*=", re.IGNORECASE)
_LIST_SEPARATOR = re.compile(r"[;,\0\n]")


def split_levels(keyword: str) -> list[str]:
    """The levels of a hierarchical keyword, from the root on."""
    return [level for level in _SEPARATOR.split(keyword.strip("\0 ")) if level]


def is_root(level: str) -> bool:
    """Whether hierarchies below a keyword tell places."""
    return bool(_ROOT.fullmatch(level.strip()))


def find_place_names(keywords: Iterable[str]) -> frozenset[str]:
    """The names of places that hierarchical keywords tell, in lower case."""
    hierarchies = [levels for levels in map(split_levels, keywords) if levels and is_root(levels[0])]
    return frozenset(level.lower() for levels in hierarchies for level in levels[1:])


def tells_place(keyword: str, names: Collection[str] = ()) -> bool:
    """Whether a keyword tells a place; `names`, in lower case, are those of known places."""
    root, *levels = split_levels(keyword) or [""]
    is_hierarchy = bool(levels) and is_root(root)
    return is_hierarchy or bool(_MACHINE_TAG.match(keyword.strip())) or keyword.strip("\0 ").lower() in names


def redact_list(text: str, names: Collection[str] = ()) -> str:
    """Overwrite those keywords of a list that tell a place, by spaces; they are separated by semicolons or commas."""
    start, parts = 0, []
    for end in [*(match.start() for match in _LIST_SEPARATOR.finditer(text)), len(text)]:
        keyword = text[start:end]
        bare = keyword.lstrip(";,\0\n")
        parts.append(keyword[: len(keyword) - len(bare)] + (" " * len(bare) if tells_place(bare, names) else bare))
        start = end
    return "".join(parts)
