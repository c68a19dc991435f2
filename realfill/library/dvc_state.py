"""DVC's records of an album, read and written one file at a time.

DVC's own commands load every pipeline of the repository before they look at one of them, and rewrite YAML in place.
Here only the requested files are loaded, so that an album costs the same in a library of ten and of a thousand, and
`dvc.lock` is replaced atomically, so that a killed process leaves no half-written file. The records are DVC's own:
`dvc status`, `dvc repro` and `dvc pull` understand them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager, suppress
from pathlib import Path
from typing import Any

from dvc.config import NoRemoteError
from dvc.exceptions import DvcException, NotDvcRepoError
from dvc.repo import Repo, lock_repo
from dvc.stage.cache import _get_cache_hash
from dvc.stage.serialize import to_lockfile, to_single_stage_file, to_single_stage_lockfile
from dvc.utils.serialize import dumps_yaml
from dvc_objects.fs.generic import copy
from fsspec.implementations.memory import MemoryFileSystem

from realfill.core.atomic_io import adopt_folder, atomic_write
from realfill.core.errors import LibraryError, RemoteError

logging.getLogger("dvc").setLevel(logging.WARNING)  # its lower levels are meant for DVC's own command line
logging.getLogger("dvc.output").setLevel(logging.ERROR)  # it warns of outputs that an album in quarantine never had

REMOTE_FOLDER = "realfill"  # where `upload_file` puts files, beside DVC's own folders
_REMEDY = "Check that `dvc push` and `dvc pull` work from here, then run again: finished work is not repeated."
_MAX_ERROR_LENGTH = 300  # characters of a remote's own message that are quoted; some quote whole HTTP responses


class DvcState:
    """The DVC stages of a few files of one repository.

    Args:
        repo: The repository.
        files: Absolute paths of `dvc.yaml` and `.dvc` files.

    Attributes:
        stages: DVC's stage objects, by file and stage name (the name is "" in a `.dvc` file).
    """

    def __init__(self, repo: Repo, files: Iterable[Path]) -> None:
        self.repo = repo
        self.stages: dict[tuple[Path, str], Any] = {}
        for file in files:
            for stage in repo.stage.load_all(str(file)):
                self.stages[file, getattr(stage, "name", None) or ""] = stage

    @property
    def has_remote(self) -> bool:
        """Whether the repository has a default remote."""
        return bool(self.repo.config["core"].get("remote"))

    def is_up_to_date(self, file: Path, name: str = "") -> bool:
        """Whether a stage's command, parameters, dependencies and outputs are as they were committed."""
        stage = self.stages[file, name]
        return not stage.changed_stage() and not any(entry.status() for entry in (*stage.deps, *stage.outs))

    def adopt_outputs(self, file: Path, name: str) -> None:
        """Mark the output folders that DVC finds as committed, but that an earlier version wrote without a mark."""
        for out in self.stages[file, name].outs:
            if out.hash_info and not out.status():
                adopt_folder(Path(out.fs_path))

    def all_up_to_date(self) -> bool:
        """Whether every loaded stage is up to date."""
        return all(self.is_up_to_date(file, name) for file, name in self.stages)

    def commit(self, file: Path, name: str = "") -> None:
        """Commit a stage as it is now to DVC's cache and to `dvc.lock` (or the `.dvc` file), as `dvc commit` does."""
        stage = self.stages[file, name]
        with (
            lock_repo(self.repo),
            chdir(self.repo.root_dir),
        ):  # DVC's run-cache resolves paths from the current folder
            stage.save()
            for out in stage.outs:
                out.commit()
            if not name:
                atomic_write(file, dumps_yaml(to_single_stage_file(stage)))
                return
            lock = file.with_name("dvc.lock")
            entries = _split_lock_entries(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
            entries |= _split_lock_entries(dumps_yaml({"schema": "2.0", "stages": to_lockfile(stage)}))
            atomic_write(lock, "schema: '2.0'\nstages:\n" + "".join(entries.values()))

    def commit_changed_photos(self) -> None:
        """Commit the folders tracked by `.dvc` files whose contents changed; folders that are absent are skipped."""
        for file, name in self.stages:
            if not name and file.with_suffix("").is_dir() and not self.is_up_to_date(file):
                self.commit(file)

    def remove_outputs(self) -> None:
        """Remove the files of the outputs from the working tree; DVC's cache keeps them. Other files stay."""
        for stage in self.stages.values():
            for out in stage.outs:
                folder = Path(out.fs_path)
                for key, _, _ in out.get_obj() or ():
                    folder.joinpath(*key).unlink(missing_ok=True)
                _remove_empty_folders(folder)

    def push(self) -> None:
        """Upload the outputs and the run-cache entries of the stages to the default remote.

        Raises:
            RemoteError: There is no remote, or it does not accept all files.
        """
        with self._remote_errors("did not take all files"):
            failed = self.repo.cloud.push(self._used_objects()).failed
            for entry in self._run_cache_entries():
                self._push_run_cache_entry(entry)
        if failed:
            raise RemoteError(f"The remote did not take {len(failed)} files.", _REMEDY, self.repo.root_dir)

    def pull(self) -> None:
        """Download the outputs that DVC's cache lacks from the default remote, and check all outputs out.

        Raises:
            RemoteError: There is no remote, or it does not provide all files.
        """
        with self._remote_errors("did not give all files"), lock_repo(self.repo):
            failed = self.repo.cloud.pull(self._used_objects()).failed
            if failed:
                raise RemoteError(f"The remote did not give {len(failed)} files.", _REMEDY, self.repo.root_dir)
            for stage in self.stages.values():
                for out in stage.outs:
                    if out.hash_info:
                        out.checkout(force=True)

    def is_pushed(self) -> bool:
        """Whether every stage is up to date and the default remote has all of its outputs.

        Raises:
            RemoteError: There is no remote, or it cannot be queried.
        """
        if not self.all_up_to_date():
            return False
        with self._remote_errors("could not be asked"):
            used = {entry.value for entry in self._used_objects()}
            return used <= self._on_remote(used)

    def collect_garbage(self) -> int:
        """Remove the objects from DVC's cache that the workspace does not use and the default remote has.

        Returns:
            The number of removed objects.

        Raises:
            RemoteError: There is no remote, or it cannot be queried.
        """
        with self._remote_errors("could not be asked"), lock_repo(self.repo):
            used = {entry.value for group in self.repo.used_objs(force=True).values() for entry in group}
            cache = self.repo.cache.local
            unused = set(cache.all()) - used
            removable = self._on_remote(unused) if unused else set()
            cache.fs.remove([cache.oid_to_path(oid) for oid in removable])
            return len(removable)

    def upload_file(self, source: Path, name: str) -> None:
        """Upload a file that DVC does not track to the default remote, atomically.

        Args:
            source: The file.
            name: Path on the remote, below `realfill/`.
        """
        with self._remote_errors("did not take a file"):
            remote = self.repo.cloud.get_remote()
            target = remote.fs.join(remote.path, REMOTE_FOLDER, name)
            remote.fs.makedirs(remote.fs.parent(target), exist_ok=True)
            partial = f"{target}.partial"
            remote.fs.put_file(str(source), partial)
            remote.fs.move(partial, target)

    def download_folder(self, name: str, folder: Path) -> None:
        """Download what `upload_file` put below `name` into a local folder; nothing happens if there is none."""
        with self._remote_errors("did not give a file"):
            remote = self.repo.cloud.get_remote()
            source = remote.fs.join(remote.path, REMOTE_FOLDER, name)
            if not remote.fs.exists(source):
                return
            for path in remote.fs.find(source):
                target = folder / remote.fs.relpath(path, source)
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}.partial")
                remote.fs.get_file(path, str(partial))
                partial.replace(target)

    def delete_folder(self, name: str) -> None:
        """Delete what `upload_file` put below `name` from the default remote."""
        with self._remote_errors("did not remove a folder"):
            remote = self.repo.cloud.get_remote()
            folder = remote.fs.join(remote.path, REMOTE_FOLDER, name)
            if remote.fs.exists(folder):
                remote.fs.remove(folder, recursive=True)

    def _used_objects(self) -> set[Any]:
        """DVC's hashes of all outputs of the stages, including the files inside folders."""
        objects: set[Any] = set()
        for stage in self.stages.values():
            for out in stage.outs:
                if out.hash_info:
                    objects.update(*out.get_used_objs().values())
        return objects

    def _on_remote(self, oids: set[str]) -> set[str]:
        """Those of the object ids that the default remote has."""
        return set(self.repo.cloud.get_remote_odb().list_oids_exists(oids))

    def _run_cache_entries(self) -> Iterator[Path]:
        """The run-cache files of the committed stages."""
        cache = self.repo.stage_cache
        for (_, name), stage in self.stages.items():
            if name and not any(out.persist for out in stage.outs):
                key = _get_cache_hash(to_single_stage_lockfile(stage), key=True)
                path = Path(cache._get_cache_path(key, _get_cache_hash(to_single_stage_lockfile(stage))))
                if path.is_file():
                    yield path

    def _push_run_cache_entry(self, entry: Path) -> None:
        remote = self.repo.cloud.get_remote_odb(None, "push", hash_name="md5-dos2unix")
        cache = self.repo.cache.legacy
        target = remote.fs.join(remote.path, *entry.relative_to(cache.path).parts)
        if not remote.fs.exists(target):
            copy(cache.fs, str(entry), remote.fs, target)

    @contextmanager
    def _remote_errors(self, failure: str) -> Iterator[None]:
        """Raise DVC's and the file system's errors inside the block as a RemoteError."""
        try:
            yield
        except NoRemoteError as error:
            remedy = "Add one: `dvc remote add --default <name> <url>`."
            raise RemoteError("This clone has no DVC remote.", remedy, self.repo.root_dir) from error
        except RemoteError:
            raise
        except (DvcException, OSError) as error:
            problem = f"The remote {failure} ({type(error).__name__}: {str(error)[:_MAX_ERROR_LENGTH]})."
            raise RemoteError(problem, _REMEDY, self.repo.root_dir) from error


