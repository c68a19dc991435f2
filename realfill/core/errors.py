"""Errors that a user can act on: each says what is wrong, how to fix it, and which file is at fault."""

from __future__ import annotations

import unicodedata
from pathlib import Path

_UNPRINTABLE = ("Cc", "Cs")  # Unicode categories: control characters, surrogates


class RealFillError(Exception):
    """Base class of all errors caused by the input, the parameters, the installation or the environment.

    Args:
        problem: What is wrong, a sentence.
        remedy: How to fix it, a sentence.
        path: The file or folder at fault, or None.
    """

    def __init__(self, problem: str, remedy: str, path: Path | str | None = None) -> None:
        super().__init__(problem, remedy, path)
        self.problem = problem
        self.remedy = remedy
        self.path = None if path is None else Path(path)

    def __str__(self) -> str:
        place = f"{printable(str(self.path))}: " if self.path else ""
        return place + printable(f"{self.problem} {self.remedy}", keep="\n")


class AlbumError(RealFillError):
    """An album does not follow the layout, has no usable reference, or is in use by another run."""


class PhotoError(RealFillError):
    """An image file cannot be used."""


class MaskError(RealFillError):
    """The hole is not described, or its description is not plausible."""


class ParamsError(RealFillError):
    """A parameter is unknown, of the wrong type, or out of range, or its file cannot be read."""


class ModelError(RealFillError):
    """A base model, a matcher or a metric's network is missing, incomplete, or of the wrong kind."""


class TuningError(RealFillError):
    """Fine-tuning cannot continue."""


class StageError(RealFillError):
    """A stage, or a process that it needs, cannot run; for example, a stage that it reads from has not run."""


class ExportError(RealFillError):
    """The finished photo cannot be written in the requested format."""


class DecisionError(RealFillError):
    """A decision of the review does not fit what the album is by now."""


class OutputError(RealFillError):
    """Results would replace something that realfill did not write."""


class CredentialsError(RealFillError):
    """Content credentials cannot be written or read: the certificate, its key or the photo does not allow it."""


class LibraryError(RealFillError):
    """The library of albums, its DVC repository or its Prefect server cannot be used."""


class TransientError(RealFillError):
    """The environment prevents the run: the same run may succeed later, or on another machine."""


class RemoteError(TransientError):
    """The DVC remote cannot be reached, read or written."""


class SpaceError(TransientError):
    """The disk is too full to start, or to continue."""


def printable(text: str, keep: str = "") -> str:
    r"""Write control characters, and bytes of file names that are not UTF-8, as escapes such as \n and \xf6.

    Args:
        text: Any text; bytes that are not UTF-8 are surrogates, as Python has them in file names (PEP 383).
        keep: Control characters that stay as they are.
    """
    return "".join(
        char if char in keep or unicodedata.category(char) not in _UNPRINTABLE else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    is_byte = "\udc80" <= char <= "\udcff"
    return f"\\x{ord(char) - 0xDC00:02x}" if is_byte else ascii(char)[1:-1]
