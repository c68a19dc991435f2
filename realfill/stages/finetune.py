"""Tune a LoRA adapter of the base model on an album with all its targets (RealFill, section 4.1)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from realfill.album.layout import Album
from realfill.album.store import read_placement_summary
from realfill.core.atomic_io import atomic_directory
from realfill.core.failures import NumericalError
from realfill.core.progress import ProgressCallback
from realfill.diffusion.album_inputs import checkpoint_folder, encode_training_bank
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.lora_files import final_loss, remove_checkpoint, write_adapter, write_log
from realfill.diffusion.lora_schedule import scale_steps
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.selection.tuning_trial import explain_needless_tuning

if TYPE_CHECKING:
    from realfill.core.params import FinetuneParams, Params

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetuneResult:
    """What tuning wrote.

    Attributes:
        adapter: Folder with `unet/` and `text_encoder/` in PEFT's format; None where the base model is not tuned.
        steps: Number of optimizer steps; 0 where the base model is not tuned.
        final_loss: Mean loss over the last tenth of the steps; None where no step was taken.
    """

    adapter: Path | None
    steps: int
    final_loss: float | None


def run(album: Album, params: Params, on_progress: ProgressCallback | None = None) -> FinetuneResult:
    """Tune, from the last checkpoint of the same inputs if there is one, and publish the adapter.

    The targets of an album are tuned on together, and share the adapter: it is for the one that needs most.

    There are fewer steps, or none, where the placed references leave little to generate: see `scale_steps`. Tuning is
    left out where it cannot pay, see `selection.tuning_trial`, and where it fails numerically, with a warning;
    metrics.json says why.

    Args:
        album: The album, or any target of it, after `validate`, `masks` and `align` of all targets.
        params: All parameters; `finetune`, `base` and `blend.generate` matter.
        on_progress: Called after each step.

    Raises:
        TuningError: Not even a single sample fits into memory.
        StageError: `validate`, `masks` or `align` has not run.
        ModelError: The base model cannot be loaded.
    """
    folder, targets = album.work("finetune"), album.targets
    certain = min(read_placement_summary(target).certain for target in targets)
    finetune = scale_steps(params.finetune, certain)
    if params.blend.generate == "never":
        return _leave_out(folder, finetune, "blend.generate is never")
    if finetune.steps == 0:
        return _leave_out(folder, finetune, "")
    model = load_base_model(params.base)
    sampling = type(params.sample)()  # the defaults, so that only the parameters of tuning decide
    if params.finetune.when == "auto":
        reasons = (explain_needless_tuning(target, model, sampling, finetune.prompt) for target in targets)
        needless = list(takewhile(bool, reasons))
        if len(needless) == len(targets):
            logger.info("The tuning is left out, since %s.", needless[0])
            return _leave_out(folder, finetune, needless[0], needless=True)
    checkpoints = checkpoint_folder(album, params.model_copy(update={"finetune": finetune}), model)
    with LoraTrainer(model, encode_training_bank(album, finetune, model), finetune) as trainer:
        failure = _train(trainer, checkpoints, on_progress)
        losses = [] if failure else trainer.losses
        with atomic_directory(folder) as partial:
            if not failure:
                write_adapter(partial, model)
            write_log(partial, losses, finetune, failure)
    remove_checkpoint(checkpoints)
    return FinetuneResult(None if failure else folder, len(losses), final_loss(losses))


def _leave_out(folder: Path, params: FinetuneParams, reason: str, *, needless: bool = False) -> FinetuneResult:
    """Publish that nothing was tuned, and why."""
    with atomic_directory(folder) as partial:
        write_log(partial, [], params, reason, needless)
    return FinetuneResult(None, 0, None)


def _train(trainer: LoraTrainer, checkpoints: Path, on_progress: ProgressCallback | None) -> str:
    """Take all steps; returns what failed numerically, empty if nothing did."""
    try:
        trainer.train(checkpoints, on_progress)
    except NumericalError as error:
        remedy = "Lower finetune.lr_unet and finetune.lr_text, then run again"
        logger.warning("The tuning failed and is left out (%s): the base model is used as it is. %s.", error, remedy)
        return str(error)
    return ""