@contextmanager
def open_dvc_state(root: Path, *files: Path) -> Iterator[DvcState]:
    """Open a DVC repository and load a few of its files.

    Args:
        root: The repository's root folder.
        files: Absolute paths of `dvc.yaml` and `.dvc` files.

    Raises:
        LibraryError: The folder is not a DVC repository, or DVC cannot read a file.
    """
    try:
        repo = Repo(str(root), _wait_for_lock=True)
    except NotDvcRepoError as error:
        raise LibraryError("This is not a DVC repository.", "Run `dvc init` in it.", root) from error
    repo.scm_context.quiet = True
    try:
        with repo:
            yield _load(repo, files)
    finally:
        MemoryFileSystem.store.clear()  # DVC leaves every folder listing in it, and searches it linearly


def _load(repo: Repo, files: Iterable[Path]) -> DvcState:
    try:
        return DvcState(repo, files)
    except DvcException as error:
        remedy = "Restore the file from git, or delete it if it is a dvc.lock."
        raise LibraryError(f"DVC cannot read its files: {error}.", remedy, Path(repo.root_dir)) from error


def _remove_empty_folders(folder: Path) -> None:
    """Remove a folder and all folders in it, as far as they hold no file."""
    for path in sorted((path for path in [folder, *folder.rglob("*")] if path.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()


def _split_lock_entries(lock: str) -> dict[str, str]:
    """Split a `dvc.lock` into the text of each stage.

    Serializing YAML is slow, so the entries of other stages are kept as text.
    """
    entries = re.findall(r"^(  (\S[^\n]*):\n(?:    [^\n]*\n)*)", lock, re.MULTILINE)
    return {name: text for text, name in entries}
