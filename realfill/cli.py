"""The `realfill` command."""

from __future__ import annotations

import json
import logging
import os
import resource
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from realfill import __version__, pipeline
from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.core.errors import RealFillError
from realfill.core.params import PROFILES, Params, load_params
from realfill.core.progress import Progress, Step
from realfill.pipeline import STAGES, Stage

app = typer.Typer(
    name="realfill",
    help="Complete photos with what was really there, as reference photos of the same scene show it.",
    epilog="An album is a folder with target/target.jpg, target/mask.png (white = fill) and ref/*.jpg.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out_console = Console()
err_console = Console(stderr=True)
AlbumPath = Annotated[Path, typer.Argument(metavar="ALBUM", help="Album folder.")]
AlbumPaths = Annotated[list[Path], typer.Argument(metavar="ALBUM...", help="Album folders.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Write to OUT/<album>/ instead of into the album folder.", file_okay=False),
]
ParamsFile = Annotated[
    Path | None,
    typer.Option("--params", help="Parameters file. [default: ./params.yaml if there is one]", dir_okay=False),
]
Profile = Annotated[str | None, typer.Option(help=f"Named set of parameters: {', '.join(PROFILES)}.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set one parameter, e.g. --set sample.candidates=8."),
]


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more of what is going on.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        out_console.print(__version__)
        raise typer.Exit
    warnings.filterwarnings("ignore", category=FutureWarning)
    level = logging.INFO if verbose else logging.WARNING
    handler = RichHandler(console=err_console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("realfill").setLevel(level)


@app.command()
def complete(
    albums: AlbumPaths,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    force: Annotated[bool, typer.Option("--force", help="Run every stage, up to date or not.")] = False,
) -> None:
    """Complete albums from the folder to the finished photo, going on where an earlier run stopped.

    An album that fails does not stop the others; the exit code is then 1.
    """
    failed = 0
    for path in albums:
        try:
            _complete(path, out, params_file, profile, assignments or [], force)
        except RealFillError as error:
            _tell(error)
            failed += 1
    if failed:
        raise typer.Exit(1)


def _complete(
    path: Path, out: Path | None, params_file: Path | None, profile: str | None, assignments: list[str], force: bool
) -> None:
    album, params = _opened(path, out, params_file, profile, assignments)
    begun: list[tuple[str, bool, float]] = []

    def on_stage(stage: Stage, skipped: bool) -> None:
        begun.append((stage.name, skipped, time.monotonic()))
        err_console.print(f"[dim]{album.name}: {stage.name}{' (up to date)' if skipped else ''}[/dim]")

    with _bars() as on_progress:
        photo = pipeline.complete(album, params, force=force, on_stage=on_stage, on_progress=on_progress)
    moments = [moment for _, _, moment in begun] + [time.monotonic()]
    title = f"{album.name}: {moments[-1] - moments[0]:.0f} s, {_peak_gigabytes():.1f} GB"
    table = Table("stage", "time", title=title)
    for (name, skipped, _), (begin, end) in zip(begun, pairwise(moments), strict=True):
        table.add_row(name, "up to date" if skipped else f"{end - begin:.1f} s")
    err_console.print(table)
    out_console.print(f"photo  {photo}", soft_wrap=True, highlight=False)
    out_console.print(f"page   {album.completed / 'page' / 'index.html'}", soft_wrap=True, highlight=False)


def _stage_command(stage: Stage) -> Callable[..., None]:
    def command(
        path: AlbumPath,
        out: Out = None,
        params_file: ParamsFile = None,
        profile: Profile = None,
        assignments: Assignments = None,
    ) -> None:
        album, params = _opened(path, out, params_file, profile, assignments or [])
        with album_lock(album), _bars() as on_progress:
            pipeline.run_stage(stage.name, album, params, on_progress)
        out_console.print(str(stage.output(album)), soft_wrap=True, highlight=False)

    return command


for _stage in STAGES:
    app.command(_stage.name, help=_stage.summary)(_stage_command(_stage))


@app.command()
def evaluate(
    albums: AlbumPaths,
    out: Out = None,
    params_file: ParamsFile = None,
    profile: Profile = None,
    assignments: Assignments = None,
    untuned: Annotated[int, typer.Option(min=0, help="Also draw so many fills with the untuned base model.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare finished albums with their ground truth (target/gt.*), over the hole only, and write work/evaluate/."""
    from realfill.evaluation.evaluate import evaluate as evaluate_album
    from realfill.evaluation.scores_table import remarks, scores_table

    evaluations, pages = [], []
    for path in albums:
        album, params = _opened(path, out, params_file, profile, assignments or [])
        with album_lock(album):
            evaluations.append(evaluate_album(album, params, untuned=untuned))
        pages.append(album.work("evaluate") / "index.html")
    if as_json:
        print(json.dumps([evaluation.to_json() for evaluation in evaluations], indent=2))
        return
    out_console.print(scores_table(evaluations))
    for line in (*remarks(evaluations), *(f"page   {page}" for page in pages)):
        out_console.print(escape(line), soft_wrap=True, highlight=False)


@app.command()
def add(
    album: AlbumPath,
    library: Annotated[Path, typer.Option(help="Root of the library, a git and DVC repository.")] = Path(),
) -> None:
    """Bring an album into the library under data/albums/, its photos tracked by DVC."""
    from realfill.library.repository import add as add_album

    folder = add_album(album, library)
    out_console.print(str(folder), soft_wrap=True, highlight=False)
    err_console.print(f"Run `dvc repro` to complete it; `git add {folder}` keeps it in the library's history.")


@app.command(context_settings={"ignore_unknown_options": True})
def pick(
    name: Annotated[str, typer.Argument(metavar="ALBUM", help="Name of an album of the library, or album folder.")],
    candidate: Annotated[str, typer.Argument(help="A candidate's number on the album's page, or best.")],
    out: Out = None,
) -> None:
    """Deliver another candidate of a finished album than the best-ranked one; best takes the choice back."""
    from realfill.album.candidate_override import pick as pick_candidate
    from realfill.library.repository import Library

    in_library = Path("data", "albums", name, "dvc.yaml").is_file()
    album = Library.open(Path()).album(name) if in_library else _opened(Path(name), out, None, None, [])[0]
    pick_candidate(album, candidate)
    file = album.root / "dvc.yaml"
    again = ("dvc", "repro", os.path.relpath(file)) if file.is_file() else ("realfill", "complete", name)
    err_console.print(f"Run `{escape(shlex.join(again))}` to deliver it.", soft_wrap=True, highlight=False)


@app.command()
def gallery(
    folder: Annotated[Path, typer.Argument(metavar="LIBRARY", help="A library, or a folder of album folders.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the gallery's page. [default: gallery/ beside the albums]", file_okay=False),
    ] = None,
) -> None:
    """Write the page that lists every album of a library, those that need a look first."""
    from realfill.library.gallery import write_gallery
    from realfill.library.repository import open_albums

    albums = folder / "data" / "albums" if (folder / "data" / "albums").is_dir() else folder
    opened, problems = open_albums(albums)
    page = write_gallery(opened, out or albums.resolve().parent / "gallery", problems)
    out_console.print(str(page), soft_wrap=True, highlight=False)


@app.command()
def demo(folder: Annotated[Path, typer.Argument(help="Folder to make.")]) -> None:
    """Write the demo album: a real stereo photo pair with a hole, from scikit-image."""
    from realfill.demo_album import write_demo_album

    out_console.print(str(write_demo_album(folder)), soft_wrap=True, highlight=False)


@app.command()
def fetch(model: Annotated[str, typer.Argument(help="Name of a base model, e.g. sd2-inpainting.")]) -> None:
    """Download a base model's pinned revision; nothing else ever downloads one."""
    from realfill.diffusion.model_registry import fetch as fetch_model

    out_console.print(str(fetch_model(model)), soft_wrap=True, highlight=False)


LibraryRoot = Annotated[Path, typer.Option("--library", help="Root of the library.", file_okay=False)]
fleet = typer.Typer(help="Complete a library overnight, on one machine or many.", no_args_is_help=True)
app.add_typer(fleet, name="fleet")


@fleet.command()
def up(
    library: LibraryRoot = Path(),
    report_to: Annotated[str | None, typer.Option(help="Webhook that is told of albums that fail.")] = None,
) -> None:
    """Set up the Prefect server that PREFECT_API_URL names; doing it again changes nothing."""
    from flows.deployment import up as set_up

    for line in set_up(library, report_to):
        out_console.print(line, highlight=False)


@fleet.command()
def night(library: LibraryRoot = Path()) -> None:
    """Complete every album that is new or changed in this process, without any worker."""
    from flows.complete_library import complete_library

    complete_library(str(library.resolve()))


@fleet.command()
def work(
    library: LibraryRoot = Path(),
    pool: Annotated[str, typer.Option(help="realfill, or realfill-library in the library's own clone.")] = "realfill",
    name: Annotated[str | None, typer.Option(help="Name of this worker. [default: the host's]")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs at a time; they take turns on the GPU.")] = 2,
) -> None:
    """Work for the library in this clone, until interrupted."""
    from flows.deployment import work as work_for

    raise typer.Exit(work_for(library, pool, name, limit))


@app.command()
def status(library: LibraryRoot = Path()) -> None:
    """Tell what became of every album, those that need a human first."""
    from realfill.library import run_history
    from realfill.library.repository import Library

    out_console.print(run_history.status_table(run_history.latest(Library.open(library)).values()))


@app.command()
def history(album: Annotated[str, typer.Argument(help="Name of the album.")], library: LibraryRoot = Path()) -> None:
    """Tell what changed about an album from night to night."""
    from realfill.library import run_history
    from realfill.library.repository import Library

    for row, changes in run_history.history(Library.open(library), album):
        out_console.print(f"[bold]{row.night}[/bold] {row.outcome} {row.worker}".rstrip())
        for line in changes:
            out_console.print(f"  {line}", markup=False, highlight=False)


@app.command()
def gc(
    library: LibraryRoot = Path(),
    albums: Annotated[
        bool, typer.Option("--albums", help="Also photos and outputs that the DVC remote has: for agents.")
    ] = False,
) -> None:
    """Remove from this clone what can be made or fetched again, and nothing else."""
    from realfill.library import disk_space
    from realfill.library.repository import Library

    freed = disk_space.collect(Library.open(library), albums=albums)
    out_console.print(
        f"{freed.bytes / 1e9:.2f} GB: {freed.leftovers} leftovers of runs, {freed.objects} files of DVC's cache, "
        f"{len(freed.albums)} albums"
    )


@app.command()
def doctor() -> None:
    """Tell what works on this machine, what does not, and how to mend it."""
    from realfill.doctor import examine

    table = Table("part", "state", "what to do")
    findings = examine()
    for finding in findings:
        state = "[green]works[/green]" if finding.works else "[red]missing[/red]"
        table.add_row(finding.part, f"{state}  {escape(finding.state)}", escape(finding.remedy))
    out_console.print(table)
    if any(finding.needed and not finding.works for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; a user's mistake ends in one message on stderr and exit code 1."""
    try:
        app()
    except RealFillError as error:
        _tell(error)
        sys.exit(1)
    except KeyboardInterrupt:
        _stop()


def _stop() -> NoReturn:
    err_console.print("Interrupted; the same command goes on from here.")
    sys.exit(130)


def _tell(error: RealFillError) -> None:
    err_console.print(f"[bold red]error:[/bold red] {escape(str(error))}", soft_wrap=True, highlight=False)


def _opened(
    path: Path, out: Path | None, params_file: Path | None, profile: str | None, assignments: list[str]
) -> tuple[Album, Params]:
    name = path.resolve().name
    album = open_album(path, None if out is None else out / name)
    here = Path("params.yaml")
    chosen = params_file or (here if here.is_file() else None)
    return album, load_params(chosen, profile=profile, overrides=album.settings.overrides, assignments=assignments)


@contextmanager
def _bars() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Bars(*columns, console=err_console, transient=True) as bars:
        tasks = {}

        def show(step: Step) -> None:
            if step.stage not in tasks:
                tasks[step.stage] = bars.add_task(step.stage, total=step.total, facts="")
            loss = "" if step.loss is None else f"loss {step.loss:.4f}  "
            facts = f"{loss}{step.steps_per_second:.2f} steps/s  {step.seconds_left:.0f} s left"
            bars.update(tasks[step.stage], completed=step.done, facts=facts)

        yield show


def _peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
