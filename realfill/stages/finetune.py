"""Fine-tune a LoRA adapter of the base model on one album (RealFill, arXiv 2309.16668, section 4.1).

The references are learned under random masks, the target under random masks joined with its own hole, and
no loss is taken inside that hole. The frozen autoencoder does not run in the steps: a finite bank of
(crop, mask) pairs is encoded once, and the batches are drawn from it.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from realfill.album.layout import Album
from realfill.album.store import canvas_path, mask_path, read_inputs, read_placed
from realfill.core.atomic_io import atomic_directory, atomic_write, write_json
from realfill.core.hashing import digest, digest_json
from realfill.core.params import FinetuneParams, Params
from realfill.core.progress import Progress
from realfill.diffusion.base_model import BaseModel, load
from realfill.diffusion.lora_tuning import Tuning
from realfill.diffusion.training_bank import encode_bank


@dataclass(frozen=True)
class FinetuneResult:
    """What tuning wrote.

    Attributes:
        adapter: Folder with `unet/` and `text_encoder/` in PEFT's layout; None where no step was asked for.
        steps: Optimiser steps.
        final_loss: Mean loss of the last tenth of the steps; None where no step was asked for.
    """

    adapter: Path | None
    steps: int
    final_loss: float | None


def run(album: Album, params: Params, on_progress: Progress | None = None) -> FinetuneResult:
    """Tune, going on from the last checkpoint of the very same inputs, and publish the adapter.

    Less is tuned, or nothing, where the placed references leave little to generate: see `shortened`.

    Raises:
        TuningError: The loss is no longer finite, or not even a single sample fits the memory.
        StageError: `validate`, `masks` or `align` has not run.
        ModelError: The base model cannot be loaded.
    """
    folder = album.work("finetune")
    params = params.model_copy(update={"finetune": scale_steps(params.finetune, read_placed(album).certain)})
    if params.finetune.steps == 0:
        with atomic_directory(folder) as beside:
            _write_log(beside, [], params.finetune)
        return FinetuneResult(None, 0, None)
    model = load(params.base)
    checkpoints = album.out / "work" / ".checkpoints" / _content_key(album, params, model)
    bank = encode_bank(album, params.finetune, model)
    with Tuning(model, bank, params.finetune) as tuning:
        tuning.resume(checkpoints)
        tuning.go_on(checkpoints, on_progress)
        with atomic_directory(folder) as beside:
            tuning.save_adapter(beside)
            _write_log(beside, tuning.losses, params.finetune)
    shutil.rmtree(checkpoints, ignore_errors=True)
    return FinetuneResult(folder, params.finetune.steps, _final(tuning.losses))


def scale_steps(params: FinetuneParams, certain: float) -> FinetuneParams:
    """The same with the steps that are worth their time.

    With `when: auto` none where the placed references are certain of `params.certain` of the hole; below it twice the
    uncertain share of the steps, and all of them where no more than half of the hole is certain.

    Args:
        params: What is asked for.
        certain: Share of the hole that the placed references are certain of, 0 to 1.
    """
    if params.when == "always":
        return params
    share = 0.0 if certain >= params.certain else min(1.0, 2 * (1 - certain))
    return params.model_copy(update={"steps": math.ceil(share * params.steps)})


def _content_key(album: Album, params: Params, model: BaseModel) -> str:
    references = [row.digest for row in read_inputs(album) if row.role == "reference" and row.verdict == "accepted"]
    settings = params.finetune.model_dump(mode="json", exclude={"checkpoint_every"})
    inputs = [digest(canvas_path(album)), digest(mask_path(album)), *references]
    return digest_json([model.digest, settings, params.section("base"), inputs])[:32]


def _final(losses: list[float]) -> float | None:
    if not losses:
        return None
    last = losses[-max(1, len(losses) // 10) :]
    return sum(last) / len(last)


def _write_log(folder: Path, losses: list[float], params: FinetuneParams) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "lr"])
    for step, loss in enumerate(losses):
        rate = params.lr_unet * min(1.0, (step + 1) / max(1, params.warmup))
        writer.writerow([step, f"{loss:.6f}", f"{rate:.3e}"])
    atomic_write(folder / "loss.csv", text.getvalue())
    write_json(folder / "metrics.json", {"steps": len(losses), "final_loss": _final(losses)})
