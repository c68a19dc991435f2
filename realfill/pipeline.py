"""The stages in order, and what each depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from realfill.album.layout import SHARED_STAGES, Album
from realfill.album.lock import album_lock
from realfill.album.store import finished_photo, read_document
from realfill.core.allocation import keep_freed_memory
from realfill.core.atomic_io import adopt_folder, disk_full_as_error, require_replaceable, write_json
from realfill.core.fingerprint import LENGTH, code_fingerprint
from realfill.core.hashing import digest, digest_json
from realfill.core.parameter_sources import PROFILES
from realfill.core.params import Params, load_params
from realfill.core.progress import ProgressCallback
from realfill.diffusion.model_files import ModelLocation, locate_model, model_digest


@dataclass(frozen=True)
class Stage:
    """One step from an album to a finished photo.

    Attributes:
        name: Name of the module, of the section in `params.yaml`, and of the folder below `work/`.
        summary: What it does, in a line.
        reads: The stages whose files it reads.
        sections: The sections of the parameters it depends on.
        uses_model: Whether it runs the base model, and reports its progress.
        values: Single parameters of other sections it depends on, as "section.name".
    """

    name: str
    summary: str
    reads: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    uses_model: bool = False
    values: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Full name of the module."""
        return f"realfill.stages.{self.name}"

    @property
    def shared(self) -> bool:
        """Whether the targets of an album share its result, which is made once for all of them."""
        return self.name in SHARED_STAGES

    def output(self, album: Album) -> Path:
        """The folder that the stage writes."""
        return album.completed if self.name == "export" else album.work(self.name)


STAGES = (
    Stage("validate", "Check every photo and list what was found.", (), ("validate",)),
    Stage(
        "masks",
        "Build the mask, the canvas and the window the model sees.",
        ("validate",),
        ("masks", "validate"),
    ),
    Stage(
        "align",
        "Place the references' own pixels in the hole by the geometry of the scene.",
        ("validate", "masks"),
        ("align",),
        values=("finetune.composite",),
    ),
    Stage(
        "finetune",
        "Tune a LoRA adapter of the base model on the album.",
        ("validate", "masks", "align"),
        ("finetune", "base"),
        uses_model=True,
        values=("blend.generate",),
    ),
    Stage(
        "sample",
        "Draw the candidates for the missing part.",
        ("masks", "align", "finetune"),
        ("sample", "finetune", "base"),
        uses_model=True,
        values=("blend.generate",),
    ),
    Stage(
        "rank",
        "Rank the candidates by matches with the references.",
        ("validate", "masks", "align", "sample"),
        ("rank",),
        values=("blend.generate",),
    ),
    Stage(
        "blend",
        "Blend the best candidate into the photo.",
        ("validate", "masks", "align", "sample", "rank"),
        ("blend",),
    ),
    Stage(
        "export",
        "Write the finished photo with its metadata, provenance and page.",
        ("validate", "masks", "align", "finetune", "sample", "rank", "blend"),
        ("base", "validate", "masks", "align", "finetune", "sample", "rank", "blend", "export"),
    ),
)


def stage(name: str) -> Stage:
    """The stage of that name."""
    return next(stage for stage in STAGES if stage.name == name)


@cache
def stage_fingerprint(step: Stage) -> str:
    """Fingerprint of a stage: its code, and the values that its parameters have where no file sets them.

    The sections of the profiles count too, since a file may name a profile and not its values.

    Returns:
        16 hex digits, see `realfill.core.fingerprint`.
    """
    defaults = [_values(step, params) for params in _default_params()]
    return digest_json([code_fingerprint(step.module), defaults])[:LENGTH]


@cache
def _default_params() -> tuple[Params, ...]:
    """The parameters where no file sets any, and those of each profile."""
    return tuple(load_params(profile=profile) for profile in (None, *PROFILES))


def _values(step: Stage, params: Params) -> dict[str, Any]:
    """The parameters that a stage depends on, by section and by single value."""
    sections = {name: params.section(name) for name in step.sections}
    return sections | {key: params.value(key) for key in step.values}


def run_stage(name: str, album: Album, params: Params, on_progress: ProgressCallback | None = None) -> Any:
    """Run one stage, whatever it wrote before, record what it was made of, and return its typed result.

    Args:
        name: Name of the stage.
        album: The album; only the stage's own output folder and its record are written.
        params: All parameters.
        on_progress: Called as tuning and sampling go on.

    Raises:
        OutputError: Its folder holds what realfill did not write.
        SpaceError: The disk takes no more; what the stage wrote before is still there.
        RealFillError: The inputs, the parameters or the installation do not allow it.
    """
    step = stage(name)
    return _run_recorded(step, album, params, _inputs(step, album, params), on_progress)


def _run_recorded(
    step: Stage, album: Album, params: Params, inputs: str, on_progress: ProgressCallback | None
) -> Any:
    """Run a stage, and record the digests of its inputs and of what it wrote."""
    require_replaceable(step.output(album))
    keep_freed_memory()
    run = import_module(step.module).run
    with disk_full_as_error(step.name, album.out):
        result = run(album, params, on_progress) if step.uses_model else run(album, params)
        write_json(_record(step, album), {"inputs": inputs, "outputs": digest(step.output(album))})
    return result


