"""Tuning and sampling steps of each family at its full size: seconds, peak memory, and a plain step beside them.

The cost of a step does not depend on the weights. So the networks are built on the device itself with random weights,
bfloat16 on CUDA, by the public configurations; nothing is downloaded, and prompts are random embeddings of the right
shape. A plain step is what diffusers' example scripts do: the autoencoder runs in each step. Both have the same
model, batch, LoRA layers, gradient checkpointing, order of sums, norms, optimizer and machine. One JSON row a
measurement is printed and flushed as soon as it is taken; a family that fails has a row with its error, and the
others go on.

With --nf4 a denoiser is written to a temporary folder and read with 4-bit weights, as a user's model is.

usage: python bench/families.py [--families sdxl flux2_klein flux_fill sd] [--batch 1] [--steps 4] [--seconds 190]
       [--nf4] [--out FILE] [--tiny] | --table FILE

On a machine without the project installed: PYTHONPATH=. python3 bench/families.py --out "$OUT/families.jsonl"
It imports torch, diffusers, transformers, peft, accelerate, safetensors, numpy, cv2 and scipy, and of the project
only realfill.diffusion, realfill.imaging and parts of realfill.core that need nothing else.
"""

import argparse
import json
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import diffusers
import numpy as np
import torch
from accelerate import Accelerator

from realfill.diffusion.base_model import BaseModel
from realfill.diffusion.devices import create_accelerator, memory_format
from realfill.diffusion.families.flux2_klein import Flux2Klein
from realfill.diffusion.families.flux_fill import FluxFill
from realfill.diffusion.families.loading import load_part
from realfill.diffusion.families.sd import StableDiffusion
from realfill.diffusion.families.sdxl import StableDiffusionXL
from realfill.diffusion.inpainting_sampler import sample_candidates
from realfill.diffusion.lora_tuning import LoraTrainer
from realfill.diffusion.model_files import ModelLocation
from realfill.diffusion.model_registry import ModelSpec
from realfill.diffusion.training_bank import encode_crops

PROMPT = "a photo of sks"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FOUR_BLOCKS: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
}
TWO_BLOCKS: dict[str, Any] = {
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 1,
}
DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
FLOW = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}


@dataclass(frozen=True)
class Case:
    """A family at one size: classes and configurations of its networks, shapes of an embedded prompt."""

    model: type[BaseModel]
    denoiser: Callable[[], Any]
    vae: Callable[[], Any]
    scheduler: dict[str, Any]
    prompt: dict[str, tuple[int, ...]]
    side: int
    guidance: float
    references: int = 0
    text_encoder: Callable[[], Any] | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["sdxl", "flux2_klein", "flux_fill", "sd"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=190, help="no measurement is begun after them")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to try the bench itself")
    parser.add_argument("--table", type=Path, help="only print the rows of a file of --out as a Markdown table")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 on the CPU, too")
    parser.add_argument("--nf4", action="store_true", help="the denoiser's weights in 4 bits, on CUDA")
    arguments = parser.parse_args()
    cases = TINY if arguments.tiny else FULL
    if arguments.table:
        print_table(arguments.table)
        return
    bench = Bench(arguments)
    for name in arguments.families:
        with bench.guard(name, "family"):
            measure_family(bench, name, cases[name], create_accelerator("auto", "bf16" if arguments.bf16 else "auto"))
        if DEVICE.type == "cuda":
            torch.cuda.empty_cache()


def print_table(path: Path) -> None:
    print("| family | step | samples | references | s / step | peak GB |\n|---|---|---|---|---|---|")
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["what"] not in ("model", "encode a pair", "family"):
            cells = [row.get(name, "") for name in ("family", "what", "batch", "references", "seconds", "gigabytes")]
            failure = row.get("error") or row.get("skipped")
            print(f"| {' | '.join(map(str, cells[:4]))} | {failure or cells[4]} | {cells[5]} |")


