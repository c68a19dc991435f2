"""The flow that completes one album.

Prefect schedules, DVC remembers: a task is skipped when DVC finds its stage up to date, and what a task did is
recorded with DVC, so `dvc repro` and this flow can go on where the other stopped. For that reason no task has a
Prefect cache. All tasks run in the flow's process, where the base model is loaded once.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_image_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed
from prefect.tasks import Task
from prefect.utilities.slugify import slugify

from flows.gpu_lock import gpu_turn
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.schemas import Ranked
from realfill.album.store import canvas_path, finished_photo, mask_path, read_rows
from realfill.core.atomic_io import disk_full_as_error
from realfill.core.errors import AlbumError, RealFillError, TransientError
from realfill.core.params import Params
from realfill.core.progress import Progress, Step
from realfill.imaging.ops import resize
from realfill.library.dvc_state import DvcState
from realfill.library.repository import Library
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.pipeline import STAGES, Stage, run_stage

PICTURE_SIDE = 480
SECONDS_BETWEEN_UPDATES = 2.0


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: not after an error that only the user can mend."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, TransientError) or not isinstance(error, RealFillError)


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=may_pass,
)
def complete_stage(
    stage: str, album: Album, params: Params, known: DvcState, *, current: bool, shared: str = ""
) -> Any:
    """Run one stage and record it with DVC, unless DVC found it up to date.

    Args:
        stage: Its name.
        album: The album.
        params: All parameters.
        known: What DVC remembers of the album.
        current: Whether DVC found it up to date.
        shared: Where on the remote to keep what was achieved, for another machine to go on; nowhere if empty.

    Returns:
        {"stage": its name, "cached": whether it was skipped, "seconds": what it took}.
    """
    if current:
        message = f"DVC finds {stage} of {album.name} up to date."
        return Completed(name="Cached", message=message, data=_summary(stage, cached=True, seconds=0.0))
    progress = _progress(album)
    started = time.monotonic()
    run_stage(stage, album, params, _sharing(progress, album, known, shared) if shared else progress)
    seconds = round(time.monotonic() - started, 2)
    with disk_full_as_error(stage, album.root):
        known.record(album.root / "dvc.yaml", stage)
    if shared:
        known.push()
        known.send(album.root / "dvc.lock", f"{shared}/dvc.lock")
    return _summary(stage, cached=False, seconds=seconds)


@flow(name="complete-album", flow_run_name="{album}", persist_result=True, result_serializer="json")
def complete_album(album: str, library: str = ".", gallery: bool = True, shared: str = "") -> dict[str, Any]:
    """Complete one album of the library, from its photos to the finished file.

    Args:
        album: The album's name, i.e. its folder below data/albums/.
        library: Root of the library; the working directory by default.
        gallery: Whether to write the page that lists all albums anew.
        shared: Where on the DVC remote to keep checkpoints and finished stages, for another machine to go on if this
            one goes away; nowhere if empty.

    Returns:
        {"album": its name, "photo": the finished photo's path inside the library, "stages": what each task returned}.
    """
    shelf = Library.open(Path(library))
    opened = shelf.album(album)
    params = shelf.params(opened)
    with _alone(opened), shelf.tracked(album) as known:
        known.take_up()
        stages = [_complete(stage, opened, params, known, shared) for stage in STAGES]
    if gallery:
        shelf.update_gallery()
    photo = finished_photo(opened)
    with whatever_the_server_says():
        show_ranking(opened)
        show_result(opened, photo)
    return {"album": album, "photo": photo.relative_to(shelf.root).as_posix(), "stages": stages}


def _complete(stage: Stage, album: Album, params: Params, known: DvcState, shared: str) -> Any:
    current = known.is_current(album.root / "dvc.yaml", stage.name)
    run = complete_stage.with_options(name=stage.name, timeout_seconds=allowance(album, params))
    with gpu_turn(needed=stage.uses_model and not current):
        state = run(stage.name, album, params, known, current=current, shared=shared, return_state=True)
    return state.result()


@contextmanager
def _alone(album: Album) -> Iterator[None]:
    """Keep other runs off; one that is still there is not the album's fault."""
    with ExitStack() as held:
        try:
            held.enter_context(album_lock(album))
        except AlbumError as error:
            raise TransientError(error.problem, error.remedy, error.path) from error
        yield


def allowance(album: Album, params: Params) -> float:
    """Seconds after which a stage of the album is taken to hang: far more than any takes.

    An hour, a second for each megabyte of the photos, and a second for each sample that is learned or drawn.
    """
    megabytes = sum(path.stat().st_size for path in (album.target, *album.references)) / 1e6
    learned = params.finetune.steps * params.finetune.batch_size
    return 3600 + megabytes + learned + params.sample.candidates * params.sample.steps


@contextmanager
def whatever_the_server_says() -> Iterator[None]:
    """Show something in Prefect's UI; a server that is away for a while stops no work."""
    try:
        yield
    except Exception as error:
        get_run_logger().warning("Could not be shown: %s", error)


def show_ranking(album: Album) -> None:
    """Put the ranking of the candidates into Prefect's UI, as a table."""
    rows = read_rows(album.work("rank") / "ranking.parquet", Ranked)
    table = [asdict(row) for row in rows]
    create_table_artifact(table, key=f"{slugify(album.name)}-ranking", description=f"Candidates of {album.name}")


def show_result(album: Album, photo: Path) -> None:
    """Put the photo with its hole beside the finished photo into Prefect's UI, as a small picture."""
    canvas = read_png(canvas_path(album))  # [H, W, 3]
    hole = read_png(mask_path(album))[..., None] > 127  # [H, W, 1]
    pair = [_small(np.where(hole, np.uint8(255), canvas)), _small(read_srgb(photo))]
    file = io.BytesIO()
    Image.fromarray(np.hstack(pair)).save(file, format="JPEG", quality=85)
    url = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    create_image_artifact(url, key=f"{slugify(album.name)}-result", description=f"Before and after: {album.name}")


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = PICTURE_SIDE / max(height, width)
    return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))


