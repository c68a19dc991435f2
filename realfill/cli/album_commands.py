"""Commands that work on albums: complete them, run single stages, evaluate and correct the result."""

from __future__ import annotations

import json
import os
import resource
import shlex
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from realfill import pipeline
from realfill.album.lock import album_lock
from realfill.cli.console import err_console, out_console, print_error, print_line, progress_bars
from realfill.cli.options import AlbumOptions, AlbumPath, AlbumPaths, Assignments, Out, ParamsFile, Profile
from realfill.core.errors import RealFillError
from realfill.pipeline import Stage


def complete(
    albums: AlbumPaths,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    force: Annotated[bool, typer.Option("--force", help="Also run the stages that are up to date.")] = False,
) -> None:
    """Complete albums, from the folder to the finished photo. An interrupted run continues where it stopped.

    An album that fails does not stop the others; the exit code is then 1.
    """
    options = AlbumOptions(out, params_file, profile, assignments)
    failures = 0
    for path in albums:
        try:
            _complete_album(path, options, force)
        except RealFillError as error:
            print_error(error)
            failures += 1
    if failures:
        raise typer.Exit(1)


def _complete_album(path: Path, options: AlbumOptions, force: bool) -> None:
    album, params = options.open(path)
    stages: list[tuple[str, bool]] = []  # name, whether it was skipped
    times: list[float] = []  # when each of them began, and when the last one ended

    def on_stage(stage: Stage, skipped: bool) -> None:
        stages.append((stage.name, skipped))
        times.append(time.monotonic())
        err_console.print(f"[dim]{album.name}: {stage.name}{' (up to date)' if skipped else ''}[/dim]")

    with progress_bars() as on_progress:
        photo = pipeline.complete(album, params, force=force, on_stage=on_stage, on_progress=on_progress)
    times.append(time.monotonic())
    err_console.print(_timing_table(album.name, stages, times))
    print_line(f"photo  {photo}")
    print_line(f"page   {album.completed / 'page' / 'index.html'}")


def _timing_table(album: str, stages: list[tuple[str, bool]], times: list[float]) -> Table:
    table = Table("stage", "time", title=f"{album}: {times[-1] - times[0]:.0f} s, {_peak_memory():.1f} GB")
    for (name, skipped), (begin, end) in zip(stages, pairwise(times), strict=True):
        table.add_row(name, "up to date" if skipped else f"{end - begin:.1f} s")
    return table


def _peak_memory() -> float:
    """Peak memory of this process in units of 2^30 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def make_stage_command(stage: Stage) -> Callable[..., None]:
    """Make the command that runs one stage, whether it is up to date or not, and prints the folder it wrote."""

    def command(
        path: AlbumPath,
        out: Out = None,
        params_file: ParamsFile = None,
        profile: Profile = None,
        assignments: Assignments = None,
    ) -> None:
        from realfill.library.engine import require_engine

        album, params = AlbumOptions(out, params_file, profile, assignments).open(path)
        require_engine(album, stage.name)
        with album_lock(album), progress_bars() as on_progress:
            pipeline.run_stage(stage.name, album, params, on_progress)
        print_line(stage.output(album))

    return command


def evaluate(
    albums: AlbumPaths,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    untuned: Annotated[int, typer.Option(min=0, help="Number of fills to draw with the untuned base model.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare finished albums with their ground truth (target/gt.*), inside the hole only. Writes work/evaluate/."""
    from realfill.evaluation.evaluate import evaluate as evaluate_album
    from realfill.evaluation.scores_table import remarks, scores_table

    options = AlbumOptions(out, params_file, profile, assignments)
    evaluations, pages = [], []
    for path in albums:
        album, params = options.open(path)
        with album_lock(album):
            evaluations.append(evaluate_album(album, params, untuned=untuned))
        pages.append(album.work("evaluate") / "index.html")
    if as_json:
        print(json.dumps([evaluation.to_json() for evaluation in evaluations], indent=2))
        return
    out_console.print(scores_table(evaluations))
    for line in (*remarks(evaluations), *(f"page   {page}" for page in pages)):
        print_line(line)


def pick(
    name: Annotated[str, typer.Argument(metavar="ALBUM", help="Name of an album of the library, or album folder.")],
    candidate: Annotated[str, typer.Argument(help="Number of a candidate on the album's page, or best.")],
    out: Out = None,
) -> None:
    """Deliver another candidate of a finished album than the best-ranked one; best returns to the ranking."""
    from realfill.album.candidate_override import override_candidate
    from realfill.library.repository import Library

    in_library = Path("data", "albums", name, "dvc.yaml").is_file()
    album = Library.open(Path()).album(name) if in_library else AlbumOptions(out).open(Path(name))[0]
    override_candidate(album, candidate)
    pipeline_file = album.root / "dvc.yaml"
    repro = ("dvc", "repro", os.path.relpath(pipeline_file))
    command = repro if pipeline_file.is_file() else ("realfill", "complete", name)
    err_console.print(f"Run `{escape(shlex.join(command))}` to deliver it.", soft_wrap=True, highlight=False)


def demo(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Write the demo album: a real stereo pair of photos with a hole in one of them, from scikit-image."""
    from realfill.demo_album import write_demo_album

    print_line(write_demo_album(folder))