class Bench:
    """Writes rows, measures times and memory, and keeps to the time that there is."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.started = arguments, time.monotonic()
        name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        self.common = {"device": name, "torch": torch.__version__, "diffusers": diffusers.__version__}

    def write(self, **row: Any) -> None:
        line = json.dumps({"at": round(time.monotonic() - self.started, 1)} | row | self.common)
        print(line, flush=True)
        if self.arguments.out:
            with self.arguments.out.open("a") as file:
                file.write(line + "\n")

    @contextmanager
    def guard(self, family: str, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {str(error)[:300]} ({Path(where.filename).name}:{where.lineno})"
            self.write(family=family, what=what, error=told)
            error.__traceback__ = None  # which keeps tensors

    def measure(self, family: str, what: str, take_step: Callable[[int], object], **row: Any) -> None:
        """Median seconds of some steps after a first one, and the peak of memory over all of them."""
        if time.monotonic() - self.started > self.arguments.seconds:
            self.write(family=family, what=what, skipped="no time is left")
            return
        with self.guard(family, what):
            reset_peak()
            seconds = [measure_seconds(take_step, step) for step in range(self.arguments.steps + 1)]
            median = statistics.median(seconds[1:])
            self.write(family=family, what=what, seconds=round(median, 4), gigabytes=read_peak(), **row)


def measure_family(bench: Bench, name: str, case: Case, accelerator: Accelerator) -> None:
    started = time.monotonic()
    model = make_model(case, accelerator)
    if bench.arguments.nf4:
        quantize_denoiser(model, name)
    parameters = sum(weight.numel() for weight in model.part(model.denoiser).parameters())
    synchronize()
    bench.write(
        family=name,
        what="model",
        seconds=round(time.monotonic() - started, 1),
        parameters=parameters,
        gigabytes=read_peak(),
        side=case.side,
    )
    batch, side = bench.arguments.batch, case.side
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(batch)]
    mask = np.zeros((side, side), bool)
    mask[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
    shown = [crop[: side // 2, : side // 2].copy() for crop in crops[:1]] * case.references
    measure_tuning(bench, name, model, crops, mask, shown)
    measure_sampling(bench, name, case, model, crops[0], mask, shown)


def measure_tuning(
    bench: Bench, name: str, model: BaseModel, crops: list[np.ndarray], mask: np.ndarray, shown: list[np.ndarray]
) -> None:
    batch = bench.arguments.batch
    params = SimpleNamespace(
        **{"batch_size": batch, "micro_batch": batch, "layers": "attention", "rank": 16, "alpha": 16, "dropout": 0.0},
        **{"lr_unet": 1e-4, "lr_text": 1e-5, "weight_decay": 0.01, "warmup": 1, "steps": 100, "seed": 0},
        **{"prompt": PROMPT, "prompt_dropout": 0.1, "checkpoint_every": 100},
    )
    masks, holes = [mask] * batch, [np.zeros_like(mask)] * batch
    started = time.monotonic()
    pairs = encode_crops(model, crops, masks, holes)
    synchronize()
    bench.write(family=name, what="encode a pair", seconds=round((time.monotonic() - started) / batch, 4))
    with LoraTrainer(model, pairs, params) as trainer:  # type: ignore[arg-type]
        keep_little(trainer, model)
        bench.measure(name, "tune", trainer.train_step, batch=batch, references=0)
        plain = PlainStep(model, crops, mask, model.part(model.denoiser))
        bench.measure(name, "tune, plain", plain.take, batch=batch, references=0)
    if shown:
        pairs = encode_crops(model, crops, masks, holes, references=shown)
        count = min(len(shown), model.max_references)
        object.__setattr__(pairs, "reference_dropout", 0.0)
        with LoraTrainer(model, pairs, params) as trainer:  # type: ignore[arg-type]
            keep_little(trainer, model)
            bench.measure(name, "tune", trainer.train_step, batch=batch, references=count)
    if model.activation_gigabytes:
        with LoraTrainer(model, pairs, params) as trainer:  # type: ignore[arg-type]
            what = "tune, activations kept"
            row = {"batch": batch, "references": min(len(shown), model.max_references)}
            if trainer.checkpoints_gradients:
                bench.write(family=name, what=what, skipped="no room, or never kept", **row)
            else:
                bench.measure(name, what, trainer.train_step, **row)


def keep_little(trainer: LoraTrainer, model: BaseModel) -> None:
    """Tune as where memory is short."""
    if model.activation_gigabytes and not trainer.checkpoints_gradients:
        trainer.checkpoint_gradients()


def measure_sampling(
    bench: Bench,
    name: str,
    case: Case,
    model: BaseModel,
    image: np.ndarray,
    mask: np.ndarray,
    shown: list[np.ndarray],
) -> None:
    for count, references in ((1, []), (4, []), *([(1, shown)] if shown else [])):
        if time.monotonic() - bench.started > bench.arguments.seconds:
            bench.write(family=name, what="sample", skipped="no time is left")
            return
        with bench.guard(name, "sample"):
            params = SimpleNamespace(
                scheduler="euler",
                steps=bench.arguments.steps + 1,
                guidance=case.guidance,
                seed=0,
                batch_size=count,
                reject=0.0,
            )
            reset_peak()
            times: list[float] = []

            def on_step(_: int, times: list[float] = times) -> None:
                synchronize()
                times.append(time.perf_counter())

            with torch.no_grad():
                sample_candidates(
                    model,
                    image,
                    mask,
                    count,
                    params,  # type: ignore[arg-type]
                    PROMPT,
                    on_step,
                    references=references,
                )
            seconds = statistics.median(np.diff(times).tolist())
            row = {"batch": count, "references": len(references), "guidance": case.guidance}
            bench.write(family=name, what="sample", seconds=round(seconds, 4), gigabytes=read_peak(), **row)


class PlainStep:
    """A tuning step as diffusers' example scripts take it, on a denoiser that has LoRA layers."""

    def __init__(self, model: BaseModel, crops: list[np.ndarray], mask: np.ndarray, denoiser: Any) -> None:
        self.model, self.denoiser = model, denoiser
        self.images = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(DEVICE).float() / 127.5 - 1
        self.mask = torch.from_numpy(mask).to(DEVICE).float()[None, None].expand(len(crops), -1, -1, -1)
        self.weights = [weight for weight in denoiser.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=1e-4)
        with torch.no_grad():
            self.prompt = {
                key: value.repeat_interleave(len(crops), 0) for key, value in model.embed([PROMPT]).items()
            }

    def take(self, step: int) -> None:
        model = self.model
        predict = {"sdxl": self.predict_sdxl, "sd": self.predict_sd, "fill": self.predict_fill}
        kinds = {StableDiffusionXL: "sdxl", StableDiffusion: "sd", FluxFill: "fill"}
        with torch.no_grad(), model.accelerator.autocast():
            latents = self.encode(self.images)
            masked = self.encode(self.images * (1 - self.mask))
        noise = torch.randn_like(latents)
        is_flow = isinstance(model, FluxFill | Flux2Klein)
        times = (
            torch.rand(len(latents), device=DEVICE) if is_flow else torch.randint(1000, (len(latents),)).to(DEVICE)
        )
        if is_flow:
            sigmas = times.view(-1, 1, 1, 1)
            noisy, wanted = (1 - sigmas) * latents + sigmas * noise, noise - latents
        else:
            noisy, wanted = model.process.noised(latents, noise, times), noise
        with model.accelerator.autocast():
            output = predict.get(kinds.get(type(model), ""), self.predict_klein)(noisy, masked, times)
        loss = torch.nn.functional.mse_loss(output.float(), wanted.float())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        mean, std = self.model.encode_pixels(images)
        return (mean + std * torch.randn_like(std)).float()

    def predict_sd(self, noisy: torch.Tensor, masked: torch.Tensor, times: torch.Tensor) -> Any:
        mask = torch.nn.functional.interpolate(self.mask, size=noisy.shape[-2:])
        return self.denoiser(torch.cat([noisy, mask, masked], 1), times, self.prompt["prompt"]).sample

    def predict_sdxl(self, noisy: torch.Tensor, masked: torch.Tensor, times: torch.Tensor) -> Any:
        side = self.mask.shape[-1]
        mask = torch.nn.functional.interpolate(self.mask, size=noisy.shape[-2:])
        sizes = torch.tensor([[side, side, 0, 0, side, side]], device=DEVICE).repeat(len(noisy), 1)
        added = {"text_embeds": self.prompt["pooled"], "time_ids": sizes}
        channels = torch.cat([noisy, mask, masked], 1)
        return self.denoiser(channels, times, self.prompt["prompt"], added_cond_kwargs=added).sample

    def predict_fill(self, noisy: torch.Tensor, masked: torch.Tensor, times: torch.Tensor) -> Any:
        pipeline = diffusers.FluxFillPipeline
        count, _, height, width = noisy.shape
        factor = self.model.vae_scale_factor
        mask = self.mask[:, 0].view(count, height, factor, width, factor).permute(0, 2, 4, 1, 3)
        mask = mask.reshape(count, factor * factor, height, width)
        packed = [
            pipeline._pack_latents(values, count, values.shape[1], height, width) for values in (noisy, masked, mask)
        ]
        positions = pipeline._prepare_latent_image_ids(count, height // 2, width // 2, DEVICE, torch.float32)
        output = self.denoiser(
            hidden_states=torch.cat(packed, 2),
            timestep=times,
            guidance=torch.full((count,), 30.0, device=DEVICE),
            pooled_projections=self.prompt["pooled"],
            encoder_hidden_states=self.prompt["prompt"],
            txt_ids=torch.zeros(self.prompt["prompt"].shape[1], 3, device=DEVICE),
            img_ids=positions,
            return_dict=False,
        )[0]
        return pipeline._unpack_latents(output, height * factor, width * factor, factor)

    def predict_klein(self, noisy: torch.Tensor, masked: torch.Tensor, times: torch.Tensor) -> Any:
        pipeline = diffusers.Flux2KleinPipeline
        count = len(noisy)
        positions = pipeline._prepare_latent_ids(noisy)
        context = pipeline._prepare_image_ids([masked[:1]]).expand(count, -1, -1)
        tokens = torch.cat([pipeline._pack_latents(noisy), pipeline._pack_latents(masked)], 1)
        output = self.denoiser(
            hidden_states=tokens,
            timestep=times,
            guidance=None,
            encoder_hidden_states=self.prompt["prompt"],
            txt_ids=pipeline._prepare_text_ids(self.prompt["prompt"]).to(DEVICE),
            img_ids=torch.cat([positions, context], 1).to(DEVICE),
            return_dict=False,
        )[0]
        return output[:, : positions.shape[1]].transpose(1, 2).reshape(noisy.shape)


def make_model(case: Case, accelerator: Accelerator) -> BaseModel:
    """Networks with random weights, built on the device, and random embeddings of the prompts."""

    def make(part: str, build: Callable[[], Any]) -> Any:
        torch.set_default_dtype(case.model.dtype(part, accelerator))
        try:
            with torch.device(DEVICE):
                network = build()
        finally:
            torch.set_default_dtype(torch.float32)
        return network.requires_grad_(False).eval().to(DEVICE, memory_format=memory_format(DEVICE))

    denoiser = case.model.denoiser
    builders = {denoiser: case.denoiser, "vae": case.vae}
    if case.text_encoder is not None:
        builders["text_encoder"] = case.text_encoder
    model = case.model(
        name="random",
        digest="",
        lora_layers="attention",
        accepts_composite=False,
        accelerator=accelerator,
        makers={part: partial(make, part, build) for part, build in builders.items()},
        configs={"scheduler": case.scheduler, "model_index": {}},
    )
    if case.text_encoder is not None:
        tokens = torch.randint(0, 50, (1, 77))
        model.replace_part("tokenizer", RandomTokenizer(tokens))
    for prompt in ("", PROMPT):
        model.embeddings[prompt] = {name: torch.randn(shape, device=DEVICE) for name, shape in case.prompt.items()}
    return model


def quantize_denoiser(model: BaseModel, family: str) -> None:
    """Write the denoiser, and read it with weights of 4 bits."""
    part = model.denoiser
    dtype = model.dtype(part, model.accelerator)
    with TemporaryDirectory() as folder:
        model.part(part).save_pretrained(Path(folder) / part)
        model.replace_part(part, None)
        reset_peak()
        location = ModelLocation(Path(folder), ModelSpec(family, "attention", license=""))
        model.replace_part(part, load_part(location, part, model.accelerator, dtype, "nf4"))


class RandomTokenizer:
    """Stands for CLIP's: the same tokens for each prompt."""

    model_max_length = 77

    def __init__(self, tokens: torch.Tensor) -> None:
        self._tokens = tokens

    def __call__(self, prompts: list[str], **_: object) -> Any:
        from transformers import BatchEncoding

        return BatchEncoding({"input_ids": self._tokens.expand(len(prompts), -1)})


def measure_seconds(take_step: Callable[[int], object], step: int) -> float:
    synchronize()
    started = time.perf_counter()
    take_step(step)
    synchronize()
    return time.perf_counter() - started


def synchronize() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def reset_peak() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def read_peak() -> float | None:
    """Peak of the memory that PyTorch allocated on the GPU, 10^9 bytes; None on the CPU."""
    return round(torch.cuda.max_memory_allocated() / 1e9, 2) if DEVICE.type == "cuda" else None


def clip(**sizes: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**sizes, hidden_act="gelu"))


