from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from realfill.core.errors import ModelError
from realfill.core.params import BaseParams, FinetuneParams, Params
from realfill.diffusion.base_model import BaseModel, load_base_model, mask_image
from realfill.diffusion.lora_files import write_adapter
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import encode_crops


def test_a_missing_model_is_reported_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="realfill fetch sd2-inpainting"):
        load_base_model(BaseParams(model="sd2-inpainting"))
    with pytest.raises(ModelError, match="lacks unet/config"):
        load_base_model(BaseParams(model=str(tmp_path)))


def test_a_model_is_loaded_once_a_process(quick_params: Params, model: BaseModel) -> None:
    assert load_base_model(quick_params.base) is model


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_reported(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="Set base.device to auto or cpu"):
        load_base_model(BaseParams(model=str(tiny_model), device="cuda"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_weights_of_four_bits_need_a_gpu(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="bitsandbytes and a CUDA device.*base.precision"):
        load_base_model(BaseParams(model=str(tiny_model), precision="nf4"))


def test_pictures_are_encoded_to_latents_and_back(model: BaseModel) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    mean, std = model.encode(images)
    assert (model.resolution, model.vae_scale_factor) == (64, 8)
    assert mean.shape == std.shape == (3, 4, 8, 8)
    assert bool((std > 0).all())
    decoded = model.decode(mean)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.float32


def test_a_latent_is_masked_where_any_of_its_pixels_is(model: BaseModel) -> None:
    mask = torch.zeros(1, 1, 64, 64)
    mask[0, 0, 8, 23] = 1
    downsampled = model.downsample_masks(mask)
    assert downsampled.shape == (1, 1, 8, 8)
    assert downsampled.nonzero().tolist() == [[0, 0, 1, 2]]


def test_masked_pixels_are_gray_and_the_others_unchanged() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    masks = np.zeros((2, 5, 4), bool)
    masks[0, 1:3] = True
    masked = mask_image(images, masks)
    assert masked.dtype == np.uint8
    assert (masked[masks] == 128).all()
    np.testing.assert_array_equal(masked[~masks], images[~masks])
    np.testing.assert_array_equal(mask_image(images[0], masks[0]), masked[0])


def test_an_adapter_is_there_inside_the_block_only(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], finetune: FinetuneParams, tmp_path: Path
) -> None:
    image, mask = scene
    bank = encode_crops(model, [image], [mask], [np.zeros_like(mask)])
    with LoraTrainer(model, bank, finetune) as trainer:
        for step in range(3):
            trainer.train_step(step)
        write_adapter(tmp_path, model)
        tuned = model.embed(["a photo"])["prompt"].detach()
    before = model.embed(["a photo"])["prompt"]
    with model.use_adapter(tmp_path):
        assert isinstance(model.part("unet"), PeftModel)
        assert isinstance(model.part("text_encoder"), PeftModel)
        assert torch.allclose(model.embed(["a photo"])["prompt"], tuned, atol=1e-5)
        assert not torch.equal(tuned, before)
    with model.use_adapter(None):
        assert not isinstance(model.part("unet"), PeftModel)
        assert torch.equal(model.embed(["a photo"])["prompt"], before)


def test_the_base_model_is_back_after_an_error_inside_the_block(model: BaseModel, tmp_path: Path) -> None:
    unet = model.part("unet")
    with pytest.raises(Exception, match="adapter_config"), model.use_adapter(tmp_path):
        pass
    assert model.part("unet") is unet