def complete(
    album: Album,
    params: Params,
    *,
    force: bool = False,
    on_stage: Callable[[Stage, Album, bool], None] | None = None,
    on_progress: ProgressCallback | None = None,
    model_lock: AbstractContextManager[Any] | None = None,
) -> Path:
    """Complete an album of one target: `complete_targets` with this one."""
    runs = [(album, params)]
    return complete_targets(runs, force=force, on_stage=on_stage, on_progress=on_progress, model_lock=model_lock)[0]


def complete_targets(
    runs: Sequence[tuple[Album, Params]],
    *,
    force: bool = False,
    on_stage: Callable[[Stage, Album, bool], None] | None = None,
    on_progress: ProgressCallback | None = None,
    model_lock: AbstractContextManager[Any] | None = None,
) -> list[Path]:
    """Run every stage that is not up to date, for all targets of an album, and return the finished photos.

    A stage is up to date when the photos, its parameters, its code, and the files it reads are what
    they were when it last ran, and its own files are still there unchanged.

    Args:
        runs: All targets of the album, each with its parameters.
        force: Run every stage, up to date or not.
        on_stage: Called before each stage, with the target and whether it is skipped.
        on_progress: Called as tuning and sampling go on.
        model_lock: Held while a stage runs the base model.

    Raises:
        RealFillError: The inputs, the parameters or the installation do not allow it.
    """
    steps = list(plan_steps(runs))
    for step, album, _ in steps:
        if _has_recorded_output(step, album):
            adopt_folder(step.output(album))
        require_replaceable(step.output(album))
    for _, params in runs:
        locate_base_model(params)  # before other stages take their time
    with album_lock(runs[0][0]):
        for step, album, params in steps:
            inputs = _inputs(step, album, params)
            skipped = not force and _is_done(step, album, inputs)
            if on_stage:
                on_stage(step, album, skipped)
            if not skipped:
                with (model_lock if step.uses_model else None) or nullcontext():
                    _run_recorded(step, album, params, inputs, on_progress)
    return [finished_photo(album) for album, _ in runs]


def plan_steps(runs: Sequence[tuple[Album, Params]]) -> Iterator[tuple[Stage, Album, Params]]:
    """The steps that complete an album, in order: each stage for each target, shared ones once.

    Args:
        runs: All targets of the album, each with its parameters. Those of shared stages are alike, but for
            `blend.generate`: nothing is tuned where it is never for all targets.
    """
    generating = [run for run in runs if run[1].blend.generate != "never"]
    for step in STAGES:
        for album, params in [*generating, *runs][:1] if step.shared else runs:
            yield step, album, params


def _record(step: Stage, album: Album) -> Path:
    folder = album.shared_out if step.shared else album.out
    return folder / "work" / ".done" / f"{step.name}.json"


def _is_done(step: Stage, album: Album, inputs: str) -> bool:
    return _has_recorded_output(step, album) and bool(read_document(_record(step, album))["inputs"] == inputs)


def _has_recorded_output(step: Stage, album: Album) -> bool:
    """Whether a stage's folder is what it was when the stage ended."""
    record = _record(step, album)
    if not record.is_file() or not step.output(album).is_dir():
        return False
    return bool(read_document(record)["outputs"] == digest(step.output(album)))


def _inputs(step: Stage, album: Album, params: Params) -> str:
    targets = album.targets if step.shared or step.name == "validate" else (album,)  # `validate` compares them
    drawn = [path for each in targets for path in (each.target, each.mask) if path]
    photos = [*drawn, *album.references]
    holes = [each.settings.model_dump(mode="json", exclude={"overrides"}) for each in targets]
    return digest_json(
        {
            "code": stage_fingerprint(step),
            "photos": [[path.relative_to(album.base).as_posix(), _digest(path)] for path in photos],
            "hole": (holes if album.siblings else holes[0]) if step.name in ("validate", "masks") else None,
            "name": album.name if step.name == "export" else None,  # the delivered files bear it
            "params": _values(step, params),
            "model": _model_digest(params) if step.uses_model else None,
            "reads": [_digest(stage(name).output(each)) for each in targets for name in step.reads],
        }
    )


def _digest(path: Path) -> str | None:
    """Digest of a photo, or of a stage's folder; None if it cannot be read: the stage says so."""
    try:
        return digest(path)
    except OSError:
        return None


def locate_base_model(params: Params) -> ModelLocation | None:
    """Find the base model of an album on this machine; None where nothing is generated: it need not be there then.

    Raises:
        ModelError: It is not there, incomplete, or of no known family; says how to get it.
    """
    return None if params.blend.generate == "never" else locate_model(params.base.model)


def _model_digest(params: Params) -> str | None:
    location = locate_base_model(params)
    return None if location is None else model_digest(location)
