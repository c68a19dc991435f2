"""A night in which nothing is new: the attributes of the files tell, and neither Prefect nor a server is needed.

Loading Prefect and starting its temporary server takes longer than looking at a thousand finished albums.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dvc.exceptions import DvcException

from realfill.core.errors import RealFillError
from realfill.core.params import load_params
from realfill.library.engine import is_current
from realfill.library.night_table import choose_albums, make_table, sum_up
from realfill.library.publishing import publish
from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from realfill.review.journal import Journal


def pass_quiet_night(library: Library, albums: Sequence[str] | None) -> dict[str, Any] | None:
    """Publish a night in which nothing is new, as `complete_library` does.

    Args:
        library: The library's own clone.
        albums: Only these albums; all by default.

    Returns:
        What `complete_library` returns; None if there is, or may be, something to do: it is its turn then.

    Raises:
        LibraryError: There is no album of one of the names.
    """
    names = choose_albums(library, None if albums is None else list(albums))
    try:
        load_params(library.root / "params.yaml")
        freshness = FreshnessCache.read(library)
        if not _is_quiet(library, freshness, names):
            return None
        night = datetime.now().astimezone().date().isoformat()
        if not names:
            return sum_up(night, [], ())
        table = make_table(library, names, {}, night)
        publish(library, freshness, night, f"{datetime.now():%H%M%S}-{uuid.uuid4().hex[:8]}", table)
    # `complete_library` tells these, and tries again where that can help.
    except (RealFillError, DvcException, OSError):
        return None
    return sum_up(night, table, ())


def _is_quiet(library: Library, freshness: FreshnessCache, names: Sequence[str]) -> bool:
    """Whether the engine, the albums and what was decided about them are as they were."""
    if library.misnamed_folders or not is_current(library):
        return False
    if any(decision.pending for decision in Journal(library.root).decisions().values()):
        return False
    return all(map(freshness.is_unchanged, names))
