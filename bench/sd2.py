"""Tuning and sampling with a model of Stable Diffusion 2's size: time of a step and peak memory.

The cost of a step does not depend on the weights, and the weights need a download. So this writes a folder with the
configuration of SD2 inpainting and random weights (2.6 GB), and runs the stages on an album as `realfill` does.

usage: python bench/sd2.py FOLDER ALBUM [--tuning-steps 3] [--sampling-steps 3] [--set finetune.batch_size=16]
"""

import argparse
import itertools
import shutil
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from realfill.album.discovery import open_album
from realfill.core import peak_memory
from realfill.core.params import load_params
from realfill.core.progress import ProgressUpdate
from realfill.diffusion.base_model import load_base_model
from realfill.diffusion.model_files import MODEL_FILES, locate_model
from realfill.pipeline import run_stage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("album", type=Path)
    parser.add_argument("--tuning-steps", type=int, default=3)
    parser.add_argument("--sampling-steps", type=int, default=3)
    parser.add_argument("--set", dest="assignments", nargs="+", default=[])
    arguments = parser.parse_args()
    folder = arguments.folder.resolve() / "sd2-random"
    if not all((folder / name).is_file() for name in MODEL_FILES):
        write_model(folder)
    assignments = [
        f"base.model={folder}",
        "align.enabled=false",
        "finetune.bank=4",
        "finetune.batch_size=1",
        f"finetune.steps={arguments.tuning_steps}",
        f"sample.steps={arguments.sampling_steps}",
        "sample.candidates=1",
    ]
    params = load_params(assignments=[*assignments, *arguments.assignments])
    album = open_album(arguments.album, arguments.folder / arguments.album.resolve().name)
    for stage in ("validate", "masks", "align"):
        run_stage(stage, album, params)
    model = load_base_model(params.base)
    count = sum(parameter.numel() for parameter in model.part("unet").parameters())
    print(f"UNet of {count / 1e6:.0f} M parameters, {model.resolution} px, {model.device}, batch", end=" ")
    print(params.finetune.batch_size, f"({torch.get_num_threads()} threads)")
    for stage in ("finetune", "sample"):
        peak_memory.reset_peaks()
        seconds = median_step_seconds(partial(run_stage, stage, album, params))
        peaks = ", ".join(f"{name} {value:.1f}" for name, value in peak_memory.read_peaks().items())
        print(f"{stage}: {seconds:.1f} s per step; {peaks}", flush=True)


def median_step_seconds(run: Callable[[Callable[[ProgressUpdate], None]], object]) -> float:
    """Median seconds between the steps that `run` reports."""
    times: list[float] = []
    run(lambda update: times.append(time.perf_counter()))
    return statistics.median(after - before for before, after in itertools.pairwise(times))


def write_model(folder: Path) -> None:
    """Write a model folder with the configuration of Stable Diffusion 2 inpainting and random weights, float16."""
    torch.manual_seed(0)
    UNet2DConditionModel(
        sample_size=64,
        in_channels=9,
        attention_head_dim=[5, 10, 20, 20],
        cross_attention_dim=1024,
        use_linear_projection=True,
    ).half().save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    ).half().save_pretrained(folder / "vae")
    text = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=23,
        num_attention_heads=16,
        hidden_act="gelu",
    )
    CLIPTextModel(text).half().save_pretrained(folder / "text_encoder")
    shutil.copytree(locate_model("pocket").folder / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
    ).save_pretrained(folder / "scheduler")


if __name__ == "__main__":
    main()
