"""Sample candidates for the hole from the tuned model (RealFill, arXiv 2309.16668, section 4.2)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realfill.album.canvas import read_model_window
from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.schemas import GENERATED_KINDS, Candidate
from realfill.album.store import (
    accepted_references,
    canvas_path,
    mask_path,
    read_document,
    read_window,
    read_working_profile,
    write_rows,
)
from realfill.compositing.photographed_pixels import picture_photographed
from realfill.core.atomic_io import atomic_directory
from realfill.core.errors import ModelError
from realfill.core.fingerprint import code_fingerprint, library_versions
from realfill.core.hashing import digest
from realfill.core.progress import ProgressCallback, ProgressUpdate
from realfill.diffusion.album_inputs import read_guide, read_shown_references
from realfill.diffusion.base_model import BaseModel, load_base_model
from realfill.diffusion.guide import Guide
from realfill.diffusion.inpainting_sampler import Judge, SampledImages, sample_candidates
from realfill.imaging.ops import Pixels
from realfill.photo_io.color_management import convert_rgb
from realfill.photo_io.working_files import read_png, write_png

if TYPE_CHECKING:
    from realfill.core.params import Params


@dataclass(frozen=True)
class SampleResult:
    """What was sampled.

    Attributes:
        candidates: One row per candidate.
        folder: Folder of their pictures.
    """

    candidates: tuple[Candidate, ...]
    folder: Path


def run(album: Album, params: Params, on_progress: ProgressCallback | None = None) -> SampleResult:
    """Sample candidates with the album's adapter, and write them and the placed pixels.

    None are drawn from pure noise where `finetune` tells that the model cannot compete with what the references show.
    A candidate whose pixels are not finite is left out with a warning. With `blend.generate: never` no model is
    loaded: the only candidate shows what the references show for certain.

    Args:
        album: The album, after `masks`, `align` and `finetune`.
        params: All parameters; `sample`, `base`, `finetune.prompt` and `blend.generate` matter.
        on_progress: Called after each denoising step.

    Raises:
        StageError: `masks`, `align` or `finetune` has not run.
        ModelError: The base model cannot be loaded, not even one candidate fits into memory, or none is left.
    """
    if params.blend.generate == "never":
        return _write_photographed(album)
    model = load_base_model(params.base)
    guide = read_guide(album, model.resolution, params.sample.strength)
    adapter = _read_adapter_folder(album)
    if guide and adapter and params.finetune.composite and not model.blends:
        guide = replace(guide, is_condition=True)
    if not model.tunes_text:
        model.embed([params.finetune.prompt, ""])  # before the denoiser takes its memory
    with model.use_adapter(adapter):
        sampled = _sample_kinds(album, params, model, guide, on_progress)
    rows = tuple(_describe(sampled, params, model, adapter))
    if not rows:
        problem = "The model made no usable picture: no candidate has finite pixels."
        remedy = "Set base.precision to no, lower finetune.lr_unet and finetune.lr_text, or choose another model."
        raise ModelError(problem, remedy, album.root)
    return _write(album, rows, (image for batch in sampled.values() for image in batch.images))


def _write(album: Album, rows: tuple[Candidate, ...], images: Iterable[Pixels]) -> SampleResult:
    folder, profile = album.work("sample"), read_working_profile(album)
    with atomic_directory(folder) as partial:
        for row, image in zip(rows, images, strict=True):
            write_png(partial / row.file, image, profile)
        write_rows(partial / "candidates.parquet", Candidate, rows)
    return SampleResult(rows, folder)


def _write_photographed(album: Album) -> SampleResult:
    """Write the only candidate that no model has a part in."""
    canvas, mask, proposal = read_png(canvas_path(album)), read_png(mask_path(album)), read_proposal(album)
    picture = picture_photographed(canvas, mask, read_window(album), proposal)
    row = Candidate(
        candidate=0,
        file="000.png",
        kind="unchanged" if proposal is None else "placed",
        draw=0,
        seed=0,
        scheduler="",
        steps=0,
        guidance=1.0,
        batch_size=1,
        count=0,
        resolution=len(picture),
        model="",
        model_digest="",
        adapter_digest="",
        versions=_describe_versions(),
    )
    return _write(album, (row,), [picture])


def _describe_versions() -> str:
    return json.dumps({"code": code_fingerprint(__name__)} | library_versions())


def _sample_kinds(
    album: Album, params: Params, model: BaseModel, guide: Guide | None, on_progress: ProgressCallback | None
) -> dict[str, SampledImages]:
    """The candidates of each kind, in the order of their numbers.

    Guided candidates are sampled only if `align` is certain of something, those from pure noise only if they can win.
    """
    image, mask = read_model_window(album, model.resolution)
    profile = read_working_profile(album)  # the model sees and makes sRGB
    references = read_shown_references(accepted_references(album), model)
    from_noise = 0 if guide is not None and _is_tuning_needless(album) else params.sample.candidates
    judge = _make_judge(album) if params.sample.reject and from_noise > 1 else None
    guided = params.sample.guided if guide is not None and guide.keep_weight.any() else 0
    on_step = _count_steps(on_progress, (from_noise + guided) * params.sample.steps)

    def sample(count: int, guide: Guide | None) -> SampledImages:
        if guide is not None:
            guide = replace(guide, init_image=convert_rgb(guide.init_image, profile, None))
        sampled = sample_candidates(
            model,
            image,
            mask,
            count,
            params.sample,
            params.finetune.prompt,
            on_step,
            guide,
            references=references,
            judge=None if guide else judge,
        )
        return replace(sampled, images=convert_rgb(sampled.images, None, profile))

    sampled = {"noise": sample(from_noise, None)} if from_noise else {}
    if guide is not None:
        kind = "placed" if guide.placed_mask.any() else "patches"
        sampled[kind] = SampledImages(guide.init_image[None], draws=(0,), count=1, batch_size=1)
    if guided:
        sampled["guided"] = sample(guided, guide)
    return sampled


def _make_judge(album: Album) -> Judge:
    from realfill.selection.early_rejection import make_preview_judge  # here, for it takes seconds to import

    return make_preview_judge(album)


def _describe(
    sampled: dict[str, SampledImages], params: Params, model: BaseModel, adapter: Path | None
) -> Iterator[Candidate]:
    """One row per candidate, from which it can be sampled again."""
    kinds = [(kind, batch, draw) for kind, batch in sampled.items() for draw in batch.draws]
    adapter_digest = digest(adapter) if adapter else ""
    versions = _describe_versions()
    for number, (kind, batch, draw) in enumerate(kinds):
        is_generated = kind in GENERATED_KINDS
        yield Candidate(
            candidate=number,
            file=f"{number:03d}.png",
            kind=kind,
            draw=draw,
            seed=params.sample.seed,
            scheduler=model.process.scheduler_name(params.sample) if is_generated else "",
            steps=params.sample.steps if is_generated else 0,
            guidance=params.sample.guidance,
            batch_size=batch.batch_size,
            count=sum(each.count for name, each in sampled.items() if name in GENERATED_KINDS),
            resolution=model.resolution,
            model=Path(model.name).name,  # a path would differ between machines
            model_digest=model.digest,
            adapter_digest=adapter_digest if is_generated else "",
            versions=versions,
        )


def _read_adapter_folder(album: Album) -> Path | None:
    """The folder of the album's adapter; None where no step was taken."""
    folder = album.work("finetune")
    return folder if read_document(folder / "metrics.json")["steps"] else None


def _is_tuning_needless(album: Album) -> bool:
    """Whether the untuned model restores hidden parts of the photo too badly, see `selection.tuning_trial`."""
    return "needless" in read_document(album.work("finetune") / "metrics.json")


def _count_steps(on_progress: ProgressCallback | None, total: int) -> Callable[[int], None]:
    """A callback that takes the number of candidates after each denoising step and reports the progress."""
    started, done = time.monotonic(), 0

    def on_step(candidates: int) -> None:
        nonlocal done
        done += candidates
        if on_progress:
            rate = done / (time.monotonic() - started)
            on_progress(ProgressUpdate("sample", min(done, total), total, None, max(0, total - done) / rate, rate))

    return on_step
