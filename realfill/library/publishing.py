"""Publishing a night: the library table and the gallery, recorded with DVC, pushed, and committed to git."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dvc.exceptions import DvcException

from realfill.core.atomic_io import atomic_write
from realfill.core.errors import RealFillError
from realfill.core.hashing import digest_json
from realfill.library import run_history
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import ENGINE
from realfill.library.gallery import update_gallery
from realfill.library.git import IDENTITY, run_git
from realfill.library.pipeline_files import own_pipelines
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow
from realfill.library.staleness import FreshnessCache

logger = logging.getLogger("realfill.publishing")


def publish(
    library: Library, freshness: FreshnessCache, night: str, run: str, rows: Sequence[HistoryRow], note: str = ""
) -> None:
    """Write the library table and the gallery, record them with DVC, push them, and commit to git what git tracks.

    Args:
        library: The library's own clone.
        freshness: Which albums are known to be up to date; it is stored.
        night: Date of the night, YYYY-MM-DD.
        run: Name of this run among those of the night.
        rows: One row for each album.
        note: What else the commit says, or empty.

    Raises:
        RemoteError: The remote does not take them.
        LibraryError: Git refuses.
    """
    table = library.root / "data" / "nights.dvc"
    run_history.write_rows(library, night, run, rows)
    if not table.is_file():
        atomic_write(table, "outs:\n- path: nights\n")
    failures = [{"album": row.album, "reason": row.reason, "scores": row.scores} for row in rows if row.reason]
    gallery_digest = digest_json([freshness.fingerprints, failures])
    if gallery_digest != freshness.gallery_digest:
        try:
            update_gallery(library, [asdict(row) for row in rows])
            freshness.gallery_digest = gallery_digest
        except (RealFillError, DvcException, UnicodeError) as error:  # DVC cannot record names that are not UTF-8
            logger.error("The gallery is not recorded: %s", error)
    freshness.write(library.album_names)
    with open_dvc_state(library.root, table, library.root / "dvc.yaml") as dvc_state:
        dvc_state.commit(table)
    with open_dvc_state(library.root, table, library.root / "dvc.yaml") as dvc_state:
        if dvc_state.has_remote:
            dvc_state.push()
    message = "\n\n".join(filter(None, (f"Night of {night}", note)))
    commit_data(library.root, message, own_pipelines(library))


def commit_data(root: Path, message: str, pipelines: Sequence[str] = ()) -> None:
    """Commit to git what changed below data/, in dvc.lock, in engine.yaml and in pipelines, and nothing else.

    Does nothing outside a git repository.

    Args:
        root: Root of the library.
        message: The commit's message.
        pipelines: Paths of pipelines that are realfill's own, and not edited.

    Raises:
        LibraryError: Git refuses.
    """
    if not (root / ".git").exists():
        return
    paths = ["data", *(name for name in ("dvc.lock", ENGINE, *pipelines) if (root / name).is_file())]
    run_git(root, "add", "--all", "--", *paths)
    if run_git(root, "diff", "--cached", "--name-only", "--", *paths):
        run_git(root, *IDENTITY, "commit", "--quiet", "-m", message, "--", *paths)
