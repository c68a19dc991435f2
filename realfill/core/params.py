"""Parameters: one section a stage, read from `params.yaml`, a profile, and the album's `album.yaml`.

Later sources win: defaults here < `params.yaml` < the profile < `album.yaml` < the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field

from realfill.core.errors import ParamsError
from realfill.core.validation import Section, read_yaml, validated

PROFILES = ("quick", "paper")


class BaseParams(Section):
    """Which base model is tuned and sampled, and on what."""

    model: str = Field(
        "pocket", description="Name in the registry of base models, or the absolute path of a diffusers folder."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is one.")
    precision: Literal["auto", "no", "bf16"] = Field("auto", description="auto: bf16 on CUDA, fp32 on CPU.")


class ValidateParams(Section):
    """What a photo must be like to be used."""

    max_megapixels: float = Field(150.0, gt=0, le=1000, description="Larger photos are refused, in 10^6 pixels.")
    min_side: int = Field(64, ge=16, le=4096, description="Photos with a shorter side are refused, in pixels.")
    max_references: int = Field(20, ge=1, le=100, description="References beyond this many are refused.")
    timeout: float = Field(60.0, gt=0, le=600, description="Seconds that decoding one photo may take.")


class MasksParams(Section):
    """From the described hole to the mask and the square window the model sees."""

    grow: int = Field(0, ge=0, le=200, description="Pixels by which the hole is dilated.")
    context: float = Field(1.5, ge=1.0, le=4.0, description="Side of the window / longer side of the hole.")
    max_hole: float = Field(0.95, gt=0, le=0.99, description="A hole that covers more of the photo is refused.")


class AlignParams(Section):
    """Placing the references' pixels in the hole by the geometry of the scene."""

    enabled: bool = Field(True, description="Whether references are placed; false leaves all to generation.")
    references: int = Field(5, ge=1, le=20, description="How many references are placed at most: the best matching.")


