"""One tuning step of ours against a plain one as the public implementations do it, as a ratio.

A plain step encodes the batch and its masked copy with the autoencoder and runs the text encoder on one
prompt a sample; ours draws pre-encoded latents and encodes two prompts. Same model, batch, LoRA layers,
optimiser and machine; the two take turns, and the medians are compared.

usage: python bench/step.py [--model pocket] [--batch 16] [--rounds 5]
"""

import argparse
import statistics
import time

import numpy as np
import torch

from realfill.core.params import BaseParams, FinetuneParams
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel, load
from realfill.diffusion.lora_tuning import Tuning
from realfill.diffusion.training_bank import encode_crops
from realfill.diffusion.training_masks import random_mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = load(BaseParams(model=arguments.model))
    params = FinetuneParams(batch_size=arguments.batch, micro_batch=arguments.batch)
    generator = numpy_generator("bench")
    side = model.resolution
    crops = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(arguments.batch)]
    masks = [random_mask(generator, side) for _ in crops]
    holes = [np.zeros((side, side), bool) for _ in crops]
    ours, plain = [], []
    with Tuning(model, encode_crops(model, crops, masks, holes), params) as tuning:
        for step in range(arguments.rounds + 1):
            started = time.perf_counter()
            tuning.step(step)
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            encode_as_in_every_plain_step(model, crops, masks)
            tuning.step(step)
            plain.append(time.perf_counter() - started)
    mean_ours, mean_plain = statistics.median(ours[1:]), statistics.median(plain[1:])
    print(
        f"model {model.name}, {side} px, batch {arguments.batch}, {torch.get_num_threads()} threads, {model.device}"
    )
    print(f"ours  {mean_ours:.2f} s a step (median of {arguments.rounds})")
    print(f"plain {mean_plain:.2f} s a step (median of {arguments.rounds})")
    print(f"ratio plain / ours {mean_plain / mean_ours:.2f}")


def encode_as_in_every_plain_step(model: BaseModel, crops: list[np.ndarray], masks: list[np.ndarray]) -> None:
    """What a plain step does beside the UNet: 2 B images through the autoencoder, B - 2 further prompts."""
    images = np.stack(crops)
    model.encode(images)
    model.encode(np.where(np.stack(masks)[..., None], np.uint8(128), images))
    model.embed(["a photo of sks"] * (len(crops) - 2)).sum().backward()


if __name__ == "__main__":
    main()
