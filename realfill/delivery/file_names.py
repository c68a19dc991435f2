"""The names of delivered files, from a template."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping, Sequence

from realfill.core.errors import ParamsError

SIDECAR = ".authenticity"  # follows the name of a photo in that of its map
_FIELDS = ("album", "target", "number")
_MAX_BYTES = 200  # file systems allow 255; suffixes follow
_REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')  # by some file system, or by zip archives
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # of Windows


def name_files(template: str, photos: Sequence[Mapping[str, str]]) -> list[str]:
    """The file names of photos, without suffix, in their order.

    Characters that a file system refuses become "_". Names differ in more than upper and lower case.

    Args:
        template: Text with {album}, {target} and {number}; the last counts from 1, with as many digits as the largest
            number has, or as `{number:04}` says.
        photos: "album" and "target" of each: the name of the photo as everywhere, and that of its folder alone, which
            is the target's in an album of several.

    Raises:
        ParamsError: The template is not one, or two photos get the same name.
    """
    _check(template)
    digits = len(str(len(photos)))
    names = [
        _make_safe(template.format(**photo, number=_Number(number, digits))) for number, photo in enumerate(photos, 1)
    ]
    owners: dict[str, str] = {}
    for name, photo in zip(names, photos, strict=True):
        other = owners.setdefault(name.casefold().removesuffix(SIDECAR), photo["album"])
        if other != photo["album"]:
            problem = f"delivery.names gives the photos of {other} and {photo['album']} the same name, {name!r}."
            raise ParamsError(problem, "Add {album} or {number} to it.")
    return names


class _Number:
    """A number with leading zeros, unless a format says otherwise."""

    def __init__(self, value: int, digits: int) -> None:
        self.value, self.digits = value, digits

    def __format__(self, spec: str) -> str:
        return format(self.value, spec or f"0{self.digits}")


def _check(template: str) -> None:
    remedy = f"Use text with {', '.join(f'{{{field}}}' for field in _FIELDS)}, e.g. '{{number:04}} {{album}}'."
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ParamsError(f"delivery.names is no template ({error}).", remedy) from error
    for _, field, spec, conversion in parts:
        is_number = field == "number" and re.fullmatch(r"(0?\d{1,2})?d?", spec or "") is not None
        if field is not None and (field not in _FIELDS or conversion or (spec and not is_number)):
            raise ParamsError(f"delivery.names cannot have {{{field}}} in this way.", remedy)


def _make_safe(name: str) -> str:
    safe = _REFUSED.sub("_", name).strip(" .")
    encoded = os.fsencode(safe)[:_MAX_BYTES]
    safe = encoded.decode("utf-8", errors="ignore").strip(" .")
    return f"_{safe}" if not safe or _DEVICES.fullmatch(safe) else safe
