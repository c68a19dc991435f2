"""Tuning to the same loss: ours beside the published script of RealFill, at the same batch.

The published script is diffusers' `examples/research_projects/realfill/train_realfill.py` with the values of its
README: in each step the autoencoder encodes the batch and its masked images, the text encoder runs on every sample,
and plain AdamW clips gradients; networks lie in memory as they were loaded. Ours is `LoraTrainer` with the default
parameters. Both learn random crops of the same photos. After some steps the loss is taken on other crops under other
masks, at fixed noise and times. The time to equal loss is the median time of a step, times the steps until ours has
the lowest loss of the published script, and for ours also the time of encoding the bank; compiling, whose results
PyTorch keeps on the disk, is said beside it. On the CPU times are those of the processor, so that other work on the
machine does not count. Photos are drawn unless some are named. One JSON row a measurement is printed and flushed as
soon as it is taken; what fails has a row with its error.

usage: python bench/step.py [--model sd2|pocket|tiny] [--batch 16] [--steps 60] [--every 5] [--held-out 32]
       [--bank 64] [--photos FILE...] [--no-compile] [--limit] [--seconds 150] [--out FILE]

On a machine with a GPU and without the project's environment, also measuring the limit of `bench/limit.py`
(150 s, of which compiling takes most):
PYTHONPATH=. python3 bench/step.py --model sd2 --batch 16 --steps 40 --limit --seconds 120 --out "$OUT/step.jsonl"
PYTHONPATH=. python3 bench/step.py --model pocket --batch 16 --steps 300 --every 20 --no-compile --limit --seconds 60
After the seconds no step is begun, except the first dozen of ours; what was measured until then is written.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from families import DEVICE, FULL, TINY, Bench, make_model, synchronize
from peft import LoraConfig, get_peft_model

from realfill.core.params import BaseParams, FinetuneParams
from realfill.core.seeding import numpy_generator
from realfill.diffusion.base_model import BaseModel, load_base_model, mask_image
from realfill.diffusion.compilation import CompilationSettings
from realfill.diffusion.condition import Condition
from realfill.diffusion.devices import create_accelerator
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.training_bank import TrainingBank, encode_crops
from realfill.diffusion.training_masks import random_mask

PROMPT = "a photo of sks"
POOL = 128  # crops that the published script draws its batches from
PROGRESS = 1e-5  # of the loss, below which nothing was learned
SMALLEST_CROP = 0.6  # of a photo's shorter side


class Tuning(Protocol):
    def train_step(self, step: int) -> object: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket", help="pocket, or random weights of the size of sd2 or tiny")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=60, help="of the published script")
    parser.add_argument("--every", type=int, default=5, help="steps of the published script between losses")
    parser.add_argument("--held-out", type=int, default=32, help="crops that the loss is taken on")
    parser.add_argument("--bank", type=int, default=64, help="pairs of our bank")
    parser.add_argument("--photos", type=Path, nargs="+")
    parser.add_argument("--no-compile", action="store_true", help="ours not compiled on CUDA")
    parser.add_argument("--limit", action="store_true", help="measure the limit of our step, too")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    bench = Bench(arguments)
    common = {"model": arguments.model, "batch": arguments.batch}
    with bench.guard(arguments.model, "time to equal loss"):
        compare(bench, arguments, common)


def compare(bench: Bench, arguments: argparse.Namespace, common: dict[str, Any]) -> None:
    model = open_model(arguments.model)
    photos = read_photos(arguments.photos) if arguments.photos else draw_photos(model.resolution)
    held_out = HeldOut(model, photos, arguments.held_out)
    before = held_out.loss()
    bench.write(**common, what="loss", tuning="none", step=0, loss=round(before, 5), side=model.resolution)
    published = PublishedTuning(model, photos, arguments.batch)
    course = Course(bench, held_out, "published", common, arguments.every)
    course.run(published, arguments.steps, before, until=bench.started + 0.45 * arguments.seconds)
    published.close()
    del published
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
    lowest = min(course.losses, key=lambda step: course.losses[step])
    target = course.losses[lowest]
    has_learned = target < before - PROGRESS
    encoded: list[TrainingBank] = []
    bank_seconds = clock(lambda: encoded.append(make_bank(model, arguments.bank, photos)))
    params = make_params(batch_size=arguments.batch, micro_batch=arguments.batch, bank=arguments.bank)
    limit = measure_step_limit(bench, model, encoded[0], params, common) if arguments.limit else None
    settings = CompilationSettings(min_steps=10**9 if arguments.no_compile else 0)
    with LoraTrainer(model, encoded[0], params, settings) as trainer:
        ours = Course(bench, held_out, "ours", common, max(1, arguments.every // 5))
        ours.run(trainer, arguments.steps, target if has_learned else np.inf, until=bench.started + arguments.seconds)
    if limit:
        beside = {
            "ratio_to_limit": round(ours.median / limit, 3),
            "is_compiled": DEVICE.type == "cuda" and not arguments.no_compile,
        }
        bench.write(**common, what="our step beside its limit", seconds=round(ours.median, 5), **beside)
    reached = [step for step, loss in ours.losses.items() if loss <= target]
    steps = min(reached, default=None) if has_learned else None
    published_seconds = lowest * course.median
    row: dict[str, Any] = {
        "step_ratio": round(course.median / ours.median, 2),
        "published_steps": lowest,
        "our_steps": steps,
    }
    row |= {"loss_before": round(before, 5), "loss": round(target, 5)}
    row |= {"published_seconds": round(published_seconds, 2), "bank_seconds": round(bank_seconds, 2)}
    row |= {"first_step_seconds": round(ours.seconds[0], 2)}
    if not has_learned:
        row |= {"error": "the published script has not lowered the loss: give it more --steps"}
    if steps is not None:
        our_seconds = steps * ours.median + bank_seconds
        row |= {"our_seconds": round(our_seconds, 2), "ratio": round(published_seconds / our_seconds, 2)}
    bench.write(**common, what="time to equal loss", **row)


def measure_step_limit(
    bench: Bench, model: BaseModel, bank: TrainingBank, params: FinetuneParams, common: dict[str, Any]
) -> float | None:
    """Seconds of the products of our step alone; None where they cannot be measured."""
    from limit import AS_WRITTEN, measure_limit

    with bench.guard(common["model"], "limit"), LoraTrainer(model, bank, params, AS_WRITTEN) as trainer:
        return measure_limit(bench, trainer, 3, common)
    return None


class Course:
    """Steps of a tuning: their times, and the held-out loss after some of them.

    Attributes:
        seconds: Of each step.
        losses: Held-out loss by the number of steps before it.
    """

    def __init__(self, bench: Bench, held_out: "HeldOut", name: str, common: dict[str, Any], every: int) -> None:
        self.seconds: list[float] = []
        self.losses: dict[int, float] = {}
        self._bench, self._held_out, self._every = bench, held_out, every
        self._row = common | {"tuning": name}

    @property
    def median(self) -> float:
        """Seconds of a step, the first two left out where there are more."""
        return statistics.median(self.seconds[2:] or self.seconds)

    def run(self, tuning: Tuning, steps: int, target: float, until: float) -> None:
        """Take steps; ours until it has the target, but a dozen to time them."""
        for step in range(steps):
            self.seconds.append(clock(partial(tuning.train_step, step)))
            is_late = time.monotonic() > until and step >= 11
            if (step + 1) % self._every == 0 or step + 1 == steps or is_late:
                loss = self._held_out.loss()
                self.losses[step + 1] = loss
                row = {"step": step + 1, "loss": round(loss, 5), "seconds": round(self.seconds[-1], 4)}
                self._bench.write(**self._row, what="loss", **row)
                if self._row["tuning"] == "ours" and loss <= target and step >= 11:
                    break
            if is_late:
                break
        self._bench.write(**self._row, what="step", seconds=round(self.median, 4), steps=len(self.seconds))


class HeldOut:
    """The loss on crops that are not learned, each at its own fixed noise and time."""

    def __init__(self, model: BaseModel, photos: list[np.ndarray], count: int) -> None:
        crops, masks = draw_crops(photos, model.resolution, count, "held out")
        bank = encode_crops(model, crops, masks, [np.zeros_like(mask) for mask in masks])
        generator = torch.Generator().manual_seed(0)
        self._model = model
        self._latents = bank.latent_mean.to(DEVICE)
        self._condition = Condition(bank.mask.float(), bank.masked_latent_mean, bank.references[None]).to(DEVICE)
        self._noise = torch.randn(bank.latent_mean.shape, generator=generator).to(DEVICE)
        self._times = ((torch.arange(count) + 0.5) * 1000 / count).long().to(DEVICE)

    @torch.no_grad()
    def loss(self) -> float:
        model, count = self._model, len(self._latents)
        networks = [model.part(name) for name in model.tuned_parts]
        for network in networks:
            network.eval()
        total = 0.0
        with torch.compiler.set_stance("force_eager"):
            embeddings = {name: value.expand(8, *value.shape[1:]) for name, value in model.embed([PROMPT]).items()}
            for begin in range(0, count, 8):
                rows = slice(begin, begin + 8)
                times, latents, noise = self._times[rows], self._latents[rows], self._noise[rows]
                noisy = model.process.noised(latents, noise, times)
                picture = Condition(
                    self._condition.mask[rows], self._condition.masked_latents[rows], self._condition.references
                )
                prompts = {name: value[: len(times)] for name, value in embeddings.items()}
                prediction = model.predict(noisy, times, picture, prompts)
                error = (prediction - model.process.wanted(latents, noise, times)) ** 2
                total += float(error.mean(dim=(1, 2, 3)).sum())
        for network in networks:
            network.train()
        return total / count


class PublishedTuning:
    """A step of the published script, on copies of the model's networks."""

    def __init__(self, model: BaseModel, photos: list[np.ndarray], batch: int) -> None:
        self._model, self._batch = model, batch
        in_bf16 = model.accelerator.mixed_precision == "bf16"
        self._dtype = torch.bfloat16 if in_bf16 else torch.float32
        layout = {"memory_format": torch.contiguous_format}
        self._vae = copy.deepcopy(model.part("vae")).to(dtype=self._dtype, **layout)
        self._frozen = {name: model.part(name) for name in ("unet", "text_encoder")}
        torch.manual_seed(0)
        for name, modules in (("unet", ["to_k", "to_q", "to_v"]), ("text_encoder", ["k_proj", "q_proj", "v_proj"])):
            config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.1, target_modules=modules)
            network = copy.deepcopy(self._frozen[name]).to(dtype=torch.float32, **layout)
            model.replace_part(name, get_peft_model(network, config).to(DEVICE).train())
        self._unet, self._text_encoder = model.part("unet"), model.part("text_encoder")
        groups = [
            {"params": [weight for weight in network.parameters() if weight.requires_grad], "lr": rate}
            for network, rate in ((self._unet, 2e-4), (self._text_encoder, 4e-5))
        ]
        self._weights = [weight for group in groups for weight in group["params"]]  # type: ignore[attr-defined]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=1e-2)
        crops, masks = draw_crops(photos, model.resolution, POOL, "published")
        self._pool = np.stack(crops), np.stack(masks)

    def train_step(self, step: int) -> None:
        model = self._model
        rows = numpy_generator("published batch", step).integers(0, POOL, self._batch)
        images, masks = (values[rows] for values in self._pool)  # [B, R, R, 3] uint8, [B, R, R] bool
        with torch.no_grad():
            latents, masked = (self._encode(pixels) for pixels in (images, mask_image(images, masks)))
        mask = torch.from_numpy(masks).to(DEVICE).float()[:, None]
        mask = torch.nn.functional.interpolate(mask, size=latents.shape[2:])
        noise = torch.randn_like(latents)
        times = torch.randint(0, 1000, (self._batch,), device=DEVICE)
        noisy = model.process.noised(latents, noise, times)
        with model.accelerator.autocast():
            prompts = [PROMPT if index % 10 else "" for index in range(self._batch)]
            tokens = model.part("tokenizer")(
                prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
            ).input_ids
            prompt = self._text_encoder(tokens.to(DEVICE))[0]
            prediction = self._unet(torch.cat([noisy, mask, masked], dim=1), times, prompt).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), noise.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=False)
        loss.item()

    def _encode(self, images: np.ndarray) -> torch.Tensor:
        pixels = torch.from_numpy(images).to(DEVICE).permute(0, 3, 1, 2).contiguous().to(self._dtype) / 127.5 - 1
        latents = self._vae.encode(pixels).latent_dist.sample() * self._vae.config.scaling_factor
        return latents.float()

    def close(self) -> None:
        for name, part in self._frozen.items():
            self._model.replace_part(name, part)