def _summary(stage: str, *, cached: bool, seconds: float) -> dict[str, Any]:
    return {"stage": stage, "cached": cached, "seconds": seconds}


def _progress(album: Album) -> Progress:
    """A callback that shows the steps of a stage that takes a while in Prefect's UI, as a progress bar each."""
    bars: dict[str, tuple[Any, float]] = {}
    began = time.monotonic()

    def show(step: Step) -> None:
        percent = 100 * step.done / step.total
        bar, updated = bars.get(step.stage, (None, began))
        is_last = bar is not None and step.done == step.total
        if not is_last and time.monotonic() - updated < SECONDS_BETWEEN_UPDATES:
            return
        with whatever_the_server_says():
            if bar is None:
                key = f"{slugify(album.name)}-{step.stage}"
                bar = create_progress_artifact(percent, key=key, description=_facts(step))
            else:
                update_progress_artifact(bar, percent, description=_facts(step))
        bars[step.stage] = (bar, time.monotonic())

    return show


def _sharing(progress: Progress, album: Album, known: DvcState, shared: str) -> Progress:
    """A callback that does what `progress` does and sends each new checkpoint to the remote."""
    sent: dict[Path, int] = {}

    def share(step: Step) -> None:
        progress(step)
        for path in (album.out / "work" / ".checkpoints").glob("*/*.safetensors"):
            if sent.get(path) != (changed := path.stat().st_mtime_ns):
                known.send(path, f"{shared}/{path.relative_to(album.out).as_posix()}")
                sent[path] = changed

    return share


def _facts(step: Step) -> str:
    loss = "" if step.loss is None else f", loss {step.loss:.4f}"
    return f"{step.stage}: {step.done} of {step.total} steps{loss}, {step.seconds_left:.0f} s left"
