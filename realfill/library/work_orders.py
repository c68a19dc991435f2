"""What a coordinating clone and the clone of an agent tell each other about an album.

An agent need not share a disk with anyone. An order holds the small texts by which DVC knows an album, so that the
agent can pull its photos from the remote; what comes back is the album's `dvc.lock`, by which the coordinator can
pull the results. Both are JSON.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from realfill import __version__
from realfill.album.store import read_document
from realfill.core.atomic_io import atomic_write, write_json
from realfill.core.errors import TransientError
from realfill.core.hashing import digest, digest_json
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import PIPELINE, Library, link_pipeline

FILES = ("album.yaml", "ref.dvc", "target.dvc", "dvc.lock")
WorkOrder = dict[str, Any]


def make_work_order(library: Library, name: str, common: dict[str, str], attempt: int = 1) -> WorkOrder:
    """What an agent must know of an album.

    Args:
        library: The coordinating clone.
        name: The album.
        common: The order's terms.
        attempt: Another number asks for the same work again, instead of for what came of it.
    """
    files = [library.folder(name) / file for file in FILES]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files if file.is_file()}
    return {"album": name, "attempt": attempt, "files": texts, "terms": digest_json(common)}


def shared_context(library: Library) -> dict[str, str]:
    """What all orders of a clone have in common: who asks, the parameters, and what must be the same there."""
    return {
        "clone": _clone(library),
        "params": (library.root / "params.yaml").read_text(encoding="utf-8"),
        "software": _software(library),
    }


def apply_work_order(library: Library, wanted: WorkOrder, common: dict[str, str]) -> bool:
    """Make this clone know an album as the coordinating clone knows it.

    Args:
        library: The agent's clone; nothing is changed where it is the coordinating clone itself.
        wanted: The order.
        common: Its terms.

    Returns:
        Whether this is the first time: otherwise there may be work of ours to go on with.

    Raises:
        TransientError: This clone is of another version than the coordinating one.
    """
    name = wanted["album"]
    folder = library.folder(name)
    if is_own(library, common):
        return False
    if _software(library) != common["software"]:
        problem = "This clone's code, pipeline or base model is not that of the library's own clone."
        raise TransientError(problem, "Bring it to the same commit, then start its worker again.", library.root)
    if (library.root / "params.yaml").read_text(encoding="utf-8") != common["params"]:
        atomic_write(library.root / "params.yaml", common["params"])
    if _accepted(library, name).get("order") == digest_json(wanted):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dvc.lock").unlink(missing_ok=True)
    for file in FILES:
        if file in wanted["files"]:
            atomic_write(folder / file, wanted["files"][file])
    if not (folder / "dvc.yaml").is_file():
        link_pipeline(library.root / PIPELINE, folder / "dvc.yaml")
    write_json(_note(library, name), {"order": digest_json(wanted), "outcome": None})
    return True


def is_own(library: Library, common: dict[str, str]) -> bool:
    """Whether the orders come from this very clone."""
    return common["clone"] == _clone(library)


def keep_outcome(library: Library, wanted: WorkOrder, outcome: dict[str, Any]) -> None:
    """Write down what came of an order, so that the same order is answered without work."""
    write_json(_note(library, wanted["album"]), {"order": digest_json(wanted), "outcome": outcome})


def kept_outcome(library: Library, wanted: WorkOrder) -> dict[str, Any] | None:
    """What came of this very order here, if it was carried out before."""
    note = _accepted(library, wanted["album"])
    return note.get("outcome") if note.get("order") == digest_json(wanted) else None


def take_lock(library: Library, name: str, lock: str) -> None:
    """Write the `dvc.lock` that came back, and pull what it stands for.

    Raises:
        RemoteError: The remote does not give the results.
    """
    atomic_write(library.folder(name) / "dvc.lock", lock)
    with open_dvc_state(library.root, library.pipeline(name)) as known:
        known.pull()


def _accepted(library: Library, name: str) -> dict[str, Any]:
    path = _note(library, name)
    return read_document(path) if path.is_file() else {}


def _note(library: Library, name: str) -> Path:
    return library.root / ".dvc" / "tmp" / "realfill" / "orders" / f"{name}.json"


def _clone(library: Library) -> str:
    """A name of this clone that no other has."""
    path = library.root / ".dvc" / "tmp" / "realfill" / "clone"
    if not path.is_file():
        atomic_write(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8")


def _software(library: Library) -> str:
    weights = sorted(library.root.glob("models/pocket/*/*.safetensors"))
    return digest_json([__version__, digest(library.root / PIPELINE), [digest(path) for path in weights]])
