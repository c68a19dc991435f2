"""Commands that work on albums: complete them, run single stages, evaluate and correct the result."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from realfill import pipeline
from realfill.album.lock import album_lock
from realfill.album.several_targets import member_folders
from realfill.cli.album_pool import complete_in_parallel
from realfill.cli.complete_albums import AlbumOutcome, attempt, complete_album, print_outcomes, refuse_clashes
from realfill.cli.console import print_line, print_message, print_table, progress_bars
from realfill.cli.options import (
    AlbumOptions,
    AlbumPath,
    AlbumPaths,
    Assignments,
    Jobs,
    Out,
    ParamsFile,
    Profile,
    album_folder,
    base_folder,
)
from realfill.core.errors import RealFillError
from realfill.core.worker_processes import default_jobs
from realfill.pipeline import Stage


def complete(
    albums: AlbumPaths,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    force: Annotated[bool, typer.Option("--force", help="Also run the stages that are up to date.")] = False,
    jobs: Jobs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of the outcomes instead.")] = False,
) -> None:
    """Complete albums, from the folder to the finished photo. An interrupted run continues where it stopped.

    All targets of an album are completed. An album that fails does not stop the others; the exit code is then 1, and
    the table of the outcomes at the end says why.
    """
    options = AlbumOptions(out, params_file, profile, assignments)
    refused = refuse_clashes(albums, out)
    folders = {path: base_folder(album_folder(path)) for path in albums}
    accepted = list({folders[path]: path for path in albums if path not in refused}.values())
    jobs = min(jobs or default_jobs(len(accepted)), len(accepted))
    if jobs > 1:
        verbose = logging.getLogger("realfill").isEnabledFor(logging.INFO)
        completed = complete_in_parallel(accepted, options, force=force, verbose=verbose, jobs=jobs)
    else:
        completed = [complete_album(path, options, force=force) for path in accepted]
    by_folder = dict(zip((folders[path] for path in accepted), completed, strict=True))
    by_path = ([refused[path]] if path in refused else by_folder[folders[path]] for path in albums)
    outcomes = [outcome for of_album in by_path for outcome in of_album]
    if as_json:
        print_line(json.dumps([outcome.to_json() for outcome in outcomes], indent=2))
    else:
        print_outcomes(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


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
    albums: Annotated[
        list[Path] | None, typer.Argument(metavar="ALBUM...", help="Album folders, or names in the library.")
    ] = None,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    untuned: Annotated[int, typer.Option(min=0, help="Number of fills to draw with the untuned base model.")] = 0,
    realbench: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Complete and score all scenes of a RealBench folder, instead of albums."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare finished albums with their ground truth (target/gt.*), inside the hole only. Writes work/evaluate/.

    An album that fails does not stop the others; the exit code is then 1, and the table of the outcomes at the end
    says why. With --realbench, the scenes are completed first, the paper's protocol is followed, and DIR/realbench/
    or OUT/realbench/ holds the table beside the published results; an interrupted run goes on where it stopped.
    """
    options = AlbumOptions(out, params_file, profile, assignments)
    if bool(albums) == bool(realbench):
        raise typer.BadParameter("Give album folders, or --realbench DIR.")
    if realbench and untuned:
        raise typer.BadParameter("--untuned is for album folders: RealBench's samples are the candidates.")
    if realbench:
        from realfill.cli.realbench import evaluate_realbench

        outcomes = evaluate_realbench(realbench, options, as_json=as_json)
    else:
        outcomes = _evaluate_albums(albums or [], options, untuned, as_json=as_json)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _evaluate_albums(albums: list[Path], options: AlbumOptions, untuned: int, *, as_json: bool) -> list[AlbumOutcome]:
    """Evaluate albums, print their scores, and return their outcomes."""
    from realfill.evaluation.evaluate import evaluate as evaluate_album
    from realfill.evaluation.scores import Evaluation
    from realfill.evaluation.scores_table import remarks, scores_table

    def evaluate_one(path: Path) -> tuple[Evaluation, Path]:
        album, params = options.open(path)
        with album_lock(album):
            return evaluate_album(album, params, untuned=untuned), album.work("evaluate") / "index.html"

    evaluations, outcomes, documents = [], [], []
    for path in (member for each in albums for member in _evaluated_folders(each)):
        result, outcome = attempt(path, "evaluate", partial(evaluate_one, path))
        if result is not None:
            evaluations.append(result[0])
        outcomes.append(outcome if result is None else replace(outcome, page=result[1]))
        documents.append(outcome.to_json() if result is None else result[0].to_json())
    if as_json:
        print_line(json.dumps(documents, indent=2))
    else:
        if evaluations:
            print_table(scores_table(evaluations))
        for line in remarks(evaluations):
            print_line(line)
        print_outcomes(outcomes)
    return outcomes


def _evaluated_folders(path: Path) -> list[Path]:
    """The folders of an album's targets; what cannot be told of it, opening it says."""
    try:
        members = member_folders(Path(os.path.realpath(album_folder(path))))
    except (RealFillError, OSError):
        return [path]
    return members if len(members) > 1 else [path]


def pick(
    name: Annotated[str, typer.Argument(metavar="ALBUM", help="Name of an album of the library, or album folder.")],
    candidate: Annotated[str, typer.Argument(help="Number of a candidate on the album's page, or best.")],
    out: Out = None,
) -> None:
    """Deliver another candidate of a finished album than the best-ranked one; best returns to the ranking."""
    from realfill.album.candidate_override import override_candidate
    from realfill.library.repository import Library

    library = Library.enclosing(Path())
    if library is not None and name in library.album_names:
        album = library.album(name)
    else:
        album, _ = AlbumOptions(out).open(Path(name))
    override_candidate(album, candidate)
    pipeline_file = album.base / "dvc.yaml"
    repro = ("dvc", "repro", os.path.relpath(pipeline_file))
    command = repro if pipeline_file.is_file() else ("realfill", "complete", name)
    print_message(f"Run `{shlex.join(command)}` to deliver it.")


def demo(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Write the demo album: a real stereo pair of photos with a hole in one of them, from scikit-image."""
    from realfill.demo_album import write_demo_album

    print_line(write_demo_album(folder))
