"""Sample candidates for a hole from the inpainting model (RealFill, arXiv 2309.16668, section 4.2)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from realfill.core.errors import ModelError
from realfill.core.failures import require_finite, skip_failing
from realfill.diffusion.base_model import BaseModel, mask_image
from realfill.diffusion.condition import Condition, Embeddings
from realfill.diffusion.denoising_run import DenoisingRun, InitLatents, advance, predict_guided, start_run
from realfill.diffusion.guide import Guide, restore_detail
from realfill.diffusion.training_bank import encode_references
from realfill.imaging.ops import to_uint8

if TYPE_CHECKING:
    from realfill.core.params import SampleParams

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Judge = Callable[[Sequence[np.ndarray]], Sequence[float]]
"""Scores pictures [R, R, 3] uint8 sRGB, higher is better."""


@dataclass(frozen=True)
class EarlyRejectionSettings:
    """When candidates are compared that are not finished.

    Attributes:
        after: Share of the denoising steps after which previews are compared. Set by hand: before that, previews are
            too smooth to match anything.
    """

    after: float = 0.25


@dataclass(frozen=True)
class SampledImages:
    """Candidates in memory.

    Attributes:
        images: [K, R, R, 3] uint8 sRGB, those that were finished and whose pixels are finite.
        draws: Number of each among all that were sampled, [K].
        count: How many were sampled, those included that were left out.
        batch_size: How many were sampled in one pass in the end.
    """

    images: np.ndarray
    draws: tuple[int, ...]
    count: int
    batch_size: int


def sample_candidates(
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    count: int,
    params: SampleParams,
    prompt: str,
    on_step: Callable[[int], None] = lambda _: None,
    guide: Guide | None = None,
    *,
    references: Sequence[np.ndarray] = (),
    judge: Judge | None = None,
    settings: EarlyRejectionSettings = EarlyRejectionSettings(),
) -> SampledImages:
    """Sample candidates with the model and the adapter that it has.

    Candidate k has a generator of its own, seeded by (kind, seed, k), so it depends neither on how many others are
    sampled nor on the batch size, except for rounding. One whose pixels are not finite is left out with a warning.

    Args:
        model: The base model.
        image: [R, R, 3] uint8 sRGB, R the model's resolution; pixels inside the hole are ignored.
        mask: [R, R] bool, True = fill.
        count: Number of candidates.
        params: Scheduler, steps, guidance scale, seed, batch size, early rejection.
        prompt: The prompt that was tuned.
        on_step: Called after each denoising step with the number of candidates in it.
        guide: What sampling starts from and keeps; None to start from pure noise.
        references: [H, W, 3] uint8 sRGB, whole photos of one size, for models that look at them.
        judge: Compares previews, so that the worst candidates are not finished; None to finish all.
        settings: When they are compared.

    Raises:
        ModelError: Not even one candidate fits into memory.
    """
    sampler = _Sampler(model, image, mask, params, prompt, on_step, guide, references)
    batches = _Batches(min(params.batch_size, count))
    images: dict[int, np.ndarray] = {}
    if judge is None or params.reject == 0 or count < 2:
        for finished in batches.run(range(count), lambda indices: sampler.finish(sampler.start(indices))):
            images |= finished
    else:
        runs: dict[int, DenoisingRun] = {}
        previews: dict[int, np.ndarray] = {}
        for run, pictures in batches.run(range(count), lambda indices: sampler.preview(indices, settings)):
            runs |= {index: run.select([row]) for row, index in enumerate(run.indices)}
            previews |= dict(zip(run.indices, pictures, strict=True))
        kept = _choose_best(previews, judge, params.reject)
        for finished in batches.run(
            kept, lambda indices: sampler.finish(DenoisingRun.join([runs[index] for index in indices]))
        ):
            images |= finished
    pixels = np.stack(list(images.values())) if images else np.empty((0, *image.shape), np.uint8)
    return SampledImages(pixels, tuple(images), count, batches.size)


def _choose_best(previews: dict[int, np.ndarray], judge: Judge, reject: float) -> list[int]:
    """Numbers of the candidates that are finished, in their order; at least one."""
    scores = judge(list(previews.values()))
    order = sorted(zip(previews, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))
    best = order[: max(1, math.ceil(len(order) * (1 - reject)))]
    logger.info("%d of %d candidates are finished.", len(best), len(order))
    return sorted(index for index, _ in best)


class _Batches:
    """Candidates batch by batch, in smaller ones where memory is short.

    Attributes:
        size: Candidates in a batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, indices: Sequence[int], work: Callable[[Sequence[int]], Result]) -> list[Result]:
        """Call `work` with the numbers of each batch.

        Raises:
            ModelError: Not even one candidate fits into memory.
        """
        results, done = [], 0
        while done < len(indices):
            batch = indices[done : done + self.size]
            try:
                results.append(work(batch))
                done += len(batch)
            except torch.OutOfMemoryError as error:
                if self.size == 1:
                    raise ModelError(
                        "Not even one candidate fits into memory.", "Free memory, or choose a smaller base model."
                    ) from error
                self.size //= 2
                logger.warning("Out of memory: continuing with %d candidates per pass.", self.size)
                torch.cuda.empty_cache()
        return results