class FinetuneParams(Section):
    """LoRA tuning on the album (RealFill, section 4.1)."""

    when: Literal["auto", "always"] = Field(
        "auto", description="auto: fewer steps, down to none, the more the placed references are certain of."
    )
    certain: float = Field(
        0.95, gt=0, le=1, description="auto tunes nothing where this share of the hole is certain."
    )
    steps: int = Field(250, ge=0, le=100_000, description="Optimiser steps; 0 samples the base model as it is.")
    batch_size: int = Field(2, ge=1, le=256, description="Samples a step, whatever the number of photos.")
    micro_batch: int = Field(16, ge=1, le=256, description="Samples a pass; halved where memory does not suffice.")
    bank: int = Field(64, ge=1, le=65_536, description="Pre-encoded (crop, mask) pairs the batches are drawn from.")
    rank: int = Field(32, ge=1, le=512, description="LoRA rank.")
    alpha: float = Field(32.0, gt=0, le=1024, description="LoRA alpha; updates are scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="LoRA dropout.")
    layers: Literal["auto", "attention", "all"] = Field(
        "auto",
        description="Layers that get LoRA: attention, all = with convolutions; auto: as the model asks.",
    )
    lr_unet: float = Field(1e-3, ge=0, le=1, description="Learning rate of the UNet's LoRA.")
    lr_text: float = Field(4e-5, ge=0, le=1, description="Learning rate of the text encoder's LoRA.")
    warmup: int = Field(10, ge=0, le=100_000, description="Steps of linear warm-up.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's weight decay.")
    prompt: str = Field("a photo of sks", min_length=1, max_length=200, description="The scene's prompt.")
    prompt_dropout: float = Field(0.1, ge=0, le=1, description="Share of samples tuned with an empty prompt.")
    checkpoint_every: int = Field(50, ge=1, le=100_000, description="Steps between checkpoints.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of crops, masks, noise and initial weights.")


class SampleParams(Section):
    """Drawing the candidates."""

    candidates: int = Field(4, ge=1, le=1024, description="How many candidates are drawn from pure noise.")
    guided: int = Field(2, ge=0, le=1024, description="How many are drawn around placed references that are certain.")
    strength: float = Field(0.125, gt=0, le=1, description="Share of the noise that guided candidates start with.")
    steps: int = Field(24, ge=1, le=1000, description="Denoising steps.")
    scheduler: Literal["dpmsolver++", "unipc", "ddpm"] = Field("dpmsolver++", description="Sampler.")
    guidance: float = Field(1.0, ge=1.0, le=20.0, description="Classifier-free guidance; 1 = none, as in the paper.")
    batch_size: int = Field(4, ge=1, le=256, description="Candidates a pass; halved where memory does not suffice.")
    seed: int = Field(0, ge=0, lt=2**32, description="Candidate k of a kind is keyed by (seed, kind, k).")


class RankParams(Section):
    """Ranking candidates by correspondences with the references (RealFill, section 4.3)."""

    matcher: Literal["auto", "xfeat", "loftr", "sift"] = Field(
        "auto", description="auto: xfeat where its weights are installed, else sift."
    )
    pictured_matches: int = Field(80, ge=1, le=1000, description="Matches drawn in the picture that is kept.")


class BlendParams(Section):
    """Putting the best candidate into the photo."""

    candidate: Literal["best"] | Annotated[int, Field(ge=0)] = Field(
        "best", description="The best-ranked candidate, or the number of another one."
    )
    feather: float = Field(1.0, ge=0, le=20, description="Blend band around the hole, % of the window's side.")
    match_colour: bool = Field(True, description="Match the fill's colour to the ring around the hole.")
    detail: bool = Field(True, description="Give what was generated the photos' detail and grain.")


class ExportParams(Section):
    """The delivered file."""

    format: Literal["same", "jpeg", "png", "tiff"] = Field("same", description="File format; same as the target.")
    quality: int = Field(96, ge=95, le=100, description="JPEG, WebP and HEIC quality (4:4:4).")
    gps: Literal["keep", "strip"] = Field("keep", description="Whether the position stays in the metadata.")


class Params(Section):
    """Everything that decides the result, besides the photos."""

    profile: Literal["quick", "paper"] | None = Field(None, description="A named set of values.")
    base: BaseParams = BaseParams()
    validate_: ValidateParams = Field(ValidateParams(), alias="validate")
    masks: MasksParams = MasksParams()
    align: AlignParams = AlignParams()
    finetune: FinetuneParams = FinetuneParams()
    sample: SampleParams = SampleParams()
    rank: RankParams = RankParams()
    blend: BlendParams = BlendParams()
    export: ExportParams = ExportParams()

    def section(self, name: str) -> dict[str, Any]:
        """One section's values as plain JSON types."""
        values: dict[str, Any] = self.model_dump(mode="json", by_alias=True)[name]
        return values


def load_params(
    path: Path | None = None,
    *,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
) -> Params:
    """Merge all sources of parameters.

    Args:
        path: A `params.yaml`; the defaults if None.
        profile: Name of a profile; what the files say if None.
        overrides: Sections of an album's `album.yaml`.
        assignments: `section.key=value` from the command line, values in YAML.

    Raises:
        ParamsError: A key is unknown or a value is not allowed; names the key and what is allowed.
    """
    values = {} if path is None else read_yaml(path)
    overrides = overrides or {}
    given = _assigned(assignments)
    chosen = profile or given.get("profile") or overrides.get("profile") or values.get("profile")
    if chosen is not None:
        values = _merge(values, _profile(chosen))
    merged = _merge(_merge(values, overrides), given)
    return validated(Params, merged | {"profile": chosen}, path)


def _profile(name: str) -> dict[str, Any]:
    if name not in PROFILES:
        raise ParamsError(f"There is no profile {name!r}.", f"Choose one of: {', '.join(PROFILES)}.")
    text = (files("realfill.core") / "profiles" / f"{name}.yaml").read_text()
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def _assigned(assignments: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ParamsError(f"{assignment!r} is not an assignment.", "Write section.key=value.")
        nested: Any = yaml.safe_load(text)
        for key in reversed(name.split(".")):
            nested = {key: nested}
        values = _merge(values, nested)
    return values


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
