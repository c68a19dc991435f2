"""Applying decisions: what was chosen is written into the albums, and their photos are made again.

Each choice is written once: the journal notes which one was. A choice that was written, but whose photo was not made
since, is seen from the photo's provenance; making it again does nothing where it is up to date.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import yaml

from realfill.album.candidate_override import override_blend, override_hole
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.store import find_provenance, read_document
from realfill.core.atomic_io import atomic_write
from realfill.core.errors import MaskError, RealFillError, StageError
from realfill.core.hashing import digest
from realfill.core.parameter_sources import merge_values
from realfill.core.params import BASE_MODELS, Params
from realfill.imaging.ops import Pixels
from realfill.library.gallery import update_gallery
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision
from realfill.review.mask_edits import (
    is_kept,
    keep_mask,
    make_private,
    read_described_hole,
    read_repainted,
    read_undrawn_hole,
)

_LAST_LINES = 3  # of what a failing command printed


def apply_decisions(
    collection: Collection, on_album: Callable[[str], None] = lambda _: None
) -> dict[str, RealFillError | None]:
    """Write all choices that are pending into their albums, and make those photos again.

    Args:
        collection: The albums.
        on_album: Called with the name of each album before it is worked on.

    Returns:
        The albums that were worked on, by name: None, or why it failed; such an album is tried again next time.
    """
    outcomes: dict[str, RealFillError | None] = {}
    for name, finished in collection.albums().items():
        decision = collection.journal.decisions().get(name, Decision())
        if not finished.is_pending(decision):
            continue
        on_album(name)
        try:
            write_choice(collection, name)
            _make_again(collection, finished)
            outcomes[name] = None
        except RealFillError as error:
            outcomes[name] = error
    if collection.library and any(error is None for error in outcomes.values()):
        update_gallery(collection.library)
    return outcomes


def write_choices(collection: Collection) -> dict[str, RealFillError]:
    """Write all choices that are pending into their albums; the next run makes the photos again.

    Returns:
        Why it failed, by name of the album; such a choice stays pending.
    """
    problems = {}
    for name in collection.albums():
        try:
            write_choice(collection, name)
        except RealFillError as error:
            problems[name] = error
    return problems


def write_choice(collection: Collection, name: str) -> None:
    """Write the choice about an album into its `album.yaml` and its mask, if it is pending, and note that.

    Raises:
        AlbumError: A run is working on the album.
        ParamsError: `album.yaml` cannot be edited safely.
        MaskError: The mask was changed by somebody else since it was repainted.
    """
    if not collection.journal.decisions().get(name, Decision()).pending:
        return
    album = _open(collection, name)
    with album_lock(album):
        decision = collection.journal.decisions()[name]
        if decision.base:
            _write_mask(album, decision, collection.journal.folder)
        regions = [region.model_dump(mode="json") for region in decision.regions]
        wanted = decision.wanted_candidate
        override_blend(album, {"regions": regions} | ({} if wanted is None else {"candidate": wanted}))
        collection.journal.append(name, "applied", decision.choice)
    if collection.library:
        collection.library.commit_photos(album.base.name)


def _open(collection: Collection, name: str) -> Album:
    album = open_album(collection.albums()[name].album.root)
    if collection.library:
        collection.library.prepare(album.base.name)
    return album


def _write_mask(album: Album, decision: Decision, folder: Path) -> None:
    """Replace the description of the hole by the repainted mask; what is replaced is kept in the journal's folder."""
    wanted, current = read_repainted(decision.base, decision.strokes, folder), read_described_hole(album)
    if (wanted == current).all():
        return
    if not is_kept(current, folder):
        if not decision.strokes:
            return
        problem = "The hole was described anew since it was repainted in the review; the strokes do not fit it."
        raise MaskError(problem, "Undo the strokes in the review.", album.mask or album.root / "album.yaml")
    undrawn = read_undrawn_hole(album)
    no_shapes = album.settings.model_copy(update={"boxes": (), "polygons": ()})
    transparent = read_undrawn_hole(replace(album, settings=no_shapes))
    for mask in (wanted, wanted | undrawn):  # the latter stands between the two files that are written
        keep_mask(mask, folder)
    make_private(folder / "replaced")
    for path in filter(None, (album.mask, album.root / "album.yaml")):
        if path.is_file():
            copy = folder / "replaced" / album.name / f"{digest(path)[:16]}-{path.name}"
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
    _replace_mask(album, wanted)
    override_hole(album, keep_transparency=bool((transparent & ~wanted).any()))


def _replace_mask(album: Album, mask: Pixels) -> None:
    """Write a mask in the place of the album's: at any moment there is one of the two, and not both.

    A mask of another format is first replaced under its own name, then renamed; photos are read by their content.
    """
    path = album.root / "target" / "mask.png"
    before = album.mask or path
    atomic_write(before, bytes(imagecodecs.png_encode(mask)))
    before.rename(path)


def _make_again(collection: Collection, finished: FinishedAlbum) -> None:
    """Run the stages of an album that are stale: by DVC in a library, so that it finds the album up to date.

    Raises:
        StageError: A stage failed, or the album was made in a way that is not known here.
    """
    if collection.library:
        pipeline = collection.library.pipeline_file(finished.album.base.name).relative_to(collection.library.root)
        _call(finished, "-m", "dvc", "repro", str(pipeline), folder=collection.library.root)
        return
    with tempfile.TemporaryDirectory() as folder:
        params = Path(folder) / "params.yaml"
        params.write_text(yaml.safe_dump(_former_params(finished)))
        _call(finished, "-m", "realfill", "complete", str(finished.album.root), "--params", str(params))


def _former_params(finished: FinishedAlbum) -> dict[str, Any]:
    """The parameters that a photo was made with, without the choice of candidates."""
    params = _common_params(finished.album) if finished.album.siblings else dict(finished.provenance["params"])
    model = params["base"]["model"]
    if model not in BASE_MODELS:
        problem = f"The album was made with the model folder {model!r}, whose place is not known here."
        remedy = "Run `realfill complete` as you did before: the choice is in its album.yaml."
        raise StageError(problem, remedy, finished.album.root)
    blend = {name: value for name, value in params["blend"].items() if name not in ("candidate", "regions")}
    return {name: value for name, value in params.items() if value is not None} | {"blend": blend}


def _common_params(album: Album) -> dict[str, Any]:
    """The parameters that the photos of all targets of an album were made with, but for those in their album.yaml."""
    params = Params().model_dump(mode="json", by_alias=True)
    for target in album.targets:
        if find_provenance(target).is_file():
            made_with = read_document(find_provenance(target))["params"]
            params = merge_values(params, _leave_out(made_with, target.settings.overrides))
    return params


def _leave_out(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values without those of other nested values."""
    return {
        name: _leave_out(value, names[name]) if isinstance(value, dict) and name in names else value
        for name, value in values.items()
        if isinstance(value, dict) or name not in names
    }


def _call(finished: FinishedAlbum, *command: str, folder: Path | None = None) -> None:
    """Run a command of this Python in a process of its own, which takes the memory of the stages with it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        told = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
        problem = f"The photo could not be made again: {' '.join(told or lines[-_LAST_LINES:])}"
        raise StageError(problem, "Mend that; it is tried again the next time.", finished.album.root)
