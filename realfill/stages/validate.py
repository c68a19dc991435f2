"""Check every photo before any other stage opens it, and list the results.

The photos are untrusted: each one is first decoded in a process of its own. Later stages decode what was accepted
here in their own process. The ground truth is not opened.
"""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realfill.album.layout import PHOTO_SUFFIXES, Album
from realfill.album.schemas import InputPhoto
from realfill.album.store import write_rows
from realfill.core.atomic_io import atomic_directory
from realfill.core.errors import AlbumError, PhotoError
from realfill.core.hashing import digest
from realfill.photo_io import decode_raw
from realfill.photo_io.decode_sandbox import DecodeSandbox
from realfill.photo_io.photo_info import PhotoInfo

if TYPE_CHECKING:
    from realfill.core.params import Params, ValidateParams

logger = logging.getLogger("realfill.validate")


@dataclass(frozen=True)
class ValidateResult:
    """Result of `run`.

    Attributes:
        inputs: The target, the mask if there is one, and all files in ref/: the rows of inputs.parquet.
    """

    inputs: tuple[InputPhoto, ...]

    @property
    def accepted(self) -> tuple[InputPhoto, ...]:
        """The references that are used."""
        return self._references("accepted")

    @property
    def refused(self) -> tuple[InputPhoto, ...]:
        """The references that are not used, each with the reason."""
        return self._references("refused")

    def _references(self, verdict: str) -> tuple[InputPhoto, ...]:
        return tuple(row for row in self.inputs if row.role == "reference" and row.verdict == verdict)


def run(album: Album, params: Params) -> ValidateResult:
    """Write inputs.parquet into `work/validate`; references that cannot be used are refused and logged.

    Raises:
        PhotoError: The target or the mask cannot be used.
        AlbumError: No reference can be used.
        StageError: The process that decodes photos does not start.
    """
    limits = params.validate_
    with DecodeSandbox(limits.max_megapixels, limits.timeout) as sandbox:
        target = _inspect_developed(album.target, sandbox)
        _check_side(target, limits, album.target)
        rows = [_accept(album, album.target, "target", target)]
        if album.mask is not None:
            rows.append(_accept(album, album.mask, "mask", _inspect_developed(album.mask, sandbox)))
        originals = {rows[0].digest: rows[0].file, target.content: rows[0].file}
        rows += _check_references(album, limits, sandbox, originals)
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
        write_rows(folder / "inputs.parquet", InputPhoto, rows)
    return result


def _inspect_developed(path: Path, sandbox: DecodeSandbox) -> PhotoInfo:
    """Describe the target or the mask, which is no camera raw file: the finished photo could not be one."""
    info = sandbox.inspect(path)
    if info.format == decode_raw.FORMAT:
        problem = "This is a camera raw file, which can only be a reference."
        raise PhotoError(problem, "Develop it in a raw converter and export it as a TIFF or JPEG.", path)
    return info


def _check_references(
    album: Album, limits: ValidateParams, sandbox: DecodeSandbox, originals: dict[str, str]
) -> list[InputPhoto]:
    """One row for each file in ref/.

    Args:
        album: The album.
        limits: What is accepted.
        sandbox: Decodes the photos.
        originals: The first file with a digest, by the digests of its bytes and of its pixels; accepted references
            are added.
    """
    rows: list[InputPhoto] = []
    for path in album.references:
        accepted = sum(row.verdict == "accepted" for row in rows)
        if accepted == limits.max_references:
            rows.append(_refuse(album, path, f"There are more than {accepted} references. Choose the best of them."))
        else:
            rows.append(_check_reference(album, path, limits, sandbox, originals))
    supported = ", ".join(PHOTO_SUFFIXES)
    rows += [
        _refuse(album, path, f"It is not a supported photo (supported: {supported}).")
        for path in album.unrecognized_files
    ]
    return rows


def _check_reference(
    album: Album, path: Path, limits: ValidateParams, sandbox: DecodeSandbox, originals: dict[str, str]
) -> InputPhoto:
    try:
        path.name.encode()
        info = sandbox.inspect(path)
        row = _accept(album, path, "reference", info)
    except UnicodeEncodeError:
        return _refuse(album, path, "Its name is not valid UTF-8. Rename it.")
    except PhotoError as error:
        return replace(_refuse(album, path, f"{error.problem} {error.remedy}"), digest=_digest_file(path))
    try:
        _check_side(info, limits, path)
    except PhotoError as error:
        return replace(row, verdict="refused", reason=f"{error.problem} {error.remedy}")
    original = originals.get(row.digest) or originals.get(info.content)
    if original:
        return replace(row, verdict="refused", reason=f"It is the same photo as {original}.", duplicate_of=original)
    originals |= {row.digest: row.file, info.content: row.file}
    return row


def _check_side(info: PhotoInfo, limits: ValidateParams, path: Path) -> None:
    if min(info.width, info.height) < limits.min_side:
        problem = f"The photo has {info.width} x {info.height} pixels; each side needs {limits.min_side}."
        raise PhotoError(problem, "Use a larger version of it.", path)


def _accept(album: Album, path: Path, role: str, info: PhotoInfo) -> InputPhoto:
    return InputPhoto(
        role=role,
        file=path.relative_to(album.root).as_posix(),
        digest=_digest_file(path),
        verdict="accepted",
        reason=info.warning,
        **{name: value for name, value in asdict(info).items() if name not in ("content", "warning")},
    )


def _refuse(album: Album, path: Path, reason: str) -> InputPhoto:
    """A refused reference of which only the name is known."""
    return InputPhoto(
        role="reference",
        file=os.fsencode(path.relative_to(album.root)).decode(errors="replace"),
        verdict="refused",
        reason=reason,
    )


def _digest_file(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise PhotoError(f"The file cannot be read ({error.strerror}).", "Check its permissions.", path) from error
