"""The flow that completes one album.

Prefect schedules, DVC remembers: a task is skipped when DVC finds its stage up to date, and what a task did is
recorded with DVC, so `dvc repro` and this flow can go on where the other stopped. For that reason no task has a
Prefect cache. All tasks run in the flow's process, where the base model is loaded once.
"""

from __future__ import annotations

import base64
import io
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prefect import flow, task
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

from realfill import images
from realfill.album import Album
from realfill.artifacts import Ranked, canvas_path, mask_path, read_document, read_rows
from realfill.errors import RealFillError
from realfill.library import Library
from realfill.params import Params
from realfill.pipeline import STAGES, alone, run_stage
from realfill.progress import Progress, Step

PICTURE_SIDE = 480
SECONDS_BETWEEN_UPDATES = 2.0


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: not after an error that only the user can mend."""
    return not isinstance(state.result(raise_on_failure=False), RealFillError)


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_condition_fn=may_pass,
)
def complete_stage(stage: str, library: Library, album: Album, params: Params) -> Any:
    """Run one stage and record it with DVC, unless DVC finds it up to date.

    Returns:
        {"stage": its name, "cached": whether it was skipped, "seconds": what it took}.
    """
    if library.is_current(album, stage):
        message = f"DVC finds {stage} of {album.name} up to date."
        return Completed(name="Cached", message=message, data=_summary(stage, cached=True, seconds=0.0))
    started = time.monotonic()
    run_stage(stage, album, params, _progress(album))
    library.record(album, stage)
    return _summary(stage, cached=False, seconds=round(time.monotonic() - started, 2))


@flow(name="complete-album", flow_run_name="{album}", persist_result=True, result_serializer="json")
def complete_album(album: str, library: str = ".") -> dict[str, Any]:
    """Complete one album of the library, from its photos to the finished file.

    Args:
        album: The album's name, i.e. its folder below data/albums/.
        library: Root of the library; the working directory by default.

    Returns:
        {"album": its name, "photo": the finished photo's path inside the library, "stages": what each task returned}.
    """
    shelf = Library.open(Path(library))
    opened = shelf.album(album)
    params = shelf.params(opened)
    with alone(opened):
        shelf.record_photos(opened)
        stages = [_complete(stage.name, shelf, opened, params) for stage in STAGES]
    shelf.update_gallery()
    photo = opened.completed / str(read_document(opened.completed / f"{album}.json")["photo"])
    show_ranking(opened)
    show_result(opened, photo)
    return {"album": album, "photo": photo.relative_to(shelf.root).as_posix(), "stages": stages}


def _complete(stage: str, library: Library, album: Album, params: Params) -> Any:
    state = complete_stage.with_options(name=stage)(stage, library, album, params, return_state=True)
    return state.result()


def show_ranking(album: Album) -> None:
    """Put the ranking of the candidates into Prefect's UI, as a table."""
    rows = read_rows(album.work("rank") / "ranking.parquet", Ranked)
    table = [asdict(row) for row in rows]
    create_table_artifact(table, key=f"{slugify(album.name)}-ranking", description=f"Candidates of {album.name}")


def show_result(album: Album, photo: Path) -> None:
    """Put the photo with its hole beside the finished photo into Prefect's UI, as a small picture."""
    canvas = images.read_png(canvas_path(album))  # [H, W, 3]
    hole = images.read_png(mask_path(album))[..., None] > 127  # [H, W, 1]
    pair = [_small(np.where(hole, np.uint8(255), canvas)), _small(images.read_srgb(photo))]
    file = io.BytesIO()
    Image.fromarray(np.hstack(pair)).save(file, format="JPEG", quality=85)
    url = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    create_image_artifact(url, key=f"{slugify(album.name)}-result", description=f"Before and after: {album.name}")


def _small(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = PICTURE_SIDE / max(height, width)
    return images.resize(image, max(1, round(width * scale)), max(1, round(height * scale)))


def _summary(stage: str, *, cached: bool, seconds: float) -> dict[str, Any]:
    return {"stage": stage, "cached": cached, "seconds": seconds}


def _progress(album: Album) -> Progress:
    """A callback that shows a stage's steps in Prefect's UI, as a progress bar each."""
    bars: dict[str, tuple[Any, float]] = {}

    def show(step: Step) -> None:
        percent = 100 * step.done / step.total
        if step.stage not in bars:
            key = f"{slugify(album.name)}-{step.stage}"
            bar = create_progress_artifact(percent, key=key, description=_facts(step))
        else:
            bar, updated = bars[step.stage]
            if step.done < step.total and time.monotonic() - updated < SECONDS_BETWEEN_UPDATES:
                return
            update_progress_artifact(bar, percent, description=_facts(step))
        bars[step.stage] = (bar, time.monotonic())

    return show


def _facts(step: Step) -> str:
    loss = "" if step.loss is None else f", loss {step.loss:.4f}"
    return f"{step.stage}: {step.done} of {step.total} steps{loss}, {step.seconds_left:.0f} s left"
