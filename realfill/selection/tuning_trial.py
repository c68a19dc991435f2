"""Whether tuning can pay, told by what the untuned model makes of pseudo-holes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from realfill.album.canvas import crop_window
from realfill.album.layout import Album
from realfill.album.store import accepted_references, canvas_path, mask_path, read_placement_summary, read_window
from realfill.compositing.pseudo_holes import PseudoHoleSettings, make_pseudo_holes
from realfill.diffusion.album_inputs import read_shown_references
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.imaging.ops import resize, resize_mask, shrink_to
from realfill.masking.model_window import choose_window
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png

if TYPE_CHECKING:
    from realfill.core.params import SampleParams


@dataclass(frozen=True)
class TuningTrialSettings:
    """When tuning is worth its time.

    Attributes:
        max_error_ratio: Error of the untuned model / least error of the other ways of filling, above which tuning is
            left out. Set by hand: tuning lowers the error of `pocket` by less than a fifth.
        max_covered: Share of the hole covered by depth or plane above which tuning is left out where there is no room
            for pseudo-holes. Set by hand: what they placed was delivered on all albums so far, never a tuned fill.
        context: Side of the model's window / longer side of hole and pseudo-holes; set by hand.
        pseudo_holes: By which the ways are compared; the same as in `align`.
    """

    max_error_ratio: float = 1.25
    max_covered: float = 0.5
    context: float = 1.3
    pseudo_holes: PseudoHoleSettings = PseudoHoleSettings()


def explain_needless_tuning(
    album: Album,
    model: BaseModel,
    sampling: SampleParams,
    prompt: str,
    settings: TuningTrialSettings = TuningTrialSettings(),
) -> str:
    """Compare one picture of the untuned model with the other ways of filling, in the pseudo-holes.

    Args:
        album: The album, after `masks` and `align`.
        model: The base model.
        sampling: How the picture is sampled.
        prompt: The prompt that would be tuned.
        settings: When tuning is worth its time.

    Returns:
        Why tuning cannot pay, a clause; empty where it can.
    """
    summary = read_placement_summary(album)
    errors = {way: error for way, error in summary.errors.items() if way != "own_patches"}  # flattered most
    if not errors:
        needless = summary.model in ("depth", "plane") and summary.covered > settings.max_covered
        return f"the references show {summary.covered:.0%} of the missing part" if needless else ""
    error = _measure_model_error(album, model, sampling, prompt, settings)
    best = min(errors, key=errors.__getitem__)
    if error is None or error <= settings.max_error_ratio * errors[best]:
        return ""
    return (
        f"the model restores hidden parts of this photo with an error of {error:.0f} levels, "
        f"where filling by {best} has {errors[best]:.0f}"
    )


def _measure_model_error(
    album: Album, model: BaseModel, sampling: SampleParams, prompt: str, settings: TuningTrialSettings
) -> float | None:
    """Root mean square error of the model's picture in the pseudo-holes, 8-bit levels; None where there are none."""
    canvas = shrink_to(read_srgb(canvas_path(album)), settings.pseudo_holes.side)
    height, width = canvas.shape[:2]
    mask = resize_mask(read_png(mask_path(album)) > 0, width, height).astype(np.uint8) * 255
    pseudo_holes = make_pseudo_holes(mask, settings.pseudo_holes)
    if not pseudo_holes:
        return None
    judged = np.logical_or.reduce(pseudo_holes)
    left, top, side = choose_window(np.where(judged, np.uint8(255), mask), settings.context)
    window = replace(read_window(album), left=left, top=top, side=side)
    resolution = model.resolution
    truth = resize(crop_window(canvas, window), resolution, resolution)
    unknown = resize(crop_window(np.where(judged, np.uint8(255), mask), window, fill=255), resolution, resolution) > 0
    wanted = resize(crop_window(judged.astype(np.float32), window, fill=0), resolution, resolution) > 1 - 1e-3
    references = read_shown_references(accepted_references(album), model)
    sampled = sample_candidates(model, truth, unknown, 1, sampling, prompt, references=references)
    if not len(sampled.images) or not wanted.any():
        return None
    difference = sampled.images[0][wanted].astype(np.float32) - truth[wanted]
    return float(np.sqrt((difference**2).mean()))
