"""The flow that completes one album.

Prefect schedules, and DVC decides what is up to date: a task is skipped if DVC finds its stage up to date, and the
results of a task are recorded with DVC. `dvc repro` and this flow can therefore continue each other's work. For the
same reason no task has a Prefect cache. All tasks run in the flow's process, in which the base model is loaded once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.store import finished_photo
from realfill.core.atomic_io import disk_full_as_error
from realfill.core.errors import AlbumError, RealFillError, TransientError
from realfill.core.gpu import gpu_lock
from realfill.core.params import Params
from realfill.core.progress import ProgressCallback, ProgressUpdate
from realfill.flows.artifacts import ignore_server_errors, make_progress_callback, show_ranking, show_result
from realfill.flows.retries import STAGE_DELAYS, is_retryable
from realfill.library.dvc_state import DvcState
from realfill.library.engine import require_engine
from realfill.library.gallery import update_gallery
from realfill.library.repository import Library
from realfill.library.target_pipelines import dvc_stage_name
from realfill.pipeline import STAGES, Stage, locate_base_model, plan_steps, run_stage
from realfill.pipeline import stage as stage_named


def _leave_traceback_out(record: logging.LogRecord) -> bool:
    """Log an error that says itself what to do without the frames of Prefect that it passed."""
    if record.exc_info and isinstance(record.exc_info[1], RealFillError):
        record.exc_info = None
    return True


logging.getLogger("prefect.flow_runs").addFilter(_leave_traceback_out)


@dataclass(frozen=True)
class TimeoutSettings:
    """After how long a stage is considered to hang: far longer than any stage takes. All values are set by hand.

    Attributes:
        base_seconds: For any stage.
        seconds_per_megabyte: For each 10^6 bytes of the album's photos.
        seconds_per_sample: For each training sample of the tuning, and for each denoising step of each candidate.
    """

    base_seconds: float = 3600.0
    seconds_per_megabyte: float = 1.0
    seconds_per_sample: float = 1.0


@task(
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=len(STAGE_DELAYS),
    retry_delay_seconds=STAGE_DELAYS,
    retry_condition_fn=is_retryable,
)
def complete_stage(
    stage: str, album: Album, params: Params, dvc_state: DvcState, *, up_to_date: bool, remote_folder: str = ""
) -> Any:
    """Run one stage and record it with DVC, unless DVC found it up to date.

    Args:
        stage: Its name.
        album: The album, or one of its targets.
        params: All parameters.
        dvc_state: What DVC knows of the album.
        up_to_date: Whether DVC found the stage up to date.
        remote_folder: Folder on the DVC remote in which checkpoints and `dvc.lock` are kept, so that another machine
            can continue; nothing is kept if empty.

    Returns:
        {"stage": its name for DVC, "cached": whether it was skipped, "seconds": what it took}.
    """
    name = dvc_stage_name(stage_named(stage), album)
    if up_to_date:
        message = f"DVC finds {stage} of {album.name} up to date."
        return Completed(name="Cached", message=message, data=_summary(name, cached=True, seconds=0.0))
    on_progress = make_progress_callback(album)
    if remote_folder:
        on_progress = _upload_checkpoints(on_progress, album, dvc_state, remote_folder)
    file = album.base / "dvc.yaml"
    dvc_state.adopt_outputs(file, name)
    started = time.monotonic()
    run_stage(stage, album, params, on_progress)
    seconds = round(time.monotonic() - started, 2)
    with disk_full_as_error(stage, album.base):
        dvc_state.commit(file, name)
    if remote_folder:
        dvc_state.push()
        dvc_state.upload_file(album.base / "dvc.lock", f"{remote_folder}/dvc.lock")
    return _summary(name, cached=False, seconds=seconds)


@flow(name="complete-album", flow_run_name="{album}", persist_result=True, result_serializer="json")
def complete_album(album: str, library: str = ".", gallery: bool = True, remote_folder: str = "") -> dict[str, Any]:
    """Complete one album of the library with all its targets, from its photos to the finished files.

    Args:
        album: The album's name, i.e. its folder below data/albums/.
        library: Root of the library; the working directory by default.
        gallery: Whether to update the page that lists all albums.
        remote_folder: Folder on the DVC remote in which to keep checkpoints and finished stages, so that another
            machine can continue if this one goes away; nothing is kept there if empty.

    Returns:
        {"album": its name, "photo": path of the finished photo inside the library, a list of several targets' ones,
        "stages": what each task returned}.
    """
    opened_library = Library.open(Path(library))
    runs = [(target, opened_library.params(target)) for target in opened_library.targets(album)]
    targets = [target for target, _ in runs]
    for stage in STAGES:
        require_engine(targets[0], stage.name)
    with _lock_album(targets[0]), opened_library.album_state(album) as dvc_state:
        dvc_state.commit_changed_photos()
        _require_models(runs, dvc_state)
        stages = [_start_stage(*step, dvc_state, remote_folder) for step in plan_steps(runs)]
    if gallery:
        update_gallery(opened_library)
    with ignore_server_errors():
        for target in targets:
            show_ranking(target)
            show_result(target, finished_photo(target))
    photos = [finished_photo(target).relative_to(opened_library.root).as_posix() for target in targets]
    return {"album": album, "photo": photos[0] if len(photos) == 1 else photos, "stages": stages}


def stage_timeout(album: Album, params: Params, settings: TimeoutSettings = TimeoutSettings()) -> float:
    """Seconds after which a stage of the album is considered to hang."""
    megabytes = sum(path.stat().st_size for path in (album.target, *album.references)) / 1e6
    trained = params.finetune.steps * params.finetune.batch_size
    denoised = params.sample.candidates * params.sample.steps
    seconds = settings.base_seconds + settings.seconds_per_megabyte * megabytes
    return seconds + settings.seconds_per_sample * (trained + denoised)


def _require_models(runs: Sequence[tuple[Album, Params]], dvc_state: DvcState) -> None:
    """See that base models which are certainly needed are on this machine, before other stages take their time.

    Raises:
        ModelError: One of them is not.
    """
    for step, album, params in plan_steps(runs):
        if step.uses_model and not dvc_state.is_up_to_date(album.base / "dvc.yaml", dvc_stage_name(step, album)):
            locate_base_model(params)


def _start_stage(stage: Stage, album: Album, params: Params, dvc_state: DvcState, remote_folder: str) -> Any:
    """Run one stage as a task of its own, holding the GPU if it needs it, and return what the task returned."""
    name = dvc_stage_name(stage, album)
    up_to_date = dvc_state.is_up_to_date(album.base / "dvc.yaml", name)
    run = complete_stage.with_options(name=name, task_run_name=name, timeout_seconds=stage_timeout(album, params))
    uses_gpu = stage.uses_model and params.blend.generate != "never" and not up_to_date
    with gpu_lock(needed=uses_gpu):
        state = run(
            stage.name,
            album,
            params,
            dvc_state,
            up_to_date=up_to_date,
            remote_folder=remote_folder,
            return_state=True,
        )
    return state.result()


@contextmanager
def _lock_album(album: Album) -> Iterator[None]:
    """Keep other runs away from an album; another run that still works on it is not the album's fault.

    Raises:
        TransientError: Another run works on it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(album_lock(album))
        except AlbumError as error:
            raise TransientError(error.problem, error.remedy, error.path) from error
        yield


def _summary(stage: str, *, cached: bool, seconds: float) -> dict[str, Any]:
    return {"stage": stage, "cached": cached, "seconds": seconds}


def _upload_checkpoints(
    on_progress: ProgressCallback, album: Album, dvc_state: DvcState, remote_folder: str
) -> ProgressCallback:
    """Make a callback that calls `on_progress`, then uploads every checkpoint that is new or changed."""
    uploaded: dict[Path, int] = {}  # modification time in nanoseconds

    def upload(update: ProgressUpdate) -> None:
        on_progress(update)
        for path in (album.shared_out / "work" / ".checkpoints").glob("*/*.safetensors"):
            if uploaded.get(path) != (modified := path.stat().st_mtime_ns):
                dvc_state.upload_file(path, f"{remote_folder}/{path.relative_to(album.shared_out).as_posix()}")
                uploaded[path] = modified

    return upload
