"""Check every photo before any other stage opens it, and list the results.

The photos are untrusted: each one is first decoded in a process of its own. Later stages decode what was accepted
here in their own process. The ground truth is not opened.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realfill.album.layout import PHOTO_SUFFIXES, Album
from realfill.album.schemas import InputPhoto
from realfill.album.store import mirrored_path, write_rows
from realfill.core.atomic_io import atomic_directory
from realfill.core.errors import AlbumError, MaskError, PhotoError
from realfill.core.hashing import digest
from realfill.masking.album_hole import read_album_hole
from realfill.matching.reference_comparison import ReferenceComparison, Target
from realfill.matching.thumbnails import Thumbnail
from realfill.photo_io import decode_raw
from realfill.photo_io.color_management import read_srgb, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.decode_sandbox import DecodeSandbox
from realfill.photo_io.photo_info import PhotoInfo
from realfill.photo_io.working_files import write_lossless_tiff

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
    """Write inputs.parquet into `work/validate`; what cannot be used is refused, what is doubtful is warned of.

    References that were scanned from the wrong side are written into `mirrored/` there, turned over.

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
        rows, compared = _describe_hole(album, limits, rows)
        originals = {rows[0].digest: rows[0].file, target.content: rows[0].file}
        siblings: dict[str, ReferenceComparison] = {}
        for sibling in album.siblings:
            siblings |= _read_sibling(sibling, limits, sandbox, originals)
        rows += _check_references(_ReferenceCheck(album, limits, sandbox, compared, originals, siblings))
    rows += [_refuse(album, path, reason, "other") for path, reason in album.stray_files]
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
        for row in result.accepted:
            if row.mirrored:
                _write_mirrored(album.base / row.file, mirrored_path(folder, row))
    return result


def _inspect_developed(path: Path, sandbox: DecodeSandbox) -> PhotoInfo:
    """Describe the target or the mask, which is no camera raw file: the finished photo could not be one."""
    info = sandbox.inspect(path)
    if info.format == decode_raw.FORMAT:
        problem = "This is a camera raw file, which can only be a reference."
        raise PhotoError(problem, "Develop it in a raw converter and export it as a TIFF or JPEG.", path)
    return info


@dataclass(frozen=True)
class _ReferenceCheck:
    """What references are checked by.

    Attributes:
        album: The album.
        limits: What is accepted.
        sandbox: Decodes the photos.
        compared: The target, and the references that were accepted so far.
        originals: The first file with a digest, by the digests of its bytes and of its pixels; accepted references
            are added.
        siblings: The other targets of the album, by their files.
    """

    album: Album
    limits: ValidateParams
    sandbox: DecodeSandbox
    compared: ReferenceComparison
    originals: dict[str, str]
    siblings: dict[str, ReferenceComparison]


def _describe_hole(
    album: Album, limits: ValidateParams, rows: list[InputPhoto]
) -> tuple[list[InputPhoto], ReferenceComparison]:
    """Add what is doubtful about the hole to the rows of target and mask; what is wrong with it, `masks` says."""
    photo = read_photo(album.target)
    picture = to_srgb(photo)
    try:
        hole = read_album_hole(album, photo, picture, limits.max_megapixels)
    except MaskError:
        return rows, ReferenceComparison(None)
    warnings = {path.relative_to(album.base).as_posix(): texts for path, texts in hole.warnings.items()}
    rows = [_warn(row, *warnings.get(row.file, ())) for row in rows]
    extension = (hole.extension.left, hole.extension.top, hole.extension.right, hole.extension.bottom)
    return rows, ReferenceComparison(Target(picture, hole.mask, extension, "alpha" in hole.source.split("+")))


def _read_sibling(
    album: Album, limits: ValidateParams, sandbox: DecodeSandbox, originals: dict[str, str]
) -> dict[str, ReferenceComparison]:
    """What references are compared with of another target: none may be a copy of its damaged photo either."""
    info = _inspect_developed(album.target, sandbox)
    if album.mask is not None:
        _inspect_developed(album.mask, sandbox)
    row = _accept(album, album.target, "target", info)
    originals |= {row.digest: row.file, info.content: row.file}
    return {row.file: _describe_hole(album, limits, [])[1]}


def _check_references(check: _ReferenceCheck) -> list[InputPhoto]:
    """One row for each file in ref/."""
    album, rows = check.album, list[InputPhoto]()
    for path in album.references:
        accepted = sum(row.verdict == "accepted" for row in rows)
        if accepted == check.limits.max_references:
            rows.append(_refuse(album, path, f"There are more than {accepted} references. Choose the best of them."))
            continue
        row, info = _check_reference(path, check)
        if info is not None:
            rows = _compare_reference(row, Thumbnail(info.picture), rows, check)
        else:
            rows.append(row)
    supported = ", ".join(PHOTO_SUFFIXES)
    rows += [
        _refuse(album, path, f"It is not a supported photo (supported: {supported}).")
        for path in album.unrecognized_files
    ]
    return rows


