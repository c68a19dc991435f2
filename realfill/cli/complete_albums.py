"""Completing or evaluating one album after another: one that fails does not stop the others, and each is told."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table
from rich.text import Text

from realfill import pipeline
from realfill.album.layout import Album, target_name
from realfill.album.several_targets import album_around
from realfill.album.store import read_warnings
from realfill.cli.console import err_console, print_error, print_line, print_message, print_table, progress_bars
from realfill.cli.options import AlbumOptions, album_folder, base_folder
from realfill.core.errors import OutputError, RealFillError, StageError, printable
from realfill.pipeline import Stage

logger = logging.getLogger("realfill.complete")

Result = TypeVar("Result")


@dataclass(frozen=True)
class AlbumOutcome:
    """What became of an album.

    Attributes:
        folder: The album folder, absolute; the folder of the target, of an album of several that was completed.
        seconds: How long it took, all targets together.
        photo: The finished photo; None if the album failed, or was evaluated.
        page: The page that shows what was made; None if the album failed.
        error: Why the album failed; None if it did not.
        warnings: What its photos and its hole gave reason to warn of; empty if the album failed.
    """

    folder: Path
    seconds: float
    photo: Path | None = None
    page: Path | None = None
    error: RealFillError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the album, or of the target, printable."""
        return printable(target_name(self.folder, album_around(self.folder)))

    @property
    def outcome(self) -> str:
        """ "completed" or "failed"."""
        return "failed" if self.error else "completed"

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON types; null for what there is not."""
        return {
            "album": self.name,
            "folder": str(self.folder),
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "photo": self.photo and str(self.photo),
            "page": self.page and str(self.page),
            "error": self.error and type(self.error).__name__,
            "reason": self.error and str(self.error),
            "warnings": list(self.warnings),
        }


def complete_album(
    path: Path,
    options: AlbumOptions,
    *,
    force: bool,
    show_progress: bool = True,
    model_lock: AbstractContextManager[Any] | None = None,
) -> list[AlbumOutcome]:
    """Complete an album, with all its targets, and show its progress on stderr.

    Args:
        path: The album's folder, its name in the library of the working directory, or the folder of one of its
            targets.
        options: Where its outputs go and which parameters it gets.
        force: Also run the stages that are up to date.
        show_progress: Whether to show bars; the stages are named in any case.
        model_lock: Held while a stage runs the base model.

    Returns:
        The outcome of each target, one for most albums. If the album failed, there is one, and its error has been
        printed.
    """
    result, outcome = attempt(path, "complete", lambda: _run_stages(path, options, force, show_progress, model_lock))
    if result is None:
        return [replace(outcome, folder=base_folder(outcome.folder))]
    return [
        replace(
            outcome,
            folder=album.root,
            photo=photo,
            page=album.completed / "page" / "index.html",
            warnings=tuple(read_warnings(album)),
        )
        for album, photo in result
    ]


def attempt(path: Path, command: str, work: Callable[[], Result]) -> tuple[Result | None, AlbumOutcome]:
    """Work on an album.

    Args:
        path: The album's folder, or its name in the library of the working directory.
        command: The command that works on it.
        work: Does the work.

    Returns:
        What `work` returned, and the outcome. If the album failed, None, and its error has been printed.
    """
    started, folder = time.monotonic(), Path(os.path.realpath(album_folder(path)))
    try:
        result = work()
        return result, AlbumOutcome(folder, time.monotonic() - started)
    except RealFillError as caught:
        error = caught
    except Exception as caught:  # a mistake in the code, or something around it: the next album may be completed
        logger.info("%s failed here:", folder, exc_info=caught)
        problem = f"Something unexpected failed ({type(caught).__name__}: {caught})."
        error = StageError(problem, f"`realfill --verbose {command}` tells where; please report it.", folder)
    print_error(error)
    return None, AlbumOutcome(folder, time.monotonic() - started, error=error)


def refuse_clashes(paths: Sequence[Path], out: Path | None) -> dict[Path, AlbumOutcome]:
    """The failures of albums that would be written over one another: different albums of one name below one `out`."""
    if out is None:
        return {}
    folders: dict[str, set[Path]] = defaultdict(set)
    for path in paths:
        folder = base_folder(album_folder(path))
        folders[folder.name].add(folder)
    refused = {}
    for path in paths:
        folder = base_folder(album_folder(path))
        if len(folders[folder.name]) > 1:
            problem = f"{len(folders[folder.name])} of the albums have this name, and would be written to one folder."
            error = OutputError(problem, "Rename one of them, or give each an --out of its own.", folder)
            refused[path] = AlbumOutcome(folder, 0.0, error=error)
    return refused


def print_outcomes(outcomes: Sequence[AlbumOutcome]) -> None:
    """Print warnings, the photos and pages of albums, and, of several albums, a table with their outcomes."""
    for outcome in outcomes:
        for warning in outcome.warnings:
            print_message(f"warning: {outcome.name}: {warning}")
        if outcome.photo:
            print_line(f"photo  {outcome.photo}")
        if outcome.page:
            print_line(f"page   {outcome.page}")
    if len(outcomes) > 1:
        print_table(_outcomes_table(outcomes))


def _outcomes_table(outcomes: Sequence[AlbumOutcome]) -> Table:
    table = Table("album", "outcome", "time")
    table.add_column("result or reason", overflow="fold")
    for row in outcomes:
        outcome = Text(row.outcome, "red" if row.error else "green")
        table.add_row(Text(row.name), outcome, f"{row.seconds:.0f} s", Text(str(row.error or row.photo or row.page)))
    return table


def _run_stages(
    path: Path,
    options: AlbumOptions,
    force: bool,
    show_progress: bool,
    model_lock: AbstractContextManager[Any] | None,
) -> list[tuple[Album, Path]]:
    """Complete all targets of an album; each with its photo."""
    runs = options.open_all(path)
    stages: list[tuple[str, bool]] = []  # name, whether it was skipped
    times: list[float] = []  # when each of them began, and when the last one ended

    def on_stage(stage: Stage, album: Album, skipped: bool) -> None:
        of_target = f" of {album.root.name}" if album.siblings and not stage.shared else ""
        stages.append((stage.name + of_target, skipped))
        times.append(time.monotonic())
        name = album.base.name if stage.shared else album.name
        err_console.print(Text(f"{name}: {stage.name}{' (up to date)' if skipped else ''}", "dim"))

    with progress_bars() if show_progress else nullcontext() as on_progress:
        photos = pipeline.complete_targets(
            runs, force=force, on_stage=on_stage, on_progress=on_progress, model_lock=model_lock
        )
    times.append(time.monotonic())
    err_console.print(_timing_table(runs[0][0].base.name, stages, times))
    return [(album, photo) for (album, _), photo in zip(runs, photos, strict=True)]


def _timing_table(album: str, stages: list[tuple[str, bool]], times: list[float]) -> Table:
    title = Text(f"{album}: {times[-1] - times[0]:.0f} s, {_peak_memory():.1f} GB")
    table = Table("stage", "time", title=title)
    for (name, skipped), (begin, end) in zip(stages, pairwise(times), strict=True):
        table.add_row(name, "up to date" if skipped else f"{end - begin:.1f} s")
    return table


def _peak_memory() -> float:
    """Peak memory of this process in units of 2^30 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
