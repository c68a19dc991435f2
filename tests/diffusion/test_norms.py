"""Norms in the type of their weights; on CUDA also graphs, and sums in a fixed order."""

import numpy as np
import pytest
import torch
from torch import nn

from realfill.core.params import FinetuneParams
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.compilation import CompilationSettings
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.norms import norms_in_type_of_weights
from realfill.diffusion.training_bank import encode_crops

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 8), nn.LayerNorm(8)])
def test_norms_give_the_type_of_their_weights_inside_the_block_alone(norm: nn.Module) -> None:
    values = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    wanted = norm(values)
    network = nn.Sequential(norm.bfloat16())
    with norms_in_type_of_weights(network):
        inside = network(values)
    assert inside.dtype == torch.bfloat16
    torch.testing.assert_close(inside.float(), wanted, atol=2e-2, rtol=2e-2)
    assert "forward" not in vars(norm)


def test_norms_of_full_precision_are_left_as_they_are() -> None:
    network = nn.Sequential(nn.GroupNorm(2, 8))
    with norms_in_type_of_weights(network):
        assert network(torch.randn(2, 8)).dtype == torch.float32


@needs_gpu
@pytest.mark.parametrize("uses_graphs", [True, False])
def test_a_tuning_on_cuda_gives_the_same_losses_each_time(
    uses_graphs: bool, model: BaseModel, scene: tuple[np.ndarray, np.ndarray], finetune: FinetuneParams
) -> None:
    image, mask = scene
    bank = encode_crops(model, [image], [mask], [np.zeros_like(mask)])

    def tune(settings: CompilationSettings) -> list[float]:
        with LoraTrainer(model, bank, finetune, settings) as trainer:
            return [trainer.train_step(step) for step in range(4)]

    losses = tune(CompilationSettings(uses_graphs=uses_graphs))
    assert losses == tune(CompilationSettings(uses_graphs=uses_graphs))
    assert losses == pytest.approx(tune(CompilationSettings(uses_graphs=False)), rel=1e-3)