def _check_reference(path: Path, check: _ReferenceCheck) -> tuple[InputPhoto, PhotoInfo | None]:
    """The row of a reference by itself, and its description if it can be used."""
    album, originals = check.album, check.originals
    try:
        path.name.encode()
        info = check.sandbox.inspect(path)
        row = _accept(album, path, "reference", info)
        _check_side(info, check.limits, path)
    except UnicodeEncodeError:
        return _refuse(album, path, "Its name is not valid UTF-8. Rename it."), None
    except PhotoError as error:
        refused = _refuse(album, path, f"{error.problem} {error.remedy}")
        with suppress(PhotoError):
            refused = replace(refused, digest=_digest_file(path))
        return refused, None
    original = originals.get(row.digest) or originals.get(info.content)
    if original:
        reason = f"It is the same photo as {original}."
        return replace(row, verdict="refused", reason=reason, duplicate_of=original), None
    originals |= {row.digest: row.file, info.content: row.file}
    return row, info


def _compare_reference(
    row: InputPhoto, thumbnail: Thumbnail, rows: list[InputPhoto], check: _ReferenceCheck
) -> list[InputPhoto]:
    """Add the row of a reference to those before, after comparing it with the target and with them."""
    compared, target = check.compared, check.album.target.relative_to(check.album.base).as_posix()
    for file, damaged in ({target: compared} | check.siblings).items():
        if damaged.repeats_damage(thumbnail, lambda: read_srgb(check.album.base / row.file)):
            reason = f"It is a copy of {file}, and shows no more of the missing part."
            return [*rows, replace(row, verdict="refused", reason=reason, duplicate_of=file)]
    if compared.is_mirrored(thumbnail):
        row = replace(_warn(row, "It fits the target only mirrored, and is used so."), mirrored=True)
        thumbnail = thumbnail.mirror()
    if compared.lacks_color(thumbnail):
        row = replace(
            _warn(
                row,
                "It has no colors of its own, though the target has; see on the page whether the fill looks right.",
            ),
            monochrome=True,
        )
    repeated = compared.find_repeated(thumbnail)
    if repeated:
        before = next(other for other in rows if other.file == repeated)
        if row.width * row.height <= before.width * before.height:
            return [*rows, _refuse_copy(row, before)]
        compared.drop(repeated)
        rows = [_refuse_copy(other, row) if other is before else other for other in rows]
    compared.use(row.file, thumbnail)
    return [*rows, row]


def _refuse_copy(row: InputPhoto, original: InputPhoto) -> InputPhoto:
    reason = f"It is a copy of {original.file}, which has at least as many pixels."
    return replace(row, verdict="refused", reason=reason, duplicate_of=original.file)


def _warn(row: InputPhoto, *warnings: str) -> InputPhoto:
    return replace(row, reason=" ".join(filter(None, (row.reason, *warnings))))


def _write_mirrored(source: Path, path: Path) -> None:
    photo = read_photo(source)
    alpha = None if photo.alpha is None else photo.alpha[:, ::-1]
    path.parent.mkdir(exist_ok=True)
    write_lossless_tiff(path, replace(photo, pixels=photo.pixels[:, ::-1], alpha=alpha))


def _check_side(info: PhotoInfo, limits: ValidateParams, path: Path) -> None:
    if min(info.width, info.height) < limits.min_side:
        problem = f"The photo has {info.width} x {info.height} pixels; each side needs {limits.min_side}."
        raise PhotoError(problem, "Use a larger version of it.", path)


def _accept(album: Album, path: Path, role: str, info: PhotoInfo) -> InputPhoto:
    return InputPhoto(
        role=role,
        file=path.relative_to(album.base).as_posix(),
        digest=_digest_file(path),
        verdict="accepted",
        reason=info.warning,
        **{name: value for name, value in asdict(info).items() if name not in ("content", "thumbnail", "warning")},
    )


def _refuse(album: Album, path: Path, reason: str, role: str = "reference") -> InputPhoto:
    """A refused file of which only the name is known."""
    return InputPhoto(
        role=role,
        file=os.fsencode(path.relative_to(album.base)).decode(errors="replace"),
        verdict="refused",
        reason=reason,
    )


def _digest_file(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise PhotoError(f"The file cannot be read ({error.strerror}).", "Check its permissions.", path) from error
