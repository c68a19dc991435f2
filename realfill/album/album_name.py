"""Which names album folders may have: in any script, but portable between file systems.

The finished photo and its provenance bear the album's name. DVC and git record it in UTF-8, Prefect shows it, and
pages link to it percent-encoded.
"""

from __future__ import annotations

import os
import unicodedata

_MAX_BYTES = 220  # file systems allow 255; names that are made from it, also by DVC, are up to 32 longer
_RESERVED = frozenset('<>:"/\\|?*')  # Windows; in DVC's targets ":" separates a file from a stage
_REFUSED_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, formatting, surrogates, separators of lines
_JOINERS = "\u200c\u200d"  # formatting characters that scripts such as Devanagari and Persian need

NAME_REMEDY = (
    f"Rename it, without any of {' '.join(sorted(_RESERVED))} and control characters, with at most {_MAX_BYTES} "
    "bytes of UTF-8."
)


def is_album_name(name: str) -> bool:
    """Whether an album folder may have this name."""
    return 0 < len(os.fsencode(name)) <= _MAX_BYTES and all(
        char not in _RESERVED and _is_allowed(char) for char in name
    )


def is_library_album_name(name: str) -> bool:
    """Whether an album of a library may have this name.

    It is no hidden folder, no option of a command, and has no brackets: remotes take them for patterns of names when
    they delete a folder.
    """
    return is_album_name(name) and name[0] not in " .-" and not set("[]") & set(name)


def _is_allowed(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char) not in _REFUSED_CATEGORIES
