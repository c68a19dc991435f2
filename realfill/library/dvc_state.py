"""What DVC remembers, read and written one file at a time.

DVC's own commands load every pipeline of the repository before they look at one of them, and rewrite YAML in place.
Here only the files asked for are loaded, so that an album costs the same in a library of ten and of a thousand, and
a `dvc.lock` appears whole or not at all, so that a killed process leaves nothing to mend. What is written is DVC's
own: its commands find it up to date.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager
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

from realfill.core.atomic_io import atomic_write
from realfill.core.errors import LibraryError, RemoteError

logging.getLogger("dvc").setLevel(logging.WARNING)  # what it tells at lower levels is for its own command line


_REACH = "See that `dvc push` and `dvc pull` work from here, then run again: what is done is not done twice."


class DvcState:
    """The stages of a few DVC files of one repository.

    Args:
        repo: The repository.
        files: Paths of `dvc.yaml` and `.dvc` files, absolute.

    Attributes:
        stages: DVC's stage objects by the file they are in and their name ("" in a `.dvc` file).
    """

    def __init__(self, repo: Repo, files: Iterable[Path]) -> None:
        self.repo = repo
        self.stages: dict[tuple[Path, str], Any] = {}
        for file in files:
            for stage in repo.stage.load_all(str(file)):
                self.stages[file, getattr(stage, "name", None) or ""] = stage

    def is_current(self, file: Path, name: str = "") -> bool:
        """Whether photos, parameters, inputs and outputs are as they were recorded."""
        stage = self.stages[file, name]
        return not stage.changed_stage() and not any(entry.status() for entry in (*stage.deps, *stage.outs))

    def record(self, file: Path, name: str = "") -> None:
        """Take up in DVC's cache and in `dvc.lock` (or the `.dvc` file) what is there now."""
        stage = self.stages[file, name]
        with lock_repo(self.repo), chdir(self.repo.root_dir):  # the run-cache takes paths from where we are
            stage.save()
            for out in stage.outs:
                out.commit()
            if not name:
                atomic_write(file, dumps_yaml(to_single_stage_file(stage)))
                return
            lock = file.with_name("dvc.lock")
            entries = _entries(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
            entries |= _entries(dumps_yaml({"schema": "2.0", "stages": to_lockfile(stage)}))
            atomic_write(lock, "schema: '2.0'\nstages:\n" + "".join(entries.values()))

    def take_up(self) -> None:
        """Record what was added, changed or removed in the folders that `.dvc` files track, where they are here."""
        for file, name in self.stages:
            if not name and file.with_suffix("").is_dir() and not self.is_current(file):
                self.record(file)

    @property
    def has_remote(self) -> bool:
        """Whether the repository has a default remote."""
        return bool(self.repo.config["core"].get("remote"))

    def push(self) -> None:
        """Send the outputs, and what DVC's run-cache knows of them, to the default remote.

        Raises:
            RemoteError: There is none, or it does not take them.
        """
        with self._remote("took not all files"):
            failed = self.repo.cloud.push(self._objects()).failed
            for path in self._runs():
                self._send(path)
        if failed:
            raise RemoteError(f"The remote did not take {len(failed)} files.", _REACH, self.repo.root_dir)

    def pull(self) -> None:
        """Fetch the outputs from the default remote, unless DVC's cache has them, and put them in their places.

        Raises:
            RemoteError: There is none, or it does not give them.
        """
        with self._remote("gave not all files"), lock_repo(self.repo):
            failed = self.repo.cloud.pull(self._objects()).failed
            if failed:
                raise RemoteError(f"The remote did not give {len(failed)} files.", _REACH, self.repo.root_dir)
            for stage in self.stages.values():
                for out in stage.outs:
                    if out.hash_info:
                        out.checkout(force=True)

    def is_whole_on_remote(self) -> bool:
        """Whether the files here are as they were recorded, and the default remote has them all.

        Raises:
            RemoteError: There is none, or it cannot be asked.
        """
        if not all(self.is_current(file, name) for file, name in self.stages):
            return False
        with self._remote("could not be asked"):
            wanted = {entry.value for entry in self._objects()}
            return wanted <= set(self.repo.cloud.get_remote_odb().list_oids_exists(wanted))

    def remove(self) -> None:
        """Remove the outputs from their places; DVC's cache keeps them."""
        for stage in self.stages.values():
            for out in stage.outs:
                shutil.rmtree(out.fs_path, ignore_errors=True)

    def drop_unused(self) -> int:
        """Remove from DVC's cache what no file here uses and the default remote has; how many files.

        Raises:
            RemoteError: There is none, or it cannot be asked.
        """
        with self._remote("could not be asked"), lock_repo(self.repo):
            used = {entry.value for group in self.repo.used_objs(force=True).values() for entry in group}
            cache = self.repo.cache.local
            unused = set(cache.all()) - used
            spare = set(self.repo.cloud.get_remote_odb().list_oids_exists(unused)) if unused else set()
            cache.fs.remove([cache.oid_to_path(oid) for oid in spare])
            return len(spare)

    def send(self, source: Path, name: str) -> None:
        """Put a file of ours beside DVC's objects on the remote, whole or not at all.

        Args:
            source: The file.
            name: Path on the remote, below `realfill/`.
        """
        with self._remote("did not take a file"):
            remote = self.repo.cloud.get_remote()
            target = remote.fs.join(remote.path, "realfill", name)
            remote.fs.makedirs(remote.fs.parent(target), exist_ok=True)
            beside = f"{target}.partial"
            remote.fs.put_file(str(source), beside)
            remote.fs.move(beside, target)

    def receive(self, name: str, folder: Path) -> None:
        """Fetch what `send` put below a folder of the remote, if anything, into a folder here."""
        with self._remote("did not give a file"):
            remote = self.repo.cloud.get_remote()
            source = remote.fs.join(remote.path, "realfill", name)
            if not remote.fs.exists(source):
                return
            for path in remote.fs.find(source):
                target = folder / remote.fs.relpath(path, source)
                target.parent.mkdir(parents=True, exist_ok=True)
                beside = target.with_name(f".{target.name}.partial")
                remote.fs.get_file(path, str(beside))
                beside.replace(target)

    def forget(self, name: str) -> None:
        """Remove what `send` put below a folder of the remote."""
        with self._remote("did not remove a folder"):
            remote = self.repo.cloud.get_remote()
            folder = remote.fs.join(remote.path, "realfill", name)
            if remote.fs.exists(folder):
                remote.fs.remove(folder, recursive=True)

    def _objects(self) -> set[Any]:
        objects: set[Any] = set()
        for stage in self.stages.values():
            for out in stage.outs:
                if out.hash_info:
                    objects.update(*out.get_used_objs().values())
        return objects

    def _runs(self) -> Iterator[Path]:
        """The entries of the run-cache that hold the recorded stages."""
        cache = self.repo.stage_cache
        for (_, name), stage in self.stages.items():
            if name and not any(out.persist for out in stage.outs):
                key = _get_cache_hash(to_single_stage_lockfile(stage), key=True)
                path = Path(cache._get_cache_path(key, _get_cache_hash(to_single_stage_lockfile(stage))))
                if path.is_file():
                    yield path

    def _send(self, run: Path) -> None:
        remote = self.repo.cloud.get_remote_odb(None, "push", hash_name="md5-dos2unix")
        cache = self.repo.cache.legacy
        target = remote.fs.join(remote.path, *run.relative_to(cache.path).parts)
        if not remote.fs.exists(target):
            copy(cache.fs, str(run), remote.fs, target)

    @contextmanager
    def _remote(self, trouble: str) -> Iterator[None]:
        try:
            yield
        except NoRemoteError as error:
            remedy = "Add one: `dvc remote add --default <name> <url>`."
            raise RemoteError("This clone has no DVC remote.", remedy, self.repo.root_dir) from error
        except RemoteError:
            raise
        except (DvcException, OSError) as error:
            problem = f"The remote {trouble} ({type(error).__name__}: {str(error)[:300]})."
            raise RemoteError(problem, _REACH, self.repo.root_dir) from error


def _entries(lock: str) -> dict[str, str]:
    """The text of each stage in a `dvc.lock`: YAML is slow to write, so that what stays is not written anew."""
    found = re.findall(r"^(  (\S[^\n]*):\n(?:    [^\n]*\n)*)", lock, re.MULTILINE)
    return {name: text for text, name in found}


@contextmanager
def open_dvc_state(root: Path, *files: Path) -> Iterator[DvcState]:
    """Open a DVC repository and a few of its files.

    Raises:
        LibraryError: It is no DVC repository, or a file cannot be understood.
    """
    try:
        repo = Repo(str(root), _wait_for_lock=True)
    except NotDvcRepoError as error:
        raise LibraryError("This is not a DVC repository.", "Run `dvc init` in it.", root) from error
    repo.scm_context.quiet = True
    try:
        with repo:
            yield _loaded(repo, files)
    finally:
        MemoryFileSystem.store.clear()  # DVC leaves each listing of a folder there, and searches it linearly


def _loaded(repo: Repo, files: Iterable[Path]) -> DvcState:
    try:
        return DvcState(repo, files)
    except DvcException as error:
        remedy = "Take it from git again, or delete it if it is a dvc.lock."
        raise LibraryError(f"DVC cannot read its files: {error}.", remedy, Path(repo.root_dir)) from error
