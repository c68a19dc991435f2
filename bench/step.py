"""One of our tuning steps against a plain one as the public implementations take it, as a ratio.

A plain step encodes the batch and its masked images with the autoencoder, and runs the text encoder on one prompt per
sample. Ours draws pre-encoded latents and encodes two prompts. Both have the same model, batch, LoRA layers,
optimizer and machine; they take turns, and their medians are compared.

usage: python bench/step.py [--model pocket] [--batch 16] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from realfill.core.params import BaseParams, FinetuneParams
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel, load_base_model, mask_image
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import encode_crops
from realfill.diffusion.training_masks import random_mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = load_base_model(BaseParams(model=arguments.model))
    params = FinetuneParams(batch_size=arguments.batch, micro_batch=arguments.batch)
    generator = numpy_generator("bench")
    side = model.resolution
    crops = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(arguments.batch)]
    masks = [random_mask(generator, side) for _ in crops]
    holes = [np.zeros((side, side), bool) for _ in crops]
    ours, plain = [], []
    with LoraTrainer(model, encode_crops(model, crops, masks, holes), params) as trainer:

        def plain_step(step: int) -> None:
            encode_as_in_a_plain_step(model, crops, masks)
            trainer.train_step(step)

        for step in range(arguments.rounds + 1):
            ours.append(measure_seconds(trainer.train_step, step))
            plain.append(measure_seconds(plain_step, step))
    median_ours, median_plain = statistics.median(ours[1:]), statistics.median(plain[1:])
    threads = torch.get_num_threads()
    print(f"model {model.name}, {side} px, batch {arguments.batch}, {threads} threads, {model.device}")
    print(f"ours  {median_ours:.2f} s per step (median of {arguments.rounds})")
    print(f"plain {median_plain:.2f} s per step (median of {arguments.rounds})")
    print(f"ratio plain / ours {median_plain / median_ours:.2f}")


def measure_seconds(take_step: Callable[[int], object], step: int) -> float:
    started = time.perf_counter()
    take_step(step)
    return time.perf_counter() - started


def encode_as_in_a_plain_step(model: BaseModel, crops: list[np.ndarray], masks: list[np.ndarray]) -> None:
    """What a plain step does besides the UNet: 2 B images through the autoencoder, B - 2 further prompts."""
    images = np.stack(crops)
    model.encode(images)
    model.encode(mask_image(images, np.stack(masks)))
    if len(crops) > 2:
        model.encode_prompts(["a photo of sks"] * (len(crops) - 2))["prompt"].sum().backward()


if __name__ == "__main__":
    main()
