"""The stage that tunes: what it writes, and that kills do not change it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from peft import PeftModel

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.atomic_io import MARK
from realfill.core.errors import TuningError
from realfill.core.hashing import digest
from realfill.core.params import Params, load_params
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.stages import finetune, masks, sample, validate
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


def test_the_adapter_loads_with_peft_and_is_small(prepared: Album, quick_params: Params) -> None:
    result = finetune.run(prepared, quick_params)
    assert result.adapter
    model = load_base_model(quick_params.base)
    with model.use_adapter(result.adapter):
        assert isinstance(model.part("unet"), PeftModel)
        assert isinstance(model.part("text_encoder"), PeftModel)
    assert not isinstance(model.part("unet"), PeftModel)
    files = [path for path in result.adapter.rglob("*.*") if path.is_file() and path.name != MARK]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".csv"}
    assert (result.adapter / "loss.csv").read_text().startswith("step,loss,lr\n0,")


def test_no_steps_leave_the_base_model_as_it_is(prepared: Album, quick_params: Params) -> None:
    result = finetune.run(prepared, changed(quick_params, steps=0))
    assert result.adapter is None
    assert not (prepared.work("finetune") / "unet").exists()


def test_nothing_is_tuned_where_nothing_is_generated(prepared: Album) -> None:
    params = load_params(assignments=["blend.generate=never", "base.model=/nowhere", "finetune.when=always"])
    assert finetune.run(prepared, params).steps == 0
    metrics = json.loads((prepared.work("finetune") / "metrics.json").read_text())
    assert metrics == {"steps": 0, "final_loss": None, "left_out": "blend.generate is never"}
    assert not (prepared.work("finetune") / "unet").exists()


def test_a_tuning_that_fails_numerically_is_left_out(
    prepared: Album, quick_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    result = finetune.run(prepared, changed(quick_params, lr_unet=1e30, warmup=0))
    assert (result.adapter, result.steps, result.final_loss) == (None, 0, None)
    metrics = json.loads((prepared.work("finetune") / "metrics.json").read_text())
    assert metrics == {"steps": 0, "final_loss": None, "left_out": "the loss of step 1 is nan"}
    assert not (prepared.work("finetune") / "unet").exists()
    assert not list((prepared.out / "work" / ".checkpoints").rglob("*.safetensors"))
    assert "the loss of step 1 is nan" in caplog.text
    assert "Lower finetune.lr_unet" in caplog.text
    rows = sample.run(prepared, quick_params).candidates
    assert [row.adapter_digest for row in rows] == ["", ""]


def test_a_lack_of_memory_is_an_error(prepared: Album, quick_params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(LoraTrainer, "compute_loss", full)
    with pytest.raises(TuningError, match="Free memory"):
        finetune.run(prepared, quick_params)
    assert not prepared.work("finetune").exists()


def test_kill_9_does_not_change_the_adapter(prepared: Album, quick_params: Params) -> None:
    assignments = [
        f"base.model={quick_params.base.model}",
        "base.device=cpu",
        "finetune.steps=15",
        "finetune.bank=4",
        "finetune.rank=2",
        "finetune.batch_size=1",
        "finetune.checkpoint_every=1",
        "finetune.dropout=0.1",
    ]
    params = load_params(assignments=assignments)
    command = [sys.executable, "-m", "realfill", "finetune", str(prepared.root)]
    command += [word for assignment in assignments for word in ("--set", assignment)]
    folder, checkpoints = prepared.work("finetune"), prepared.out / "work" / ".checkpoints"
    finetune.run(prepared, params)
    undisturbed = digest(folder)
    shutil.rmtree(folder)
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and not list(checkpoints.rglob("*.safetensors")):
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not folder.exists()
    finetune.run(prepared, params)
    assert digest(folder) == undisturbed
    assert not list(checkpoints.rglob("*.safetensors"))
