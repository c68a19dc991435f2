"""Opening an album folder: find its files and check its layout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from realfill.album.album_name import NAME_REMEDY, is_album_name
from realfill.album.dvc_links import is_cache_link
from realfill.album.layout import DEVELOPED_SUFFIXES, PHOTO_SUFFIXES, Album, target_name
from realfill.album.settings import read_settings, read_target_settings
from realfill.album.several_targets import FOLDER, album_around, member_folders, target_folders, targets_called
from realfill.album.stray_files import SYSTEM_FILES, find_lookalikes, find_stray_files
from realfill.core.errors import AlbumError, OutputError, TransientError, printable


def open_album(root: Path, out: Path | None = None) -> Album:
    """Open an album folder.

    Args:
        root: The album folder, or, of an album of several targets, the folder of one of them.
        out: Where results are written, in `work/` and `completed/`, those of a target among several in
            `targets/<name>/` there; the album folder if None.

    Raises:
        AlbumError: The folder does not follow the layout.
        ParamsError: A key or value of `album.yaml` is not allowed.
        OutputError: Results would be written through a symbolic link.
        TransientError: The folder cannot be read.
    """
    try:
        return _open_album(Path(os.path.realpath(root)), out)
    except OSError as error:
        problem = f"This cannot be read ({error.strerror})."
        raise TransientError(
            problem, "Check the path, its permissions and its disk.", error.filename or root
        ) from error


def open_targets(folder: Path, out: Path | None = None) -> list[Album]:
    """Open all targets of an album, sorted by name; of an album of one target, this one.

    Args:
        folder: The album folder, or that of one of its targets.
        out: As for `open_album`.

    Raises:
        RealFillError: As for `open_album`.
    """
    folder = Path(os.path.realpath(folder))
    try:
        members = member_folders(folder)
    except OSError:
        members = [folder]  # `open_album` tells
    return [open_album(member, out) for member in members]


def _open_album(root: Path, out: Path | None) -> Album:
    if not root.is_dir():
        raise AlbumError("There is no such folder.", "Give the path of an album folder.", root)
    if folders := target_folders(root):
        remedy = f"Name one of them, e.g. {root.name}/targets/{printable(folders[0].name)}."
        raise AlbumError(f"This album has {len(folders)} targets.", remedy, root)
    around = album_around(root)
    album = _read_album(root, around, out)
    others = () if around is None else (folder for folder in target_folders(around) if folder != root)
    return replace(album, siblings=tuple(_read_album(folder, around, out) for folder in others))


def _read_album(root: Path, around: Path | None, out: Path | None) -> Album:
    """Open an album of one target, or a target in the album folder `around`, without its siblings."""
    base = around or root
    results = out if out is None or around is None else out / FOLDER / root.name
    _check_name(root, around)
    _check_results(root, results)
    if around is not None:
        _check_results(around, out)
    return Album(
        root=root,
        out=root if results is None else Path(os.path.realpath(results)),
        target=_find_target(root),
        mask=_find_one(root, "mask"),
        ground_truth=_find_one(root, "gt"),
        references=_find_references(base),
        settings=read_settings(root / "album.yaml") if around is None else read_target_settings(root, around),
        unrecognized_files=_find_unrecognized(base / "ref"),
        stray_files=tuple(sorted({*find_stray_files(root), *find_stray_files(base)})),
        around=around,
    )


def _check_name(root: Path, around: Path | None) -> None:
    name = target_name(root, around)
    namesake = None if around is None else next(_find_namesakes(root, name, around.parent), None)
    if namesake is not None:
        problem = f"This target and {printable(str(namesake))} are both called {name} in galleries and deliveries."
        raise AlbumError(problem, "Rename the folder of one of them.", root)
    if not is_album_name(root.name) or not is_album_name(name):
        problem = "The folder's name has characters that not all systems allow in file names, or is too long."
        raise AlbumError(problem, NAME_REMEDY, root)
    if printable(str(root.parent)) != str(root.parent):
        problem = "The path of the folder has control characters, or is not UTF-8."
        raise AlbumError(problem, "Move it, or rename the folders above it.", root)


def _find_namesakes(root: Path, name: str, folder: Path) -> Iterator[Path]:
    """The albums in a folder, and the targets of albums in it, that have the name of a target too."""
    yield from (path for path in targets_called(name, folder) if path != root)
    if (folder / name / "target").is_dir():
        yield folder / name


def _check_results(root: Path, out: Path | None) -> None:
    """Check that results go where the user sees them go: a link could lead them over files anywhere.

    DVC links files of results to its cache, but never their folders.
    """
    remedy = "Replace it by a folder, or choose another place for the results with --out."
    folder = root if out is None else Path(os.path.normpath(out.absolute()))
    if folder.is_relative_to(root) and not Path(os.path.realpath(folder)).is_relative_to(root):
        raise OutputError("This leads out of the album by a symbolic link.", remedy, folder)
    if printable(str(folder)) != str(folder):
        problem = "The path of the results has control characters, or is not UTF-8."
        raise OutputError(problem, "Choose another place for them with --out.", folder)
    work = folder / "work"
    for path in (folder / "completed", work, *work.glob("*"), *work.glob(".*/*")):
        if path.is_symlink():
            raise OutputError("Results are not written through a symbolic link.", remedy, path)


def _find_target(root: Path) -> Path:
    target = _find_one(root, "target")
    if target is not None:
        return target
    if any(path.parents[1].name != "target" for path in root.glob("*/target/target.*")):
        raise AlbumError("This is a folder of albums.", f"Name the albums in it: {root.name}/*", root)
    raise AlbumError(
        f"There is no target photo.{_describe_lookalikes(root, 'target')}",
        "Put the photo to complete at target/target.jpg, or several at targets/NAME/target/target.jpg "
        f"(supported: {', '.join(DEVELOPED_SUFFIXES)}).",
        root,
    )


def _find_one(root: Path, stem: str) -> Path | None:
    """The photo in target/ whose name without suffix is `stem`, in letters of any case."""
    folder = root / "target"
    photos = [path for path in _find_photos(root, folder) if path.stem.lower() == stem]
    if len(photos) > 1:
        names = ", ".join(path.name for path in photos)
        newest = max(photos, key=lambda path: path.stat().st_mtime_ns).name
        remedy = f"Keep one of them; {newest} is the newest."
        raise AlbumError(f"There are several files called {stem}: {names}.", remedy, folder)
    return photos[0] if photos else None


def _find_references(root: Path) -> tuple[Path, ...]:
    photos = _find_photos(root, root / "ref")
    if not photos:
        raise AlbumError(
            f"There is no reference photo.{_describe_lookalikes(root, 'ref')}",
            f"Put 1 to 20 photos of the same scene into ref/ (supported: {', '.join(PHOTO_SUFFIXES)}).",
            root,
        )
    return tuple(photos)


def _describe_lookalikes(root: Path, folder: str) -> str:
    """What there is instead of a folder or of the photo in it."""
    names = [path.relative_to(root).as_posix() for path in find_lookalikes(root, folder)]
    return f" There is {', '.join(names[:3])}, which is not read." if names else ""


def _find_unrecognized(folder: Path) -> tuple[Path, ...]:
    visible = (path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in SYSTEM_FILES)
    return tuple(sorted(path for path in visible if path.suffix.lower() not in PHOTO_SUFFIXES))


def _find_photos(root: Path, folder: Path) -> list[Path]:
    """Files with a photo's suffix, sorted by name; hidden ones do not count.

    Raises:
        AlbumError: One of them is no regular file, or links to a file outside the album, other than DVC's cache.
    """
    if not folder.is_dir():
        return []
    photos = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES and path.name[0] != "."
    )
    for path in photos:
        is_inside = Path(os.path.realpath(path)).is_relative_to(root) or is_cache_link(path, root)
        if not is_inside or not path.is_file():
            raise AlbumError(
                "This is not a regular file inside the album.",
                "Replace it by a copy of the photo itself.",
                path,
            )
    return photos