def open_model(name: str) -> BaseModel:
    """The pocket model, or random weights of the size of Stable Diffusion 2 or of a toy."""
    torch.manual_seed(0)
    if name in ("sd2", "tiny"):
        return make_model((FULL if name == "sd2" else TINY)["sd"], create_accelerator("auto", "auto"))
    return load_base_model(BaseParams(model=name))


def make_params(**values: object) -> FinetuneParams:
    return FinetuneParams().model_copy(update={"prompt": PROMPT} | values)


def make_bank(model: BaseModel, pairs: int, photos: list[np.ndarray] | None = None) -> TrainingBank:
    crops, masks = draw_crops(photos or draw_photos(model.resolution), model.resolution, pairs, "bank")
    return encode_crops(model, crops, masks, [np.zeros_like(mask) for mask in masks])


def draw_crops(
    photos: list[np.ndarray], side: int, count: int, key: str
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Random squares [side, side, 3] uint8 of photos in turn, and random masks [side, side] bool."""
    crops, masks = [], []
    for index in range(count):
        generator = numpy_generator(key, index)
        photo = photos[index % len(photos)]
        height, width = photo.shape[:2]
        share = round(generator.uniform(SMALLEST_CROP, 1.0) * min(height, width))
        left, top = generator.integers(0, width - share + 1), generator.integers(0, height - share + 1)
        crop = photo[top : top + share, left : left + share]
        crops.append(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA))
        masks.append(random_mask(generator, side))
    return crops, masks


def draw_photos(side: int, count: int = 5) -> list[np.ndarray]:
    """Windows of one drawn scene: cloudy colors with sharp rectangles and circles before them."""
    generator = numpy_generator("scene")
    extent = 2 * side
    scene = np.full((extent, extent, 3), 128, np.float32)
    for nodes in (3, 9, 27, 81):
        noise = generator.normal(0, 90 / np.sqrt(nodes), (nodes, nodes, 3)).astype(np.float32)
        scene += cv2.resize(noise, (extent, extent), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        color = generator.uniform(0, 255, 3).tolist()
        left, top = (int(value) for value in generator.integers(0, extent, 2))
        width, height = (int(value) for value in generator.integers(extent // 40, extent // 6, 2))
        if generator.random() < 0.5:
            cv2.rectangle(scene, (left, top), (left + width, top + height), color, -1)
        else:
            cv2.circle(scene, (left, top), width // 2, color, -1)
    scene = scene.clip(0, 255)
    corners = generator.integers(0, extent // 2, (count, 2))
    reach = extent // 2
    return [scene[top : top + reach, left : left + reach].astype(np.uint8) for top, left in corners]


def read_photos(paths: list[Path]) -> list[np.ndarray]:
    """Photos as sRGB [H, W, 3] uint8, the shorter side 512 pixels."""
    photos = []
    for path in paths:
        photo = cv2.imread(str(path))
        assert photo is not None, f"{path} cannot be read"
        scale = 512 / min(photo.shape[:2])
        photos.append(cv2.resize(photo[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return photos


def clock(run: Callable[[], object]) -> float:
    """Seconds that a call takes; on the CPU those of the processor, over its threads."""
    if DEVICE.type == "cpu":
        started = time.process_time()
        run()
        return (time.process_time() - started) / torch.get_num_threads()
    synchronize()
    started = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