FULL = {
    "sd": Case(
        StableDiffusion,
        lambda: diffusers.UNet2DConditionModel(
            sample_size=64,
            in_channels=9,
            attention_head_dim=[5, 10, 20, 20],
            cross_attention_dim=1024,
            use_linear_projection=True,
        ),
        lambda: diffusers.AutoencoderKL(**FOUR_BLOCKS, latent_channels=4, sample_size=512),
        DIFFUSION,
        {},
        side=512,
        guidance=1.0,
        text_encoder=lambda: clip(
            vocab_size=49408, hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16
        ),
    ),
    "sdxl": Case(
        StableDiffusionXL,
        lambda: diffusers.UNet2DConditionModel(
            sample_size=128,
            in_channels=9,
            out_channels=4,
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=2,
            cross_attention_dim=2048,
            attention_head_dim=[5, 10, 20],
            transformer_layers_per_block=[1, 2, 10],
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        ),
        lambda: diffusers.AutoencoderKL(
            **FOUR_BLOCKS, latent_channels=4, sample_size=1024, scaling_factor=0.13025, force_upcast=True
        ),
        DIFFUSION,
        {"prompt": (77, 2048), "pooled": (1280,)},
        side=1024,
        guidance=5.0,
    ),
    "flux_fill": Case(
        FluxFill,
        lambda: diffusers.FluxTransformer2DModel(in_channels=384, out_channels=64, guidance_embeds=True),
        lambda: diffusers.AutoencoderKL(
            **FOUR_BLOCKS,
            latent_channels=16,
            sample_size=1024,
            shift_factor=0.1159,
            scaling_factor=0.3611,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        FLOW,
        {"prompt": (512, 4096), "pooled": (768,)},
        side=1024,
        guidance=30.0,
    ),
    "flux2_klein": Case(
        Flux2Klein,
        lambda: diffusers.Flux2Transformer2DModel(
            num_layers=5,
            num_single_layers=20,
            num_attention_heads=24,
            joint_attention_dim=7680,
            guidance_embeds=False,
        ),
        diffusers.AutoencoderKLFlux2,
        FLOW,
        {"prompt": (512, 7680)},
        side=1024,
        guidance=4.0,
        references=3,
    ),
}
TINY = {
    "sd": Case(
        StableDiffusion,
        lambda: diffusers.UNet2DConditionModel(
            sample_size=16,
            in_channels=9,
            out_channels=4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
        ),
        lambda: diffusers.AutoencoderKL(**TWO_BLOCKS, latent_channels=4, sample_size=32),
        DIFFUSION,
        {},
        side=32,
        guidance=1.0,
        text_encoder=lambda: clip(
            vocab_size=99, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4
        ),
    ),
    "sdxl": Case(
        StableDiffusionXL,
        lambda: diffusers.UNet2DConditionModel(
            sample_size=16,
            in_channels=9,
            out_channels=4,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=80,
            cross_attention_dim=64,
        ),
        lambda: diffusers.AutoencoderKL(**TWO_BLOCKS, latent_channels=4, sample_size=32),
        DIFFUSION,
        {"prompt": (77, 64), "pooled": (32,)},
        side=32,
        guidance=5.0,
    ),
    "flux_fill": Case(
        FluxFill,
        lambda: diffusers.FluxTransformer2DModel(
            in_channels=48,
            out_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            axes_dims_rope=[4, 4, 8],
            guidance_embeds=True,
        ),
        lambda: diffusers.AutoencoderKL(
            **TWO_BLOCKS, latent_channels=4, sample_size=32, shift_factor=0.1, scaling_factor=0.4
        ),
        FLOW,
        {"prompt": (16, 32), "pooled": (32,)},
        side=32,
        guidance=30.0,
    ),
    "flux2_klein": Case(
        Flux2Klein,
        lambda: diffusers.Flux2Transformer2DModel(
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        lambda: diffusers.AutoencoderKLFlux2(**TWO_BLOCKS, latent_channels=2, sample_size=32),
        FLOW,
        {"prompt": (16, 48)},
        side=32,
        guidance=4.0,
        references=3,
    ),
}


if __name__ == "__main__":
    main()
