"""Completing several albums at a time, each in a process of its own, so that one that crashes hurts no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from realfill.cli.complete_albums import AlbumOutcome, complete_album
from realfill.cli.console import configure_logging, print_error
from realfill.cli.options import AlbumOptions, album_folder, base_folder
from realfill.core.errors import StageError
from realfill.core.gpu import gpu_lock
from realfill.core.worker_processes import answer_side_by_side


def complete_in_parallel(
    paths: Sequence[Path], options: AlbumOptions, *, force: bool, verbose: bool, jobs: int
) -> list[list[AlbumOutcome]]:
    """Complete albums, several at a time; the outcomes of each, in the order of the albums.

    One of them at a time runs the base model where there is a GPU. An album whose process dies has failed.
    """
    return list(answer_side_by_side(paths, _prepare, (options, force, verbose), _tell_death, jobs=jobs))


def _prepare(options: AlbumOptions, force: bool, verbose: bool) -> Callable[[Path], list[AlbumOutcome]]:
    """Make what completes an album in a process of its own."""
    configure_logging(verbose=verbose)
    return partial(complete_album, options=options, force=force, show_progress=False, model_lock=gpu_lock())


def _tell_death(path: Path, ended: str, seconds: float) -> list[AlbumOutcome]:
    folder = base_folder(album_folder(path))
    problem = f"The process that completed it ended ({ended}), most likely out of memory."
    error = StageError(problem, "Complete it alone, or with --jobs 1.", folder)
    print_error(error)
    return [AlbumOutcome(folder, seconds, error=error)]
