"""Delivering finished photos: those that were approved as they are now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from realfill.core.errors import LibraryError
from realfill.core.params import DeliveryParams
from realfill.delivery.deliver import Delivery, Wish, deliver
from realfill.delivery.signing import make_signer
from realfill.library.repository import Library
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision


def deliver_approved(
    folder: Path,
    out: Path,
    settings: DeliveryParams,
    ask_passphrase: Callable[[Path], str],
    *,
    everything: bool = False,
    on_left_out: Callable[[str, str], None] = lambda _, __: None,
    on_album: Callable[[str], None] = lambda _: None,
) -> Delivery:
    """Deliver the approved photos of a folder, see `delivery.deliver`.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album.
        out: The folder to create, or the archive if it ends in `.zip`.
        settings: Names and credentials.
        ask_passphrase: Gives the passphrase of the key, whose path it gets; called only if the key needs one.
        everything: Whether photos that nobody has decided about are delivered too.
        on_left_out: Called with the name of each album that is left out, and why.
        on_album: Called with the name of each album before it is worked on.

    Raises:
        LibraryError: There is no such folder, or no photo in it is approved.
        CredentialsError: The photos are to be signed and cannot be.
        RealFillError: As `delivery.deliver` does.
    """
    wishes, left_out = choose_photos(folder, everything=everything)
    for name, reason in left_out.items():
        on_left_out(name, reason)
    if not wishes:
        remedy = "Approve some with `realfill review`, or deliver all of them with `realfill deliver --all`."
        raise LibraryError("No photo is approved as it is now.", remedy, folder)
    return deliver(wishes, out, settings.names, make_signer(settings, ask_passphrase), on_album)


def find_params_file(folder: Path) -> Path | None:
    """The `params.yaml` of the working directory, or else of the library that a folder is in; None without one."""
    library = Library.enclosing(folder)
    candidates = (Path(), *([library.root] if library else []))
    return next((place / "params.yaml" for place in candidates if (place / "params.yaml").is_file()), None)


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
    unfinished = "It has no finished photo with its provenance: run `realfill complete`."
    wishes, left_out = [], dict.fromkeys(collection.unfinished(), unfinished)
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
    if finished.is_pending(decision):
        return "What was decided about it is not applied yet: run `realfill review --apply`."
    if finished.is_chosen_otherwise():
        return "Another candidate was chosen since it was made: run `realfill complete`."
    if decision.verdict == "approved":
        return "" if decision.covers(finished.provenance) else "It was made again since it was approved: look at it."
    return "" if everything else "Nobody has approved it."
