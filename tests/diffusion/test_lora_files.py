import json
from pathlib import Path

import pytest
import torch

from realfill.album.layout import Album
from realfill.core.params import FinetuneParams, Params
from realfill.diffusion.album_inputs import checkpoint_folder
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.lora_files import (
    final_loss,
    read_checkpoint,
    write_checkpoint,
    write_log,
)
from realfill.photo_io.working_files import read_png, write_png


def test_checkpoints_belong_to_their_photos_parameters_and_model(
    album: Album, quick_params: Params, model: BaseModel
) -> None:
    def folder(**changes: object) -> Path:
        finetune = quick_params.finetune.model_copy(update=changes)
        return checkpoint_folder(album, quick_params.model_copy(update={"finetune": finetune}), model)

    assert folder() == folder(checkpoint_every=7), "how often they are written does not matter"
    assert len({folder(), folder(seed=1), folder(steps=5), folder(rank=2)}) == 4
    before = folder()
    mask = album.work("masks") / "mask.png"
    write_png(mask, 255 - read_png(mask))
    assert folder() != before


def test_a_checkpoint_restores_weights_optimizer_and_losses(tmp_path: Path) -> None:
    def start() -> tuple[dict[str, torch.Tensor], torch.optim.Optimizer]:
        weights = {"unet.a": torch.nn.Parameter(torch.ones(3)), "text_encoder.b": torch.nn.Parameter(torch.ones(2))}
        return dict(weights), torch.optim.AdamW(weights.values(), lr=0.1)

    def step(weights: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        torch.stack([(weight**3).sum() for weight in weights.values()]).sum().backward()
        optimizer.step()

    weights, optimizer = start()
    step(weights, optimizer)
    write_checkpoint(tmp_path, weights, optimizer, [0.5])
    restored, other = start()
    assert read_checkpoint(tmp_path, restored, other) == [0.5]
    for pair in ((weights, optimizer), (restored, other)):
        step(*pair)
    assert all(torch.equal(weights[name], restored[name]) for name in weights)
    assert read_checkpoint(tmp_path / "none", restored, other) == []


def test_the_log_has_a_row_a_step(tmp_path: Path) -> None:
    write_log(tmp_path, [0.5, 0.25, 0.125], FinetuneParams(lr_unet=1e-3, warmup=2))
    assert (tmp_path / "loss.csv").read_text() == (
        "step,loss,lr\n0,0.500000,5.000e-04\n1,0.250000,1.000e-03\n2,0.125000,1.000e-03\n"
    )
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"final_loss": 0.125, "steps": 3}


def test_the_final_loss_is_the_mean_of_the_last_tenth() -> None:
    assert final_loss([9.0] * 18 + [1.0, 2.0]) == pytest.approx(1.5)
    assert final_loss([4.0]) == 4.0
    assert final_loss([]) is None
