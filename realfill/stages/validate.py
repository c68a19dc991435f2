"""Checking every photo before anything else opens it, and listing what was found.

The photos come from strangers: each is first decoded in a process apart (see `probe`). What this stage accepted,
later stages read in their own process. The ground truth is never opened.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from realfill.album.layout import SUFFIXES, Album
from realfill.album.schemas import Input
from realfill.album.store import write_rows
from realfill.core.atomic_io import atomic_directory
from realfill.core.errors import AlbumError, PhotoError
from realfill.core.hashing import digest
from realfill.core.params import Params, ValidateParams
from realfill.photo_io.decode_sandbox import DecodeSandbox, PhotoInfo

logger = logging.getLogger("realfill.validate")


@dataclass(frozen=True)
class ValidateResult:
    """What `run` found.

    Attributes:
        inputs: The target, the mask if there is one, and every reference, as in inputs.parquet.
    """

    inputs: tuple[Input, ...]

    @property
    def accepted(self) -> tuple[Input, ...]:
        """The references that are used."""
        return self._references("accepted")

    @property
    def refused(self) -> tuple[Input, ...]:
        """The references that are not used, each with its reason."""
        return self._references("refused")

    def _references(self, verdict: str) -> tuple[Input, ...]:
        return tuple(row for row in self.inputs if row.role == "reference" and row.verdict == verdict)


def run(album: Album, params: Params) -> ValidateResult:
    """Write inputs.parquet into `work/validate`; a reference that cannot be used is refused with a logged reason.

    Raises:
        PhotoError: The target or the mask cannot be used.
        AlbumError: No reference can be used.
        StageError: The process that decodes photos does not start.
    """
    limits = params.validate_
    with DecodeSandbox(limits.max_megapixels, limits.timeout) as prober:
        target = prober.find(album.target)
        _check_side(target, limits, album.target)
        rows = [_row(album, album.target, "target", target)]
        if album.mask is not None:
            rows.append(_row(album, album.mask, "mask", prober.find(album.mask)))
        rows += _references(album, limits, prober, {rows[0].digest: rows[0].file, target.content: rows[0].file})
    result = ValidateResult(tuple(rows))
    for row in rows:
        if row.reason:
            logger.warning("%s: %s: %s: %s", album.name, row.file, row.verdict, row.reason)
    if not result.accepted:
        reasons = " ".join(f"{row.file}: {row.reason}" for row in result.refused[:3])
        raise AlbumError(
            f"None of the {len(result.refused)} references can be used. {reasons}",
            f"Put 1 to {limits.max_references} other photos of the same scene into ref/.",
            album.root,
        )
    with atomic_directory(album.work("validate")) as folder:
        write_rows(folder / "inputs.parquet", Input, rows)
    return result


def _references(album: Album, limits: ValidateParams, prober: DecodeSandbox, seen: dict[str, str]) -> list[Input]:
    """One row a file in ref/; `seen` maps digests of files and of decoded pixels to the file that had them first."""
    rows: list[Input] = []
    for path in album.references:
        accepted = sum(row.verdict == "accepted" for row in rows)
        if accepted == limits.max_references:
            rows.append(_unread(album, path, f"There are more than {accepted} references. Choose the best of them."))
        else:
            rows.append(_reference(album, path, limits, prober, seen))
    known = ", ".join(SUFFIXES)
    strangers = [_unread(album, path, f"It is no photo that is read ({known} are).") for path in album.strangers]
    return rows + strangers


def _reference(
    album: Album, path: Path, limits: ValidateParams, prober: DecodeSandbox, seen: dict[str, str]
) -> Input:
    try:
        path.name.encode()
        finding = prober.find(path)
        row = _row(album, path, "reference", finding)
    except UnicodeEncodeError:
        return _unread(album, path, "Its name is not valid UTF-8. Rename it.")
    except PhotoError as error:
        return replace(_unread(album, path, f"{error.problem} {error.remedy}"), digest=_digest(path))
    try:
        _check_side(finding, limits, path)
    except PhotoError as error:
        return replace(row, verdict="refused", reason=f"{error.problem} {error.remedy}")
    original = seen.get(row.digest) or seen.get(finding.content)
    if original:
        return replace(row, verdict="refused", reason=f"It is the same photo as {original}.", duplicate_of=original)
    seen |= {row.digest: row.file, finding.content: row.file}
    return row


def _check_side(finding: PhotoInfo, limits: ValidateParams, path: Path) -> None:
    if min(finding.width, finding.height) < limits.min_side:
        problem = f"The photo has {finding.width} x {finding.height} pixels; each side needs {limits.min_side}."
        raise PhotoError(problem, "Use a larger version of it.", path)


def _row(album: Album, path: Path, role: str, finding: PhotoInfo) -> Input:
    return Input(
        role=role,
        file=path.relative_to(album.root).as_posix(),
        digest=_digest(path),
        format=finding.format,
        width=finding.width,
        height=finding.height,
        mode=finding.mode,
        bits=finding.bits,
        orientation=finding.orientation,
        icc=finding.icc,
        exif=finding.exif,
        sharpness=finding.sharpness,
        duplicate_of="",
        verdict="accepted",
        reason=finding.warning,
    )


def _unread(album: Album, path: Path, reason: str) -> Input:
    """A refused reference of which nothing but the name is known."""
    return Input(
        role="reference",
        file=os.fsencode(path.relative_to(album.root)).decode(errors="replace"),
        digest="",
        format="",
        width=0,
        height=0,
        mode="",
        bits=0,
        orientation=1,
        icc="",
        exif=False,
        sharpness=0.0,
        duplicate_of="",
        verdict="refused",
        reason=reason,
    )


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise PhotoError(f"The file cannot be read ({error.strerror}).", "Check its rights.", path) from error
