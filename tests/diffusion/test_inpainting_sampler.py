from collections.abc import Sequence

import numpy as np
import pytest
import torch

from realfill.core.errors import ModelError
from realfill.core.params import SampleParams
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.guide import Guide
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.imaging.ops import to_uint8

Scene = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc", "ddpm"])
def test_a_candidate_does_not_depend_on_how_many_are_drawn(model: BaseModel, scene: Scene, scheduler: str) -> None:
    params = SampleParams.model_validate({"steps": 4, "scheduler": scheduler, "batch_size": 4})
    together = sample_candidates(model, *scene, 3, params, "a photo").images
    alone = sample_candidates(model, *scene, 2, params.model_copy(update={"batch_size": 1}), "a photo").images
    assert np.abs(together[:2].astype(int) - alone).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5


def test_what_lies_in_the_hole_is_not_looked_at(model: BaseModel, scene: Scene) -> None:
    image, mask = scene
    painted = np.where(mask[..., None], np.uint8(255), image)
    params = SampleParams(steps=2, candidates=1)
    assert np.array_equal(
        sample_candidates(model, image, mask, 1, params, "").images,
        sample_candidates(model, painted, mask, 1, params, "").images,
    )


def test_full_memory_halves_the_batch(model: BaseModel, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, capacity = BaseModel.decode, 2

    def small_memory(self: BaseModel, latents: torch.Tensor) -> np.ndarray:
        if len(latents) > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(self, latents)

    monkeypatch.setattr(BaseModel, "decode", small_memory)
    sampled = sample_candidates(model, *scene, 4, SampleParams(steps=2, batch_size=4), "")
    assert (len(sampled.images), sampled.batch_size) == (4, 2)
    capacity = 0
    with pytest.raises(ModelError, match="Free memory"):
        sample_candidates(model, *scene, 1, SampleParams(steps=2), "")


def test_guidance_changes_the_picture(model: BaseModel, scene: Scene) -> None:
    plain, guided = (
        sample_candidates(model, *scene, 1, SampleParams(steps=3, guidance=scale), "a photo").images
        for scale in (1.0, 5.0)
    )
    assert not np.array_equal(plain, guided)


def test_the_seed_changes_the_picture(model: BaseModel, scene: Scene) -> None:
    first, again, other = (
        sample_candidates(model, *scene, 1, SampleParams(steps=2, seed=seed), "").images for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_was_placed_and_is_kept_has_the_detail_that_the_autoencoder_loses(
    model: BaseModel, scene: Scene
) -> None:
    image, mask = scene
    guide = Guide(image, np.ones_like(mask), np.ones(mask.shape, np.float32), strength=0.5)
    sampled = sample_candidates(model, image, mask, 1, SampleParams(steps=4), "", guide=guide).images[0]
    decoded = to_uint8(model.decode(model.encode(image[None])[0])[0])
    inside = (slice(20, 44), slice(20, 44))
    assert np.abs(decoded[inside].astype(int) - image[inside]).mean() > 20
    assert np.abs(sampled[inside].astype(int) - image[inside]).mean() < 2


def test_strength_decides_how_many_steps_are_taken(model: BaseModel, scene: Scene) -> None:
    image, mask = scene
    steps = {}
    for strength in (0.01, 0.25, 1.0):
        guide = Guide(image, np.ones_like(mask), np.zeros(mask.shape, np.float32), strength)
        counted: list[int] = []
        sample_candidates(model, image, mask, 3, SampleParams(steps=8, batch_size=2), "", counted.append, guide)
        steps[strength] = counted
    assert steps == {0.01: [2, 1], 0.25: [2, 2, 1, 1], 1.0: [2] * 8 + [1] * 8}


def test_placed_pixels_reach_a_model_or_an_adapter_that_accepts_them_only(
    model: BaseModel, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, mask = scene
    encoded: list[np.ndarray] = []
    encode = BaseModel.encode

    def spy(self: BaseModel, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        encoded.append(images[0])
        return encode(self, images)

    monkeypatch.setattr(BaseModel, "encode", spy)
    placed = mask.copy()
    placed[:, :32] = False
    for accepts_composite, is_condition in ((True, False), (False, True), (False, False)):
        guide = Guide(255 - image, placed, np.zeros(mask.shape, np.float32), 0.5, is_condition)
        monkeypatch.setattr(model, "accepts_composite", accepts_composite)
        encoded.clear()
        sample_candidates(model, image, mask, 1, SampleParams(steps=2), "", guide=guide)
        masked_image = encoded[0]
        if accepts_composite or is_condition:
            np.testing.assert_array_equal(masked_image[placed], 255 - image[placed])
            assert (masked_image[mask & ~placed] == 128).all()
        else:
            assert (masked_image[mask] == 128).all()
            np.testing.assert_array_equal(masked_image[~mask], image[~mask])


def test_early_rejection_finishes_the_best_as_if_all_had_been_finished(model: BaseModel, scene: Scene) -> None:
    params = SampleParams(steps=8, batch_size=3, reject=0.5)
    everyone = sample_candidates(model, *scene, 4, params, "").images
    previews: list[np.ndarray] = []
    counted: list[int] = []

    def judge(pictures: Sequence[np.ndarray]) -> list[float]:
        previews.extend(pictures)
        return [0.0, 3.0, 1.0, 2.0]

    kept = sample_candidates(model, *scene, 4, params, "", counted.append, judge=judge)
    assert (kept.draws, kept.count) == ((1, 3), 4)
    assert sum(counted) == 4 * 2 + 2 * 6, "two of eight steps are taken by all"
    assert np.abs(kept.images.astype(int) - everyone[[1, 3]]).max() <= 2
    assert {(picture.shape, picture.dtype.name) for picture in previews} == {(everyone[0].shape, "uint8")}


def test_one_candidate_is_never_given_up(model: BaseModel, scene: Scene) -> None:
    params = SampleParams(steps=4, reject=0.99)
    sampled = sample_candidates(model, *scene, 3, params, "", judge=lambda pictures: [1.0] * len(pictures))
    assert sampled.draws == (0,)
