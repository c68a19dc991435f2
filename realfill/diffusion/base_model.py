"""The interface of all base models: what tuning and sampling use of an inpainting model, whatever its family.

Latents are spatial, [B, C, h, w], and in the scale that the denoiser takes. How a family packs them into tokens,
numbers positions and scales times stays inside its `predict`. Families are the modules of `families/`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from realfill.diffusion.condition import Condition, Embeddings, LoraTargets
from realfill.diffusion.devices import create_accelerator
from realfill.imaging.ops import UNKNOWN_LEVEL

if TYPE_CHECKING:
    from realfill.core.params import BaseParams
    from realfill.diffusion.noise_process import NoiseProcess


@dataclass(kw_only=True)
class BaseModel(ABC):
    """An inpainting model, frozen, in evaluation mode. Its parts are made when they are first used.

    Attributes:
        name: Name in the registry, or the path of its folder or file, as in the parameters.
        digest: SHA-256 over its files, hex.
        lora_layers: Which layers LoRA tunes: "attention", or "all".
        accepts_composite: Whether its masked image may show content inside the hole, which the model then adapts.
        accelerator: Device and precision.
        makers: Makes each part, on its device, by its name: "vae", "text_encoder", "tokenizer", the denoiser, ….
        configs: Contents of the configuration files, by their name: "scheduler", "model_index", ….
        embeddings: Prompts that were embedded; families whose text encoder is not tuned drop it after its use.
    """

    denoiser: ClassVar[str]
    """Name of the part that denoises, of its folder and of its keys in diffusers' LoRA files."""
    text_parts: ClassVar[tuple[str, ...]] = ("text_encoder", "tokenizer")
    tunes_text: ClassVar[bool] = False
    """Whether the text encoder gets LoRA layers, too."""
    max_references: ClassVar[int] = 0
    """How many photos of the scene it looks at while it denoises."""
    blends: ClassVar[bool] = False
    """Whether it has no mask channels, so that known latents are restored after each step."""
    activation_gigabytes: ClassVar[float]
    """Activations of a sample of 1024 x 1024 pixels that a tuning step can keep, 10^9 bytes; 0: kept without asking
    for room; infinite: never kept."""
    full_precision: ClassVar[tuple[str, ...]] = ()
    """Parts whose weights are float32 on any device; those of the others are bfloat16 on CUDA."""
    tuning_guidance: ClassVar[float] = 1.0
    """Guidance scale that a denoiser with an embedding of it is tuned with."""

    name: str
    digest: str
    lora_layers: Literal["attention", "all"]
    accepts_composite: bool
    accelerator: Any
    makers: Mapping[str, Callable[[], Any]]
    configs: Mapping[str, dict[str, Any]]

    def __post_init__(self) -> None:
        self._parts: dict[str, Any] = {}
        self.embeddings: dict[str, Embeddings] = {}
        self._tokens: dict[tuple[Any, ...], Any] = {}

    @classmethod
    def dtype(cls, part: str, accelerator: Any) -> torch.dtype:
        """Type of a part's frozen weights."""
        is_reduced = accelerator.mixed_precision == "bf16" and part not in cls.full_precision
        return torch.bfloat16 if is_reduced else torch.float32

    @property
    def device(self) -> torch.device:
        """Device that the model is on."""
        device: torch.device = self.accelerator.device
        return device

    def part(self, name: str) -> Any:
        """A part of the model, e.g. "vae"; made now if it is not in memory."""
        if name not in self._parts:
            self._parts[name] = self.makers[name]()
        return self._parts[name]

    def replace_part(self, name: str, part: Any) -> None:
        """Put another network in the place of a part."""
        self._parts[name] = part

    @property
    def tuned_parts(self) -> tuple[str, ...]:
        """Names of the parts that get LoRA layers."""
        return (self.denoiser, "text_encoder") if self.tunes_text else (self.denoiser,)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels of the image per latent, along a side."""
        return int(2 ** (len(self.part("vae").config.block_out_channels) - 1))

    @property
    @abstractmethod
    def resolution(self) -> int:
        """Side of the square images it was trained on, pixels."""

    @property
    @abstractmethod
    def process(self) -> NoiseProcess:
        """How noise is added, and what the denoiser predicts."""

    @property
    def guidance_kind(self) -> Literal["classifier-free", "embedded", "none"]:
        """How guidance acts: by a second prediction for the empty prompt, as an input of the denoiser, or not."""
        return "classifier-free"

    @abstractmethod
    def lora_targets(self, layers: Literal["attention", "all"]) -> LoraTargets:
        """The denoiser's layers that LoRA tunes."""

    @abstractmethod
    def encode_prompts(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts with the text encoders; differentiable in the LoRA weights that they have."""

    @abstractmethod
    def encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents [B, C, h, w] of images [B, 3, H, W], -1 to 1."""

    @abstractmethod
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W], -1 to 1, of latents [B, C, h, w]."""

    @abstractmethod
    def denoise(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float
    ) -> Tensor:
        """Run the denoiser; see `predict`."""

    def tokens(self, height: int, width: int) -> int:
        """Number of tokens that latents of this size are for the denoiser."""
        return height * width

    def predict(
        self, noisy: Tensor, times: Tensor, condition: Condition, embeddings: Embeddings, guidance: float = 1.0
    ) -> Tensor:
        """What the denoiser makes of noisy latents.

        Args:
            noisy: [B, C, h, w] float32, scaled as the scheduler says.
            times: Scalar or [B], as the process and the scheduler give them.
            condition: Of B samples.
            embeddings: Of B prompts.
            guidance: Of denoisers that have an embedding of it.

        Returns:
            [B, C, h, w] float32, what `process.wanted` is in tuning.
        """
        with self.accelerator.autocast():
            output = self.denoise(noisy, times, condition, embeddings, guidance)
        return output.float()

    def embed(self, prompts: Sequence[str]) -> Embeddings:
        """Embed prompts: at each call where the text encoder is tuned, else once, after which it is dropped."""
        with self.accelerator.autocast():
            if self.tunes_text:
                return self.encode_prompts(prompts)
            missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self.embeddings]
            if missing:
                with torch.no_grad():
                    encoded = self.encode_prompts(missing)
                for index, prompt in enumerate(missing):
                    self.embeddings[prompt] = {name: value[index] for name, value in encoded.items()}
                self._drop(self.text_parts)
        embedded = [self.embeddings[prompt] for prompt in prompts]
        return {name: torch.stack([each[name] for each in embedded]).to(self.device) for name in embedded[0]}

    def tokenize(self, tokenizer: str, texts: Sequence[str], length: int | None = None) -> Any:
        """Tokens of texts, padded or cut to a length, by default the most that the tokenizer's model takes.

        They stay on the device, since a tuning step wants the same ones each time.
        """
        key = (tokenizer, *texts, length)
        if key not in self._tokens:
            part = self.part(tokenizer)
            most = length or part.model_max_length
            tokens = part(list(texts), padding="max_length", max_length=most, truncation=True, return_tensors="pt")
            self._tokens[key] = tokens.to(self.device)
        return self._tokens[key]

    def _drop(self, names: Sequence[str]) -> None:
        self._tokens.clear()
        for name in names:
            self._parts.pop(name, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.no_grad()
    def encode(self, images: np.ndarray) -> tuple[Tensor, Tensor]:
        """Encode images to latents.

        Args:
            images: [B, H, W, 3] uint8 sRGB.

        Returns:
            Mean and standard deviation of the posterior, each [B, C, H/f, W/f] float32 on the CPU, in the scale that
            the denoiser takes; f is `vae_scale_factor`.
        """
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).to(self.device)  # [B, 3, H, W] uint8
        with self.accelerator.autocast():
            mean, std = self.encode_pixels(batch.float() / 127.5 - 1)
        return mean.float().cpu(), std.float().cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Decode latents.

        Args:
            latents: [B, C, h, w] float32, in the scale that the denoiser takes.

        Returns:
            [B, f h, f w, 3] float32 sRGB, mostly in 0..1; f is `vae_scale_factor`. Not finite where the model failed.
        """
        with self.accelerator.autocast():
            images = self.decode_latents(latents.to(self.device))
        array: np.ndarray = ((images.float() + 1) / 2).permute(0, 2, 3, 1).cpu().numpy()
        return array

    def downsample_masks(self, masks: Tensor) -> Tensor:
        """[B, 1, R, R] float32 -> [B, 1, R/f, R/f]: the largest value among the pixels of a latent's patch."""
        return torch.nn.functional.max_pool2d(masks, self.vae_scale_factor)

    @contextmanager
    def use_adapter(self, folder: Path | None) -> Iterator[None]:
        """Add a LoRA adapter inside the block.

        Args:
            folder: The adapter in PEFT's format, with a folder for each tuned part; None to use the model as it is.
        """
        if folder is None:
            yield
            return
        from peft import PeftModel

        base = {name: self.part(name) for name in self.tuned_parts}
        try:
            for name, part in base.items():
                self.replace_part(name, PeftModel.from_pretrained(part, folder / name).eval())
            yield
        finally:
            for name, part in base.items():
                if isinstance(self.part(name), PeftModel):
                    self.part(name).unload()
                self.replace_part(name, part)


def mask_image(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Make the masked image that the denoiser is conditioned on.

    Args:
        image: [..., H, W, 3] uint8 sRGB.
        mask: [..., H, W] bool, True = masked.

    Returns:
        [..., H, W, 3] uint8 sRGB, middle gray where it is masked.
    """
    return np.where(mask[..., None], np.uint8(UNKNOWN_LEVEL), image)


def load_base_model(params: BaseParams) -> BaseModel:
    """Load the base model that the parameters name, once per process.

    Raises:
        ModelError: It is not on this machine, is incomplete or of the wrong kind, or there is no such device.
    """
    return _load(params.model, params.device, params.precision)


@cache
def _load(name: str, device: str, precision: str) -> BaseModel:
    from realfill.diffusion.families.loading import load_model  # here, for it takes seconds to import

    return load_model(name, create_accelerator(device, precision), precision)
