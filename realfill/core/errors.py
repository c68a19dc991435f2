"""Errors a user can act on: each names the file, what is wrong, and how to mend it."""

from __future__ import annotations

from pathlib import Path


class RealFillError(Exception):
    """Base of every error that is the input's, the parameters' or the installation's fault.

    Args:
        problem: What is wrong, as a sentence.
        remedy: What to do about it, as a sentence.
        path: The file or folder at fault, if there is one.
    """

    def __init__(self, problem: str, remedy: str, path: Path | str | None = None) -> None:
        super().__init__(problem, remedy, path)
        self.problem = problem
        self.remedy = remedy
        self.path = None if path is None else Path(path)

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}{self.problem} {self.remedy}"


class AlbumError(RealFillError):
    """An album folder does not follow the layout."""


class PhotoError(RealFillError):
    """An image file cannot be used."""


class MaskError(RealFillError):
    """The missing part is not described, or described in a way that cannot be meant."""


class ParamsError(RealFillError):
    """A parameter is unknown, of the wrong type, or out of range."""


class ModelError(RealFillError):
    """A base model or a matcher is missing, incomplete, or of the wrong kind."""


class TuningError(RealFillError):
    """Fine-tuning cannot go on."""


class StageError(RealFillError):
    """A stage is asked to run before the stages it reads from."""


class ExportError(RealFillError):
    """The finished photo cannot be written as asked."""


class LibraryError(RealFillError):
    """The library of albums, its DVC repository or its Prefect server cannot be used."""


class TransientError(RealFillError):
    """Something outside the album is in the way: the same run may succeed later, or on another machine."""


class RemoteError(TransientError):
    """The DVC remote cannot be reached, read or written."""


class SpaceError(TransientError):
    """The disk is too full to begin, or to go on."""
