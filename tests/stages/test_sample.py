"""Sampling: every candidate can be drawn again alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from realfill.core.errors import ModelError
from realfill.core.params import Params, SampleParams
from realfill.diffusion.base_model import BaseModel, load
from realfill.diffusion.inpainting_sampler import Guide, sample_candidates

SIDE = 64


@pytest.fixture
def model(quick_params: Params) -> BaseModel:
    return load(quick_params.base)


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[16:48, 16:48] = True
    return image, mask


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc", "ddpm"])
def test_a_candidate_does_not_depend_on_how_many_are_drawn(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], scheduler: str
) -> None:
    params = SampleParams.model_validate({"steps": 4, "scheduler": scheduler, "batch_size": 4})
    together = sample_candidates(model, *scene, 3, params, "a photo").images
    alone = sample_candidates(model, *scene, 2, params.model_copy(update={"batch_size": 1}), "a photo").images
    assert np.abs(together[:2].astype(int) - alone).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5


def test_what_lies_in_the_hole_is_not_looked_at(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = scene
    painted = np.where(mask[..., None], np.uint8(255), image)
    params = SampleParams(steps=2, candidates=1)
    assert np.array_equal(
        sample_candidates(model, image, mask, 1, params, "").images,
        sample_candidates(model, painted, mask, 1, params, "").images,
    )


def test_full_memory_halves_the_batch(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, capacity = BaseModel.decode, 2

    def small_memory(self: BaseModel, latents: torch.Tensor) -> np.ndarray:
        if len(latents) > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(self, latents)

    monkeypatch.setattr(BaseModel, "decode", small_memory)
    drawn = sample_candidates(model, *scene, 4, SampleParams(steps=2, batch_size=4), "")
    assert (len(drawn.images), drawn.batch_size) == (4, 2)
    capacity = 0
    with pytest.raises(ModelError, match="Free memory"):
        sample_candidates(model, *scene, 1, SampleParams(steps=2), "")


def test_guidance_changes_the_picture(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> None:
    plain, guided = (
        sample_candidates(model, *scene, 1, SampleParams(steps=3, guidance=scale), "a photo").images
        for scale in (1.0, 5.0)
    )
    assert not np.array_equal(plain, guided)


def test_what_was_placed_and_is_held_keeps_the_detail_that_the_autoencoder_loses(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray]
) -> None:
    image, mask = scene
    guide = Guide(image, np.ones_like(mask), np.ones(mask.shape, np.float32), strength=0.5)
    drawn = sample_candidates(model, image, mask, 1, SampleParams(steps=4), "", guide=guide).images[0]
    passed = model.decode(model.encode(image[None])[0])[0]
    inside = (slice(20, 44), slice(20, 44))
    assert np.abs(passed[inside].astype(int) - image[inside]).mean() > 20
    assert np.abs(drawn[inside].astype(int) - image[inside]).mean() < 2


def test_a_missing_model_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    from realfill.core.params import BaseParams

    with pytest.raises(ModelError, match="realfill fetch sd2-inpainting"):
        load(BaseParams(model="sd2-inpainting"))
    with pytest.raises(ModelError, match="pocket, sd2-inpainting"):
        load(BaseParams(model=str(tmp_path)))
