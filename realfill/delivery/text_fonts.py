"""Fonts that have the letters of a text: DejaVu Sans, which comes along, and those of the machine."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from fontTools.ttLib import TTFont

BOX = "□"  # stands for a letter that no font has
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
_STYLED = re.compile(r"bold|italic|oblique|light|thin|black|medium|heavy|condensed|mono\b|serif", re.IGNORECASE)
_FAMILIES = ("NotoSans", "NotoColorEmoji", "Noto")
_INVISIBLE = ("Cc", "Cf", "Mn")  # control characters, joiners, and marks on the letter before


@dataclass(frozen=True)
class TextFonts:
    """Fonts of a text.

    Attributes:
        paths: The files, the first one that has a letter draws it.
        missing: Letters that none of them has.
    """

    paths: tuple[Path, ...]
    missing: frozenset[str]

    def replace_missing(self, text: str) -> str:
        """The text with boxes for the letters that no font has."""
        return "".join(BOX if letter in self.missing else letter for letter in text)


def find_fonts(texts: Iterable[str], folders: Iterable[Path] | None = None) -> TextFonts:
    """Find fonts that have all letters of texts.

    Args:
        texts: The texts.
        folders: Where fonts lie; None for the places where Linux and macOS have them.
    """
    base = Path(str(files("realfill.delivery") / "fonts" / "DejaVuSans.ttf"))
    missing = {ord(letter) for text in texts for letter in text if unicodedata.category(letter) not in _INVISIBLE}
    paths = []
    for path in (base, *_installed_fonts(font_folders() if folders is None else folders)):
        if not missing:
            break
        has = _read_letters(path) & missing
        if has or path == base:
            paths.append(path)
            missing -= has
    return TextFonts(tuple(paths or [base]), frozenset(map(chr, missing)))


def font_folders() -> tuple[Path, ...]:
    """The folders of the machine's fonts."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    mac = (Path("/System/Library/Fonts"), Path("/Library/Fonts"))
    return (home / "fonts", Path.home() / ".fonts", *(Path(folder) / "fonts" for folder in shared if folder), *mac)


def _installed_fonts(folders: Iterable[Path]) -> Iterator[Path]:
    """Font files, upright ones of common families first."""

    def key(path: Path) -> tuple[bool, int, str]:
        family = next((rank for rank, name in enumerate(_FAMILIES) if path.name.startswith(name)), len(_FAMILIES))
        return bool(_STYLED.search(path.stem)), family, path.name

    paths = {
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and path.is_file()
    }
    yield from sorted(paths, key=key)


def _read_letters(path: Path) -> set[int]:
    """The code points that a font has; empty if it cannot be read or embedded."""
    try:
        with TTFont(path, lazy=True, fontNumber=0) as font:
            may_embed = "OS/2" not in font or not font["OS/2"].fsType & 0x2
            return set(font.getBestCmap() or ()) if may_embed else set()
    except Exception:  # on damaged files it raises errors of any type
        return set()
