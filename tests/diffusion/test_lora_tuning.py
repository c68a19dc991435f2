"""Tuning: what is learned, what is not, and that neither interruptions nor full memory change the result."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from realfill.core.errors import TuningError
from realfill.core.failures import NumericalError
from realfill.core.hashing import digest
from realfill.core.params import FinetuneParams
from realfill.core.progress import ProgressUpdate
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.lora_files import write_adapter
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import TrainingBank, encode_crops


@pytest.fixture
def bank(model: BaseModel, scene: tuple[np.ndarray, np.ndarray]) -> TrainingBank:
    """Three pairs; the last one has a hole without loss."""
    image, mask = scene
    crops = [np.roll(image, shift, axis=1) for shift in (0, 9, 20)]
    return encode_crops(model, crops, [mask] * 3, [np.zeros_like(mask)] * 2 + [mask])


def changed(params: FinetuneParams, **values: object) -> FinetuneParams:
    return params.model_copy(update=values)


def test_no_loss_is_taken_inside_the_targets_hole(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = bank.loss_weight[2:3] == 0  # [1, 1, h, w]
    assert 0 < int(hole.sum()) < hole.numel()
    only = {name: value[2:3] for name, value in vars(bank).items() if name not in ("references", "reference_dropout")}
    target = replace(bank, **only)
    original = LoraTrainer._wanted
    with LoraTrainer(model, target, changed(finetune, dropout=0.0)) as trainer, torch.no_grad():
        loss = trainer.compute_loss(trainer.draw_batch(0))
        monkeypatch.setattr(LoraTrainer, "_wanted", lambda self, batch: original(self, batch) + 1e3 * hole)
        assert torch.equal(trainer.compute_loss(trainer.draw_batch(0)), loss)
        monkeypatch.setattr(LoraTrainer, "_wanted", lambda self, batch: original(self, batch) + 1e3 * ~hole)
        assert float(trainer.compute_loss(trainer.draw_batch(0))) > 1e3 * float(loss)


def test_the_batch_is_as_large_as_asked_however_few_the_photos(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams
) -> None:
    with LoraTrainer(model, bank, changed(finetune, batch_size=9)) as trainer:
        assert {len(value) for value in trainer.draw_batch(0).values()} == {9}
        first, again, other = trainer.draw_batch(3), trainer.draw_batch(3), trainer.draw_batch(4)
        assert torch.equal(first["noise"], again["noise"])
        assert not torch.equal(first["noise"], other["noise"])


def test_some_samples_have_an_empty_prompt(model: BaseModel, bank: TrainingBank, finetune: FinetuneParams) -> None:
    for dropout, expected in ((0.0, {1}), (1.0, {0}), (0.5, {0, 1})):
        params = changed(finetune, batch_size=64, prompt_dropout=dropout)
        with LoraTrainer(model, bank, params) as trainer:
            assert set(trainer.draw_batch(0)["prompt_index"].tolist()) == expected


def test_the_order_of_steps_does_not_change_their_batches(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is drawn ahead of its step; a step that comes out of turn has its own batch all the same."""
    seen: list[torch.Tensor] = []
    compute_loss = LoraTrainer.compute_loss

    def watch(self: LoraTrainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(batch["noise"])
        return compute_loss(self, batch)

    monkeypatch.setattr(LoraTrainer, "compute_loss", watch)
    with LoraTrainer(model, bank, finetune) as trainer:
        for step in (0, 1, 5):
            trainer.train_step(step)
            whole = trainer.draw_batch(step)["noise"]
            assert torch.equal(torch.cat(seen), whole)
            seen.clear()


def test_gradients_are_taken_of_lora_layers_alone(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams
) -> None:
    with LoraTrainer(model, bank, finetune) as trainer:
        trainer.train_step(0)
        weights = [weight for part in model.tuned_parts for weight in model.part(part).named_parameters()]
        assert all(("lora_" in name) == (weight.grad is not None) for name, weight in weights)


def test_a_text_encoder_that_is_not_tuned_runs_once(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    encode_prompts = type(model).encode_prompts

    def count(self: BaseModel, prompts: list[str]) -> object:
        runs.append(len(prompts))
        return encode_prompts(self, prompts)

    monkeypatch.setattr(type(model), "encode_prompts", count)
    for lr_text, expected in ((0.0, 1), (1e-4, 3)):
        runs.clear()
        with LoraTrainer(model, bank, changed(finetune, lr_text=lr_text, micro_batch=16)) as trainer:
            before = [weight.clone() for weight in model.part("text_encoder").parameters()]
            for step in range(3):
                trainer.train_step(step)
            after = list(model.part("text_encoder").parameters())
        assert len(runs) == expected
        is_same = all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
        assert is_same == (lr_text == 0)


def test_the_loss_falls(model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path) -> None:
    params = changed(finetune, steps=60, batch_size=8, lr_unet=1e-2, warmup=0, checkpoint_every=60)
    with LoraTrainer(model, bank, params) as trainer:
        trainer.train(tmp_path)
        assert np.mean(trainer.losses[-10:]) < 0.95 * np.mean(trainer.losses[:10])


def test_the_base_model_is_as_before_after_tuning(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path
) -> None:
    unet = model.part("unet")
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    with LoraTrainer(model, bank, finetune) as trainer:
        trainer.train(tmp_path)
    after = model.part("unet").state_dict()
    assert model.part("unet") is unet
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not unet.training


def test_only_the_layers_that_are_asked_for_are_tuned(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path
) -> None:
    tuned = {}
    for layers in ("auto", "attention", "all"):
        with LoraTrainer(model, bank, changed(finetune, layers=layers)):
            write_adapter(tmp_path / layers, model)
        config = json.loads((tmp_path / layers / "unet" / "adapter_config.json").read_text())
        tuned[layers] = config["target_modules"]
    assert tuned["auto"] == tuned["attention"], "a folder on disk is tuned as Stable Diffusion is"
    assert {"conv1", "conv2"} <= set(tuned["all"]) - set(tuned["attention"])


def test_adapter_files_name_no_folder_of_this_machine(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path
) -> None:
    with LoraTrainer(model, bank, finetune):
        write_adapter(tmp_path, model)
    for path in tmp_path.rglob("*.json"):
        assert model.name not in path.read_text()
        assert json.loads(path.read_text())["base_model_name_or_path"] is None


def test_an_interrupted_tuning_ends_in_the_same_bytes(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path
) -> None:
    params = changed(finetune, steps=5, dropout=0.1, checkpoint_every=2)
    updates: list[ProgressUpdate] = []

    def interrupt(update: ProgressUpdate) -> None:
        updates.append(update)
        if update.done == 3:
            raise KeyboardInterrupt

    with LoraTrainer(model, bank, params) as trainer:
        trainer.train(tmp_path / "whole-checkpoints")
        write_adapter(tmp_path / "whole", model)
    with LoraTrainer(model, bank, params) as trainer, pytest.raises(KeyboardInterrupt):
        trainer.train(tmp_path / "checkpoints", interrupt)
    with LoraTrainer(model, bank, params) as trainer:
        trainer.train(tmp_path / "checkpoints", updates.append)
        write_adapter(tmp_path / "resumed", model)
    assert [(update.done, update.total) for update in updates] == [(1, 5), (2, 5), (3, 5), (3, 5), (4, 5), (5, 5)]
    assert digest(tmp_path / "resumed") == digest(tmp_path / "whole")


def test_full_memory_halves_the_micro_batch_and_goes_on(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = changed(finetune, batch_size=4, micro_batch=4, dropout=0.0)
    compute_loss, capacity = LoraTrainer.compute_loss, 1

    def small_memory(self: LoraTrainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if len(batch["noise"]) > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return compute_loss(self, batch)

    with LoraTrainer(model, bank, params) as trainer:
        whole = [trainer.train_step(step) for step in range(3)]
    monkeypatch.setattr(LoraTrainer, "compute_loss", small_memory)
    with LoraTrainer(model, bank, params) as trainer:
        assert [trainer.train_step(step) for step in range(3)] == pytest.approx(whole, rel=1e-4)
    capacity = 0
    with LoraTrainer(model, bank, params) as trainer, pytest.raises(TuningError, match="Free memory"):
        trainer.train_step(0)


def test_other_errors_are_not_taken_for_full_memory(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: LoraTrainer, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        raise RuntimeError("a bug")

    monkeypatch.setattr(LoraTrainer, "compute_loss", broken)
    with LoraTrainer(model, bank, finetune) as trainer, pytest.raises(RuntimeError, match="a bug"):
        trainer.train_step(0)


def test_a_loss_that_is_not_finite_stops_the_tuning(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams
) -> None:
    bank.latent_mean[:] = torch.nan
    with LoraTrainer(model, bank, finetune) as trainer, pytest.raises(NumericalError, match="the loss of step 0"):
        trainer.train_step(0)


def test_weights_that_are_not_finite_are_no_result(
    model: BaseModel, bank: TrainingBank, finetune: FinetuneParams, tmp_path: Path
) -> None:
    params = changed(finetune, lr_unet=torch.inf, warmup=0, steps=1)
    with LoraTrainer(model, bank, params) as trainer, pytest.raises(NumericalError, match="weights after step 0"):
        trainer.train(tmp_path)
