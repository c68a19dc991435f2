"""Fine-tuning: what is learned, what is not, and that neither kills nor full memory change the result."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.store import read_window
from realfill.core.errors import TuningError
from realfill.core.hashing import digest
from realfill.core.params import Params
from realfill.diffusion.base_model import load
from realfill.diffusion.lora_tuning import Tuning
from realfill.diffusion.training_bank import Bank, encode_bank
from realfill.diffusion.training_masks import random_mask
from realfill.stages import finetune, masks, validate
from realfill.stages.finetune import scale_steps
from support.finished_album import place_nothing


@pytest.fixture
def prepared(album_folder: Path, quick_params: Params) -> Album:
    album = open_album(album_folder)
    validate.run(album, quick_params)
    masks.run(album, quick_params)
    place_nothing(album)
    return album


def changed(params: Params, **values: object) -> Params:
    return params.model_copy(update={"finetune": params.finetune.model_copy(update=values)})


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_more_is_certain_the_less_is_tuned(one: float, other: float) -> None:
    asked = Params().finetune.model_copy(update={"steps": 160, "when": "auto", "certain": 0.95})
    steps = [scale_steps(asked, certain).steps for certain in sorted((one, other))]
    assert 160 >= steps[0] >= steps[1] >= 0
    assert scale_steps(asked, 0.3).steps == 160
    assert scale_steps(asked, 0.8).steps == 64
    assert scale_steps(asked, 0.95).steps == 0
    assert scale_steps(asked.model_copy(update={"when": "always"}), 0.99).steps == 160


def test_the_adapter_loads_with_peft_and_is_small(prepared: Album, quick_params: Params) -> None:
    result = finetune.run(prepared, quick_params)
    assert result.adapter
    model = load(quick_params.base)
    with model.adapted(result.adapter):
        assert isinstance(model.unet, PeftModel)
        assert isinstance(model.text_encoder, PeftModel)
    assert not isinstance(model.unet, PeftModel)
    assert {path.suffix for path in result.adapter.rglob("*") if path.is_file()} == {".safetensors", ".json", ".csv"}
    assert (result.adapter / "loss.csv").read_text().startswith("step,loss,lr\n0,")


def test_the_base_model_is_as_before_after_tuning(prepared: Album, quick_params: Params) -> None:
    model = load(quick_params.base)
    before = {name: weight.clone() for name, weight in model.unet.state_dict().items()}
    finetune.run(prepared, quick_params)
    after = model.unet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_loss_is_taken_inside_the_targets_hole(
    prepared: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(quick_params.base)
    bank = encode_bank(prepared, quick_params.finetune, model)
    assert bool((bank.weight[:3] == 1).all()), "the references count everywhere"
    hole = bank.weight[3:4] == 0  # [1, 1, h, w]; pair 3 shows the target
    assert 0 < int(hole.sum()) < hole.numel()
    assert bool((bank.mask[3:4][hole] == 1).all()), "the hole is masked, whatever the random mask"
    target = Bank(**{name: value[3:4] for name, value in vars(bank).items()})
    wanted = Tuning._wanted
    with Tuning(model, target, changed(quick_params, dropout=0.0).finetune) as tuning, torch.no_grad():
        loss = tuning.loss(tuning.draw(0))
        monkeypatch.setattr(Tuning, "_wanted", lambda self, batch: wanted(self, batch) + 1e3 * hole)
        assert torch.equal(tuning.loss(tuning.draw(0)), loss)
        monkeypatch.setattr(Tuning, "_wanted", lambda self, batch: wanted(self, batch) + 1e3 * ~hole)
        assert float(tuning.loss(tuning.draw(0))) > 1e3 * float(loss)


def test_the_public_mask_recipe() -> None:
    drawn = [random_mask(np.random.default_rng(seed), 100) for seed in range(400)]
    full = np.mean([mask.all() for mask in drawn])
    mostly = np.mean([mask.mean() > 0.5 for mask in drawn])
    assert 0.06 < full < 0.16
    assert 0.3 < mostly < 0.75


def test_the_batch_is_as_large_as_asked_however_few_the_photos(prepared: Album, quick_params: Params) -> None:
    model = load(quick_params.base)
    params = changed(quick_params, batch_size=9, bank=4).finetune
    with Tuning(model, encode_bank(prepared, params, model), params) as tuning:
        assert {len(value) for value in tuning.draw(0).values()} == {9}
        first, again, other = tuning.draw(3), tuning.draw(3), tuning.draw(4)
        assert torch.equal(first["noise"], again["noise"])
        assert not torch.equal(first["noise"], other["noise"])


def test_full_memory_halves_the_micro_batch_and_goes_on(
    prepared: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = changed(quick_params, batch_size=4, micro_batch=4, dropout=0.0)
    whole = finetune.run(prepared, params)
    loss = Tuning.loss

    def small_memory(self: Tuning, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if len(batch["noise"]) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return loss(self, batch)

    monkeypatch.setattr(Tuning, "loss", small_memory)
    halved = finetune.run(prepared, params)
    assert halved.final_loss == pytest.approx(whole.final_loss, rel=1e-4)


def test_a_loss_that_is_not_finite_stops_with_advice(prepared: Album, quick_params: Params) -> None:
    params = changed(quick_params, lr_unet=1.0, warmup=0, steps=400)
    model = load(params.base)
    bank = encode_bank(prepared, params.finetune, model)
    bank.mean[:] = torch.nan
    with Tuning(model, bank, params.finetune) as tuning, pytest.raises(TuningError, match="Lower finetune.lr_unet"):
        tuning.step(0)


def test_no_steps_leave_the_base_model_as_it_is(prepared: Album, quick_params: Params) -> None:
    result = finetune.run(prepared, changed(quick_params, steps=0))
    assert result.adapter is None
    assert not (prepared.work("finetune") / "unet").exists()


def test_the_window_beyond_a_narrow_photo_is_never_learned(album_folder: Path, quick_params: Params) -> None:
    (album_folder / "target" / "mask.png").unlink()
    (album_folder / "album.yaml").write_text("outpaint: {left: 60%, right: 60%}")
    album = open_album(album_folder)
    validate.run(album, quick_params)
    masks.run(album, quick_params)
    place_nothing(album)
    window = read_window(album)
    assert window.side > window.canvas_height
    bank = encode_bank(album, quick_params.finetune, load(quick_params.base))
    assert bool((bank.weight[3, 0, 0] == 0).all())


def test_kill_9_at_any_moment_does_not_change_the_adapter(prepared: Album, quick_params: Params) -> None:
    steps = [f"base.model={quick_params.base.model}", "base.device=cpu", "finetune.steps=30", "finetune.bank=4"]
    steps += ["finetune.rank=2", "finetune.batch_size=1", "finetune.checkpoint_every=1", "finetune.dropout=0.1"]
    command = [sys.executable, "-m", "realfill", "finetune", str(prepared.root)]
    command += [word for step in steps for word in ("--set", step)]
    subprocess.run(command, check=True, capture_output=True)
    undisturbed = digest(prepared.work("finetune"))
    kills = 0
    for patience in (0.0, 0.3):
        subprocess.run(["rm", "-rf", str(prepared.work("finetune"))], check=True)
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        checkpoints = prepared.out / "work" / ".checkpoints"
        while running.poll() is None and not list(checkpoints.rglob("*.safetensors")):
            time.sleep(0.01)
        time.sleep(patience)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        kills += not prepared.work("finetune").exists()
        subprocess.run(command, check=True, capture_output=True)
        assert digest(prepared.work("finetune")) == undisturbed
        assert not list(checkpoints.rglob("*.safetensors"))
    assert kills
