"""The base models that can be named in the parameters, and the families that they belong to.

The model `pocket` comes with the package, in the folder `pocket/` beside this module. Its training code and its model
card are in `training/pocket/` of the source repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

INDEX = "model_index.json"
"""The file of a folder in diffusers' format that lists its parts with their classes; not all folders have it."""


@dataclass(frozen=True)
class FamilySpec:
    """The parts of the models of a family, each a folder of diffusers' format.

    Attributes:
        parts: Class of each part by its folder, in diffusers or, of texts, in transformers. The first one denoises.
        input_ratio: Least number of input channels of the denoiser for each output channel, by which models with
            inputs for the mask and the masked image are told from others.
        checkpoint_layer: Name of the denoiser's first layer in single-file checkpoints; "" where they are not read.
        checkpoint_channels: Input channels of that layer.
        checkpoint_mark: A tensor that single-file checkpoints of this family alone have.
        sampling_gigabytes: Memory that sampling one candidate takes beside the denoiser's weights, 10^9 bytes.
        tuning_gigabytes: Memory that tuning with one sample a pass takes beside them, 10^9 bytes.
    """

    parts: Mapping[str, str]
    input_ratio: float = 1.0
    checkpoint_layer: str = ""
    checkpoint_channels: int = 0
    checkpoint_mark: str = ""
    sampling_gigabytes: float = 0.0
    tuning_gigabytes: float = 0.0

    @property
    def denoiser(self) -> str:
        """Folder of the part that denoises."""
        return next(iter(self.parts))


@dataclass(frozen=True)
class ModelSpec:
    """A base model that can be named in the parameters.

    Attributes:
        family: Name in `FAMILIES`.
        lora_layers: Which layers LoRA tunes best: "attention", or "all".
        license: SPDX identifier or name of the license of the weights.
        repository: Repository on the Hugging Face hub; None for a model that comes with the package.
        revision: Commit of the repository.
        gigabytes: Size of the download, 10^9 bytes.
        variant: Which of several weights in the repository are used: "" or "fp16".
        is_gated: Whether the license has to be accepted on the model's page before a download.
        accepts_composite: Whether it was trained with content placed in the hole of the masked image.
        denoiser_gigabytes: Size of the denoiser's weights on the GPU, 10^9 bytes.
        text_gigabytes: Size of the text encoders' weights on the GPU, 10^9 bytes.
        scale: Side of its pictures / side of those by which the family's memory was measured.
    """

    family: str
    lora_layers: Literal["attention", "all"]
    license: str
    repository: str | None = None
    revision: str | None = None
    gigabytes: float = 0.0
    variant: str = ""
    is_gated: bool = False
    accepts_composite: bool = False
    denoiser_gigabytes: float = 0.0
    text_gigabytes: float = 0.0
    scale: float = 1.0


FAMILIES = {
    "sd": FamilySpec(
        {
            "unet": "UNet2DConditionModel",
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "tokenizer": "CLIPTokenizer",
            "scheduler": "",
        },
        input_ratio=2.25,
        sampling_gigabytes=2.6,
        tuning_gigabytes=5.3,
    ),
    "sdxl": FamilySpec(
        {
            "unet": "UNet2DConditionModel",
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": "CLIPTextModelWithProjection",
            "tokenizer": "CLIPTokenizer",
            "tokenizer_2": "CLIPTokenizer",
            "scheduler": "",
        },
        input_ratio=2.25,
        checkpoint_layer="model.diffusion_model.input_blocks.0.0.weight",
        checkpoint_channels=9,
        checkpoint_mark="model.diffusion_model.label_emb.0.0.weight",
        sampling_gigabytes=4.4,
        tuning_gigabytes=1.7,
    ),
    "flux_fill": FamilySpec(
        {
            "transformer": "FluxTransformer2DModel",
            "vae": "AutoencoderKL",
            "text_encoder": "CLIPTextModel",
            "text_encoder_2": "T5EncoderModel",
            "tokenizer": "CLIPTokenizer",
            "tokenizer_2": "AutoTokenizer",
            "scheduler": "",
        },
        input_ratio=2.5,
        checkpoint_layer="img_in.weight",
        checkpoint_channels=384,
        checkpoint_mark="double_blocks.0.img_mod.lin.weight",
        sampling_gigabytes=4.1,
        tuning_gigabytes=3.1,
    ),
    "flux2_klein": FamilySpec(
        {
            "transformer": "Flux2Transformer2DModel",
            "vae": "AutoencoderKLFlux2",
            "text_encoder": "Qwen3ForCausalLM",
            "tokenizer": "AutoTokenizer",
            "scheduler": "",
        },
        checkpoint_layer="img_in.weight",
        checkpoint_channels=128,
        checkpoint_mark="double_stream_modulation_img.lin.weight",
        sampling_gigabytes=4.1,
        tuning_gigabytes=5.7,
    ),
}

MODELS = {
    # With a pilot of this model (one album at 256 px, tuned for 4 minutes): 11.1 dB untuned, 12.1 dB with LoRA on
    # attention, 14.1 dB with LoRA of rank 64 on attention and convolutions.
    "pocket": ModelSpec(
        "sd",
        lora_layers="all",
        license="Apache-2.0",
        accepts_composite=True,
        denoiser_gigabytes=0.02,
        scale=0.5,
    ),
    "sd2-inpainting": ModelSpec(
        "sd",
        lora_layers="attention",
        license="CreativeML Open RAIL++-M",
        repository="sd2-community/stable-diffusion-2-inpainting",
        revision="5f74973cbb64c8568780732c17f43eb269d63a0d",
        gigabytes=5.2,
        denoiser_gigabytes=1.8,
        text_gigabytes=1.4,
    ),
    "sdxl-inpainting": ModelSpec(
        "sdxl",
        lora_layers="attention",
        license="CreativeML Open RAIL++-M",
        repository="diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        revision="115134f363124c53c7d878647567d04daf26e41e",
        gigabytes=6.9,
        denoiser_gigabytes=5.1,
        text_gigabytes=1.6,
        variant="fp16",
    ),
    "flux2-klein-base-4b": ModelSpec(
        "flux2_klein",
        lora_layers="attention",
        license="Apache-2.0",
        repository="black-forest-labs/FLUX.2-klein-base-4B",
        revision="a3b4f4849157f664bdbc776fd7453c2783562f4d",
        gigabytes=16.0,
        denoiser_gigabytes=7.8,
        text_gigabytes=8.1,
    ),
    "flux2-klein-4b": ModelSpec(
        "flux2_klein",
        lora_layers="attention",
        license="Apache-2.0",
        repository="black-forest-labs/FLUX.2-klein-4B",
        revision="e7b7dc27f91deacad38e78976d1f2b499d76a294",
        gigabytes=16.0,
        denoiser_gigabytes=7.8,
        text_gigabytes=8.1,
    ),
    "flux1-fill-dev": ModelSpec(
        "flux_fill",
        lora_layers="attention",
        license="FLUX.1 [dev] Non-Commercial",
        repository="black-forest-labs/FLUX.1-Fill-dev",
        revision="358293da0354175698b67ec8299acf928313a78a",
        gigabytes=33.7,
        denoiser_gigabytes=23.8,
        text_gigabytes=9.8,
        is_gated=True,
    ),
}
