"""Passes as CUDA graphs: replays do what the passes do; the rest needs no GPU."""

import logging
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from realfill.core.params import FinetuneParams
from realfill.diffusion import lora_tuning
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.graphed_pass import CaptureError, GraphedPasses
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import TrainingBank, encode_crops

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


class Tuning:
    """A layer with dropout whose pass adds gradients of a weight."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).cuda()
        for weight in self.layer.parameters():
            weight.grad = torch.zeros_like(weight)

    def run(self, batch: Mapping[str, Tensor]) -> Tensor:
        loss: Tensor = self.layer(batch["times"]).square().sum() + batch["references"].sum()
        loss.backward()
        return loss.detach()

    def clear(self, seed: int) -> None:
        for weight in self.layer.parameters():
            assert weight.grad is not None
            weight.grad.zero_()
        torch.manual_seed(seed)

    def gradient(self) -> Tensor:
        gradients = [weight.grad for weight in self.layer.parameters() if weight.grad is not None]
        return torch.cat([gradient.flatten() for gradient in gradients])


@needs_gpu
def test_a_replay_gives_the_loss_and_gradients_of_the_pass_on_its_own_batch_and_seed() -> None:
    tuning = Tuning()
    shapes = ((4, 0), (4, 0), (1, 0), (4, 2))  # as many references as were not left out
    batches = [
        {"times": torch.randn(count, 8).cuda(), "references": torch.randn(count, seen).cuda()}
        for count, seen in shapes
    ]
    graphs = GraphedPasses(tuning.run)
    for batch in batches:
        graphs.capture(batch)
    for seed, batch in enumerate(batches):
        tuning.clear(seed)
        loss, gradient = tuning.run(batch), tuning.gradient()
        tuning.clear(seed)
        replayed = graphs.replay(batch)
        torch.testing.assert_close(replayed, loss)
        torch.testing.assert_close(tuning.gradient(), gradient)


@needs_gpu
def test_a_pass_that_waits_for_the_device_is_refused_and_still_runs_as_written() -> None:
    tuning, batch = Tuning(), {"times": torch.randn(4, 8).cuda(), "references": torch.zeros(4, 0).cuda()}
    stream = torch.cuda.current_stream()

    def wait(values: Mapping[str, Tensor]) -> Tensor:
        assert float(tuning.run(values)) > 0
        return values["times"]

    with pytest.raises(CaptureError):
        GraphedPasses(wait).capture(batch)
    assert torch.cuda.current_stream() == stream
    assert float(tuning.run(batch)) > 0


def bank_of(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> TrainingBank:
    image, mask = scene
    return encode_crops(model, [image], [mask], [np.zeros_like(mask)])


def test_a_tuning_that_cannot_be_captured_says_so_and_learns_the_same(
    model: BaseModel,
    scene: tuple[np.ndarray, np.ndarray],
    finetune: FinetuneParams,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Refusing:
        def __init__(self, run: object) -> None:
            pass

        def capture(self, batch: object) -> None:
            raise CaptureError("operation not permitted when stream is capturing")

    bank = bank_of(model, scene)
    with LoraTrainer(model, bank, finetune) as trainer:
        written = [trainer.train_step(step) for step in range(2)]
    monkeypatch.setattr(lora_tuning, "GraphedPasses", Refusing)
    with LoraTrainer(model, bank, finetune) as trainer, caplog.at_level(logging.WARNING):
        trainer._wants_graphs = True
        assert [trainer.train_step(step) for step in range(2)] == written
    assert caplog.text.count("slower") == 1
    assert "not permitted" in caplog.text


def test_a_trainer_that_fails_to_begin_leaves_the_model_as_it_was(
    model: BaseModel, scene: tuple[np.ndarray, np.ndarray], finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, networks = bank_of(model, scene), {name: model.part(name) for name in model.tuned_parts}
    names = {name: set(network.state_dict()) for name, network in networks.items()}

    def fail(*_: object, **__: object) -> None:
        raise MemoryError("not enough memory")

    monkeypatch.setattr(torch.optim, "AdamW", fail)
    with pytest.raises(MemoryError), LoraTrainer(model, bank, finetune):
        pass
    for name, network in networks.items():
        assert model.part(name) is network
        assert set(network.state_dict()) == names[name]
