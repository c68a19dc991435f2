"""Which finished photos are delivered: those that were approved as they are now."""

from __future__ import annotations

from pathlib import Path

from realfill.delivery.deliver import Wish
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision


def choose_photos(folder: Path, *, everything: bool) -> tuple[list[Wish], dict[str, str]]:
    """Choose the finished photos of a folder that are delivered.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album.
        everything: Whether photos that nobody has decided about are delivered too.

    Returns:
        The photos, and why the others are left out, by name of the album.

    Raises:
        LibraryError: There is no such folder, or no album in it.
    """
    collection = Collection(folder)
    decisions = collection.journal.decisions()
    wishes, left_out = [], {}
    for name, finished in collection.albums().items():
        decision = decisions.get(name, Decision())
        reason = _explain_left_out(finished, decision, everything)
        if reason:
            left_out[name] = reason
        else:
            wishes.append(Wish(finished.album, decision.note))
    return wishes, left_out


def _explain_left_out(finished: FinishedAlbum, decision: Decision, everything: bool) -> str:
    """Why a photo is not delivered; empty if it is."""
    if decision.verdict == "rejected":
        return "It was rejected."
    if decision.pending:
        return "What was decided about it is not applied yet: run `realfill review --apply`."
    if decision.verdict == "approved":
        return "" if decision.covers(finished.provenance) else "It was made again since it was approved: look at it."
    return "" if everything else "Nobody has approved it."