class _Sampler:
    """One hole, one model: everything that all candidates of a kind have in common, encoded once."""

    def __init__(
        self,
        model: BaseModel,
        image: np.ndarray,
        mask: np.ndarray,
        params: SampleParams,
        prompt: str,
        on_step: Callable[[int], None],
        guide: Guide | None,
        references: Sequence[np.ndarray],
    ) -> None:
        self._model, self._params, self._on_step = model, params, on_step
        self._image, self._mask, self._guide = image, mask, guide
        self._prompt, self._references = prompt, references
        self._key = ("guided" if guide else "noise", params.seed)
        self._inputs: tuple[Condition, InitLatents | None, Embeddings] | None = None

    @torch.no_grad()
    def start(self, indices: Sequence[int]) -> DenoisingRun:
        """The candidates with these numbers before the first step."""
        condition, init, _ = self._encode()
        shape = condition.masked_latents[0].shape  # [C, h, w]
        model = self._model
        trajectory = model.process.trajectory(self._params, model.tokens(*shape[-2:]), model.device)
        return start_run(indices, self._key, trajectory, init, shape)

    @torch.no_grad()
    def preview(
        self, indices: Sequence[int], settings: EarlyRejectionSettings
    ) -> tuple[DenoisingRun, list[np.ndarray]]:
        """The candidates with these numbers after the first steps, and what they are going to be, [R, R, 3] uint8."""
        run = self.start(indices)
        steps = len(run.trajectory.timesteps)
        run = self._advance(run, run.done + math.ceil(settings.after * (steps - run.done)))
        decoded = self._model.decode(run.latents if run.clean is None else run.clean)
        return run, [to_uint8(np.nan_to_num(picture)) for picture in decoded]

    @torch.no_grad()
    def finish(self, run: DenoisingRun) -> dict[int, np.ndarray]:
        """Take all steps that are left; returns the candidates that are finite, [R, R, 3] uint8 sRGB."""
        model, guide = self._model, self._guide
        run = self._advance(run, len(run.trajectory.timesteps))
        _, init, _ = self._encode()
        candidates = {}
        for index, decoded in zip(run.indices, model.decode(run.latents), strict=True):
            with skip_failing(f"The candidate {index} from {'placed pixels' if guide else 'pure noise'}"):
                require_finite(picture=decoded)
                candidates[index] = to_uint8(decoded)
        if guide is None or init is None:
            return candidates
        decoded_init = model.decode(init.latents)[0]  # [R, R, 3] float32
        with skip_failing("The restoring of placed detail"):
            require_finite(picture=decoded_init)
            lossy, mask = to_uint8(decoded_init), self._mask
            return {index: restore_detail(image, guide, lossy, mask) for index, image in candidates.items()}
        return candidates

    def _advance(self, run: DenoisingRun, stop: int) -> DenoisingRun:
        condition, init, embeddings = self._encode()

        def predict(model_input: Tensor, timestep: Tensor) -> Tensor:
            return predict_guided(self._model, model_input, timestep, condition, embeddings, self._params.guidance)

        return advance(run, stop, predict, init, self._on_step)

    def _encode(self) -> tuple[Condition, InitLatents | None, Embeddings]:
        """The condition of one candidate, what sampling starts from, and the prompt and the empty prompt."""
        if self._inputs is None:
            embeddings = self._model.embed([self._prompt, ""])
            self._inputs = (*self._encode_pictures(), embeddings)
        return self._inputs

    def _encode_pictures(self) -> tuple[Condition, InitLatents | None]:
        """Placed pixels are in the masked image only if the model, or its adapter, accepts them."""
        model, guide = self._model, self._guide
        masked_image = mask_image(self._image, self._mask)
        if guide and (model.accepts_composite or guide.is_condition):
            masked_image = mask_image(guide.init_image, self._mask & ~guide.placed_mask)
        masked_latents, _ = model.encode(masked_image[None])  # [1, C, h, w]
        mask = torch.from_numpy(self._mask).float()[None, None]  # [1, 1, R, R]
        shown = encode_references(model, self._references[: model.max_references])[None]  # [1, K, C, h', w']
        condition = Condition(mask, masked_latents, shown).to(model.device)
        known = 1 - model.downsample_masks(condition.mask)  # [1, 1, h, w]
        if guide is None:
            return condition, InitLatents(condition.masked_latents, known, 1.0) if model.blends else None
        latents = model.encode(guide.init_image[None])[0].to(model.device)
        keep_weight = torch.from_numpy(guide.keep_weight)[None, None]  # [1, 1, R, R]
        smallest = -model.downsample_masks(-keep_weight).to(model.device)  # [1, 1, h, w]
        if model.blends:
            smallest = torch.maximum(smallest, known)
        return condition, InitLatents(latents, smallest, guide.strength)
