"""Work orders: what the library's own clone and an agent's clone exchange about one album.

An agent shares no disk with the library. A work order holds the small text files by which DVC knows an album, so that
the agent can pull its photos from the remote. The agent answers with the album's `dvc.lock`, so that the library can
pull the results. Both travel as JSON.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from realfill.album.album_name import is_library_album_name
from realfill.album.several_targets import FOLDER, target_folders
from realfill.album.store import read_document
from realfill.core.atomic_io import atomic_write, write_json
from realfill.core.errors import ParamsError, TransientError
from realfill.core.hashing import digest, digest_json
from realfill.library.dvc_state import open_dvc_state
from realfill.library.engine import engine_digest, renew_engine
from realfill.library.pipeline_files import link_pipeline
from realfill.library.repository import PIPELINE, Library
from realfill.library.target_pipelines import renew_target_pipeline

FILES = ("album.yaml", "ref.dvc", "target.dvc", "dvc.lock")
_TARGET_FILES = ("album.yaml", "target.dvc")  # of each target of an album of several
WorkOrder = dict[str, Any]  # "album": name, "attempt": int, "files": text by path in the album, "context": digest


def shared_context(library: Library) -> dict[str, str]:
    """What all work orders of a clone have in common.

    Returns:
        {"clone": id of the clone that asks, "params": text of `params.yaml`, "engine": digest of the code and the
        pipeline, which must be the same in the agent's clone}.
    """
    return {
        "clone": _clone_id(library),
        "params": (library.root / "params.yaml").read_text(encoding="utf-8"),
        "engine": _engine_digest(library),
    }


def make_work_order(library: Library, name: str, context: dict[str, str], attempt: int = 1) -> WorkOrder:
    """Make the work order of an album.

    Args:
        library: The library's own clone.
        name: The album.
        context: The shared context of the order.
        attempt: A new number asks for the work again; the same number asks for its stored outcome.

    Raises:
        ParamsError: `album.yaml`, or another of the files, is not text.
        AlbumError: The folders of the album's targets do not follow the layout.
    """
    folder = library.folder(name)
    own = [target.relative_to(folder) / file for target in target_folders(folder) for file in _TARGET_FILES]
    files = [path.as_posix() for path in (*map(Path, FILES), *own) if (folder / path).is_file()]
    texts = {file: _read_text(folder / file) for file in files}
    return {"album": name, "attempt": attempt, "files": texts, "context": digest_json(context)}


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParamsError("This is not text in UTF-8.", "Save it as UTF-8.", file) from error


def apply_work_order(library: Library, order: WorkOrder, context: dict[str, str]) -> bool:
    """Write an album's text files and the parameters into this clone as the work order has them.

    Args:
        library: The agent's clone. Nothing is changed if it is the clone that made the order.
        order: The work order.
        context: Its shared context.

    Returns:
        Whether the order is new here. Otherwise an interrupted run of it may be continued.

    Raises:
        TransientError: The engine of this clone is not that of the clone that made the order.
    """
    name = order["album"]
    folder = library.folder(name)
    if is_own_clone(library, context):
        return False
    renew_engine(library)
    _require_same_engine(library, context)
    if (library.root / "params.yaml").read_text(encoding="utf-8") != context["params"]:
        atomic_write(library.root / "params.yaml", context["params"])
    if _read_record(library, name).get("order") == digest_json(order):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dvc.lock").unlink(missing_ok=True)
    _refuse_former_targets(folder, order)
    for file in filter(_is_expected, order["files"]):
        atomic_write(folder / file, order["files"][file])
    if not (folder / "dvc.yaml").is_file() and not (folder / FOLDER).is_dir():
        link_pipeline(library.root / PIPELINE, folder / "dvc.yaml")
    renew_target_pipeline(library.root / PIPELINE, folder)
    _write_record(library, order, None)
    return True


def _is_expected(file: str) -> bool:
    """Whether a work order may hold a file."""
    parts = Path(file).parts
    is_of_target = len(parts) == 3 and parts[0] == FOLDER and is_library_album_name(parts[1])
    return file in FILES or (is_of_target and parts[2] in _TARGET_FILES)


def _refuse_former_targets(folder: Path, order: WorkOrder) -> None:
    """See that this clone has no target that the album has no more."""
    for target in target_folders(folder):
        if f"{FOLDER}/{target.name}/target.dvc" not in order["files"]:
            problem = "This clone has a target that the album has no more."
            raise TransientError(problem, "Remove its folder here; the library has what it needs.", target)


def is_own_clone(library: Library, context: dict[str, str]) -> bool:
    """Whether this clone made the work orders with this context."""
    return context["clone"] == _clone_id(library)


def write_outcome(library: Library, order: WorkOrder, outcome: dict[str, Any]) -> None:
    """Store the outcome of a work order, so that the same order is answered without work."""
    _write_record(library, order, outcome)


def read_outcome(library: Library, order: WorkOrder) -> dict[str, Any] | None:
    """The stored outcome of this very work order; None if it was not finished here."""
    record = _read_record(library, order["album"])
    return record.get("outcome") if record.get("order") == digest_json(order) else None


def pull_results(library: Library, name: str, lock: str) -> None:
    """Write the `dvc.lock` that an agent answered with, and pull the results that it names.

    Photos that are not here are pulled too: DVC does not find the album up to date without them.

    Raises:
        RemoteError: The remote does not provide the results.
    """
    atomic_write(library.folder(name) / "dvc.lock", lock)
    files = [library.pipeline_file(name), *([] if library.has_photos(name) else library.dvc_files(name))]
    with open_dvc_state(library.root, *files) as state:
        state.pull()


def _read_record(library: Library, name: str) -> dict[str, Any]:
    """The last work order of an album that was applied here, with its outcome; empty if there is none."""
    path = _record_file(library, name)
    return read_document(path) if path.is_file() else {}


def _write_record(library: Library, order: WorkOrder, outcome: dict[str, Any] | None) -> None:
    write_json(_record_file(library, order["album"]), {"order": digest_json(order), "outcome": outcome})


def _record_file(library: Library, name: str) -> Path:
    return library.state_folder / "orders" / f"{name}.json"


def _clone_id(library: Library) -> str:
    """A random identifier of this clone, made on first use."""
    path = library.state_folder / "clone"
    if not path.is_file():
        atomic_write(path, uuid.uuid4().hex)
    return path.read_text(encoding="utf-8")


def _require_same_engine(library: Library, context: dict[str, str]) -> None:
    if _engine_digest(library) != context["engine"]:
        problem = "The code or the pipeline of this clone is not that of the library's own clone."
        remedy = "Install the same version of realfill, pull the library's last commit, then start the worker again."
        raise TransientError(problem, remedy, library.root)


def _engine_digest(library: Library) -> str:
    """Digest of the installed code and of the pipeline."""
    return digest_json([engine_digest(), digest(library.root / PIPELINE)])
