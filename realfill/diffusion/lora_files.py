"""The files of a tuning: its checkpoints, the adapter, and the log of the losses."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from realfill.core.atomic_io import atomic_write, write_json
from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.lora_schedule import warmup_factor

if TYPE_CHECKING:
    from peft import LoraConfig

    from realfill.core.params import FinetuneParams

CHECKPOINT = "tuning.safetensors"
EXPORTED_ADAPTER = "pytorch_lora_weights.safetensors"  # diffusers' name of it
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of a weight


@dataclass(frozen=True)
class TuningLogSettings:
    """What the final loss is.

    Attributes:
        final_part: The final loss is the mean over the last 1 / `final_part` of the steps. Set by hand, so that the
            noise of single steps averages out.
    """

    final_part: int = 10


def write_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, losses: Sequence[float]
) -> None:
    """Write everything that the next step depends on, whole or not at all.

    Args:
        folder: Where to write; a checkpoint that is there is replaced.
        weights: LoRA weights by name.
        optimizer: AdamW over these weights.
        losses: Losses of all steps so far.
    """
    tensors = {f"weight.{name}": _to_cpu(weight) for name, weight in weights.items()}
    for name, weight in weights.items():
        tensors |= {f"{moment}.{name}": _to_cpu(value) for moment, value in optimizer.state[weight].items()}
    tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
    atomic_write(folder / CHECKPOINT, save(tensors))


def read_checkpoint(folder: Path, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> list[float]:
    """Restore LoRA weights and the optimizer's state from a checkpoint, if there is one.

    Returns:
        Losses of the steps before the checkpoint; empty where there is none.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return []
    with safe_open(path, framework="pt") as stored:
        for name, weight in weights.items():
            weight.data.copy_(stored.get_tensor(f"weight.{name}"))
            moments = {moment: stored.get_tensor(f"{moment}.{name}") for moment in MOMENTS}
            optimizer.state[weight] = {moment: value.to(weight.device) for moment, value in moments.items()}
        losses: list[float] = stored.get_tensor("losses").tolist()
    return losses


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, and its folder where that holds nothing else."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def write_adapter(folder: Path, model: BaseModel) -> None:
    """Write the LoRA adapter that a model has, for PEFT and for other programs.

    A folder for each tuned part, such as `unet/`, is in PEFT's format. pytorch_lora_weights.safetensors holds all
    parts: of transformers by the names of diffusers' own files, of UNets by those of kohya's scripts, since ComfyUI
    reads no others. diffusers' `load_lora_weights` takes both. The scale alpha / rank is multiplied in, so that it
    does not depend on what the reader takes for alpha.
    """
    from peft import get_peft_model_state_dict

    exported: dict[str, Tensor] = {}
    for name in model.tuned_parts:
        part = model.part(name)
        config = part.peft_config["default"]
        tensors = {key: _to_cpu(value) for key, value in get_peft_model_state_dict(part).items()}
        atomic_write(folder / name / "adapter_model.safetensors", save(tensors))
        write_json(folder / name / "adapter_config.json", _adapter_config(config))
        scale = config.lora_alpha / config.r
        exported |= {
            f"{name}.{key.removeprefix('base_model.model.')}": value * scale if "lora_B" in key else value
            for key, value in tensors.items()
        }
    if model.denoiser == "unet":
        exported = _rename_to_kohya(exported)
    atomic_write(folder / EXPORTED_ADAPTER, save(exported, metadata={"format": "pt"}))


def write_log(
    folder: Path,
    losses: Sequence[float],
    params: FinetuneParams,
    left_out: str = "",
    needless: bool = False,
    settings: TuningLogSettings = TuningLogSettings(),
) -> None:
    """Write loss.csv and metrics.json.

    Args:
        folder: Where to write.
        losses: Of each step that was taken.
        params: The learning rate and its warm-up.
        left_out: Why the tuning was left out; empty where it was not.
        needless: Whether it was since what the model makes is worse than what the references show: `sample` then
            draws nothing from pure noise.
        settings: What the final loss is.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "loss", "lr"])
    for step, loss in enumerate(losses):
        writer.writerow([step, f"{loss:.6f}", f"{params.lr_unet * warmup_factor(step, params):.3e}"])
    atomic_write(folder / "loss.csv", text.getvalue())
    metrics = {"steps": len(losses), "final_loss": final_loss(losses, settings)}
    reasons = ({"left_out": left_out} if left_out else {}) | ({"needless": True} if needless else {})
    write_json(folder / "metrics.json", metrics | reasons)


def final_loss(losses: Sequence[float], settings: TuningLogSettings = TuningLogSettings()) -> float | None:
    """Mean loss over the last part of the steps; None where there is no step."""
    if not losses:
        return None
    last = losses[-max(1, len(losses) // settings.final_part) :]
    return sum(last) / len(last)


def _rename_to_kohya(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give LoRA weights of a UNet and a text encoder, by PEFT's names, those of kohya's scripts.

    diffusers tells that format of a text encoder by its layers `out_proj`. They are not tuned here, so zeros stand
    for them. It numbers the text encoder as one of two; InvokeAI looks for the only one without a number.
    """
    from diffusers.utils import convert_state_dict_to_kohya

    named = {}
    for name, value in tensors.items():
        key = re.sub(r"^text_encoder\.(text_model\.)?", "text_encoder.text_model.", name)
        named[key] = value
        if key.startswith("text_encoder.") and ".q_proj." in key:
            named[key.replace(".q_proj.", ".out_proj.")] = torch.zeros_like(value)
    renamed: dict[str, Tensor] = convert_state_dict_to_kohya(named)
    return {re.sub("^lora_te1_", "lora_te_", key): value for key, value in renamed.items()}


def _to_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous()


def _adapter_config(config: LoraConfig) -> dict[str, Any]:
    """PEFT's adapter_config.json with sets sorted and without paths of this machine.

    So equal parameters give equal bytes.
    """
    values = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    values |= {"inference_mode": True, "base_model_name_or_path": None}
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
