"""Parameters of the pipeline: one section for each stage, merged from several sources.

Later sources win: the defaults in this module, `params.yaml`, a profile, the album's `album.yaml`, the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, Field, model_validator
from pydantic_core import PydanticCustomError

from realfill.core.parameter_sources import merge_values, parse_assignments, read_profile
from realfill.core.validation import Section, read_yaml, validate_section

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]  # pixels

BASE_MODELS = (
    "pocket",
    "sd2-inpainting",
    "sdxl-inpainting",
    "flux2-klein-base-4b",
    "flux2-klein-4b",
    "flux1-fill-dev",
)
"""The names of base models; `diffusion.model_registry` says what they are."""


def _check_model_name(name: str) -> str:
    """See that a base model is a registered one or has a path, so that a typo is told before anything is computed."""
    if name not in BASE_MODELS and not Path(name).is_absolute():
        known = f"Choose one of {', '.join(BASE_MODELS)}"
        place = "or the absolute path of a diffusers folder or a .safetensors checkpoint"
        raise PydanticCustomError("base_model", f"{known}, {place}")
    return name


class BaseParams(Section):
    """The base model that is tuned and sampled, and the device it runs on."""

    model: Annotated[str, AfterValidator(_check_model_name)] = Field(
        "pocket",
        description="Name of a registered base model, or absolute path of a diffusers folder or a checkpoint.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA if available.")
    precision: Literal["auto", "no", "bf16", "nf4"] = Field(
        "auto", description="auto: bf16 on CUDA, fp32 on CPU; nf4: the denoiser's weights in 4 bits."
    )


class ValidateParams(Section):
    """Which photos are accepted."""

    max_megapixels: float = Field(150.0, gt=0, le=1000, description="Larger photos are refused, in 10^6 pixels.")
    min_side: int = Field(64, ge=16, le=4096, description="Photos with a shorter side are refused, in pixels.")
    max_references: int = Field(20, ge=1, le=100, description="References beyond this number are refused.")
    timeout: float = Field(60.0, gt=0, le=600, description="Time limit for decoding one photo, in seconds.")


class MasksParams(Section):
    """The mask of the hole, and the square window that the model sees."""

    grow: int = Field(0, ge=0, le=200, description="Dilation of the hole, in pixels.")
    context: float = Field(1.5, ge=1.0, le=4.0, description="Side of the window / longer side of the hole.")
    max_hole: float = Field(
        0.95, gt=0, le=0.99, description="Holes that cover a larger share of the photo are refused."
    )


class AlignParams(Section):
    """Warping the references into the hole by the geometry of the scene."""

    enabled: bool = Field(True, description="false: no reference is warped, the whole hole is generated.")
    references: int = Field(5, ge=1, le=20, description="References warped at most: the best matching ones.")


class FinetuneParams(Section):
    """LoRA tuning on the album (RealFill, section 4.1)."""

    when: Literal["auto", "always"] = Field(
        "auto",
        description="auto: the more of the hole align is certain of, the fewer steps; none where tuning cannot pay.",
    )
    certain: float = Field(
        0.95, gt=0, le=1, description="Share of the hole that must be certain for auto not to tune."
    )
    steps: int = Field(250, ge=0, le=100_000, description="Optimizer steps; 0: the base model is not tuned.")
    batch_size: int = Field(2, ge=1, le=256, description="Samples per optimizer step, whatever the number of photos.")
    micro_batch: int = Field(16, ge=1, le=256, description="Samples per forward pass; halved when memory runs out.")
    bank: int = Field(64, ge=1, le=65_536, description="Pre-encoded (crop, mask) pairs that batches are drawn from.")
    rank: int = Field(32, ge=1, le=512, description="LoRA rank.")
    alpha: float = Field(32.0, gt=0, le=1024, description="LoRA alpha; updates are scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="LoRA dropout.")
    layers: Literal["auto", "attention", "all"] = Field(
        "auto", description="Layers with LoRA; all: also convolutions; auto: as the base model's entry says."
    )
    lr_unet: float = Field(1e-3, ge=0, le=1, description="Learning rate of the denoiser's LoRA.")
    lr_text: float = Field(
        4e-5, ge=0, le=1, description="Learning rate of the text encoder's LoRA, where it is tuned, too."
    )
    warmup: int = Field(10, ge=0, le=100_000, description="Steps of linear warm-up.")
    weight_decay: float = Field(0.01, ge=0, le=1, description="Weight decay of AdamW.")
    prompt: str = Field("a photo of sks", min_length=1, max_length=200, description="Prompt of the scene.")
    prompt_dropout: float = Field(0.1, ge=0, le=1, description="Share of samples tuned with an empty prompt.")
    composite: float = Field(
        0.0, ge=0, le=1, description="Share of the crops tuned with the other photos placed in the hole, not gray."
    )
    checkpoint_every: int = Field(50, ge=1, le=100_000, description="Steps between checkpoints.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of crops, masks, noise and initial weights.")


class SampleParams(Section):
    """Sampling the candidates."""

    candidates: int = Field(
        4, ge=1, le=1024, description="Candidates sampled from pure noise; none where tuning cannot pay."
    )
    guided: int = Field(
        2, ge=0, le=1024, description="Candidates sampled around the pixels that align is certain of."
    )
    strength: float = Field(
        0.125,
        gt=0,
        le=1,
        description="Share of the denoising steps that guided candidates run, as in image-to-image.",
    )
    steps: int = Field(24, ge=1, le=1000, description="Denoising steps.")
    scheduler: Literal["dpmsolver++", "unipc", "ddpm", "euler"] = Field(
        "dpmsolver++", description="Noise scheduler; FLUX always takes Euler's steps."
    )
    guidance: float = Field(1.0, ge=1.0, le=100.0, description="Guidance scale; 1 = none, as in the paper.")
    reject: float = Field(
        0.0, ge=0, lt=1, description="Share of the candidates that are given up after a quarter of their steps."
    )
    batch_size: int = Field(4, ge=1, le=256, description="Candidates per pass; halved when memory runs out.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seed; candidate k of a kind depends on (kind, seed, k) alone.")


class RankParams(Section):
    """Ranking candidates by correspondences with the references (RealFill, section 4.3)."""

    matcher: Literal["auto", "xfeat", "loftr", "sift"] = Field(
        "auto", description="auto: xfeat if its weights are installed, else sift."
    )
    pictured_matches: int = Field(80, ge=1, le=1000, description="Matches drawn in matches.png.")


class Region(Section):
    """A part of the hole that shows another candidate than the rest."""

    candidate: int = Field(ge=0, description="Number of the candidate.")
    polygon: tuple[tuple[Coordinate, Coordinate], ...] = Field(
        min_length=3, max_length=5000, description="Its outline: points x, y, pixels of the upright, extended photo."
    )


class BlendParams(Section):
    """Blending the chosen candidate into the photo."""

    candidate: Literal["best"] | Annotated[int, Field(ge=0)] = Field(
        "best", description="The best-ranked candidate, or the number of another one."
    )
    regions: tuple[Region, ...] = Field(
        (), max_length=100, description="Parts of the hole that show other candidates; later ones lie on top."
    )
    feather: float = Field(1.0, ge=0, le=20, description="Blend band around the hole, % of the window's side.")
    match_color: bool = Field(
        True,
        validation_alias=AliasChoices("match_color", "match_colour"),
        description="Match the color of the fill to the ring around the hole.",
    )
    detail: bool = Field(True, description="Add the photos' detail and grain to generated pixels.")
    generate: Literal["auto", "never"] = Field(
        "auto", description="never: only what references show for certain is filled; the rest stays as it was."
    )
    previews: int = Field(2, ge=0, le=100, description="Best other candidates blended ahead, for the review.")


class PrivacyParams(Section):
    """What is delivered of the target's metadata."""

    position: Literal["keep", "strip"] = Field(
        "keep", description="Where the photo was taken; strip also removes place names and maker notes."
    )
    identity: Literal["keep", "strip"] = Field(
        "keep", description="Serial numbers, the camera owner's name, unique identifiers, maker notes."
    )


class ExportParams(Section):
    """The delivered file."""

    format: Literal["same", "jpeg", "png", "tiff"] = Field("same", description="File format; same: the target's.")
    quality: int = Field(96, ge=95, le=100, description="JPEG, WebP and HEIC quality (4:4:4).")
    privacy: PrivacyParams = PrivacyParams()
    gps: Literal["keep", "strip"] = Field("keep", exclude=True, description="Older name of privacy.position.")

    @model_validator(mode="before")
    @classmethod
    def _read_older_name(cls, values: Any) -> Any:
        """Give `gps` and `privacy.position` the same value where one of them is written."""
        privacy = values.get("privacy", {}) if isinstance(values, dict) else None
        if not isinstance(privacy, dict):
            return values
        given = [source[key] for source, key in ((values, "gps"), (privacy, "position")) if key in source]
        if not all(value in ("keep", "strip") for value in given) or not given:
            return values  # which its field refuses
        if given[0] != given[-1]:
            raise ValueError("gps is the older name of privacy.position: write only one of them")
        return values | {"gps": given[0], "privacy": privacy | {"position": given[0]}}


class DeliveryParams(Section):
    """What `realfill deliver` writes. No stage reads it, and no album can change it."""

    names: str = Field(
        "{album}", min_length=1, max_length=200, description="Names, without suffix, of {album}, {target}, {number}."
    )
    credentials: Literal["none", "sign"] = Field("none", description="sign: with content credentials (C2PA).")
    certificate: str = Field(
        "", description='PEM file, the certificate first; "": the one of `realfill credentials init`.'
    )
    key: str = Field("", description='PEM file of its private key (PKCS#8); "": that of `realfill credentials init`.')
    time_stamp: str = Field("", description='Address of a time-stamp server (RFC 3161); "": none.')


class AlbumParams(Section):
    """What decides the result besides the photos and the description of the hole; an `album.yaml` may set it too."""

    profile: Literal["quick", "paper", "sdxl", "klein", "fill"] | None = Field(
        None, description="A named set of values that wins over params.yaml."
    )
    base: BaseParams = BaseParams()
    validate_: ValidateParams = Field(ValidateParams(), alias="validate")
    masks: MasksParams = MasksParams()
    align: AlignParams = AlignParams()
    finetune: FinetuneParams = FinetuneParams()
    sample: SampleParams = SampleParams()
    rank: RankParams = RankParams()
    blend: BlendParams = BlendParams()
    export: ExportParams = ExportParams()


class Params(AlbumParams):
    """All parameters."""

    delivery: DeliveryParams = DeliveryParams()

    def section(self, name: str) -> dict[str, Any]:
        """The values of one section as JSON types."""
        values: dict[str, Any] = self.model_dump(mode="json", by_alias=True)[name]
        return values

    def value(self, key: str) -> Any:
        """One value as a JSON type, by "section.name"."""
        section, _, name = key.partition(".")
        return self.section(section)[name]


def load_params(
    path: Path | None = None,
    *,
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
) -> Params:
    """Merge all sources of parameters and validate the result.

    Args:
        path: A `params.yaml`, or None for the defaults.
        profile: Name of a profile, or None for the one that the other sources name, if any.
        overrides: `AlbumSettings.overrides` of an album.
        assignments: "section.key=value" from the command line; values are YAML.

    Raises:
        ParamsError: A key is unknown or a value is not allowed; names the key and what is allowed.
    """
    in_file = {} if path is None else read_yaml(path)
    in_album = overrides or {}
    assigned = parse_assignments(assignments)
    profile = profile or assigned.get("profile") or in_album.get("profile") or in_file.get("profile")
    in_profile = {} if profile is None else read_profile(profile)
    merged = _normalize(in_file, path)
    for source in (in_profile, in_album, assigned):
        merged = merge_values(merged, _normalize(source))
    return validate_section(Params, merged | {"profile": profile}, path)


def _normalize(source: Mapping[str, Any], path: Path | None = None) -> dict[str, Any]:
    """Validate one source and return its values under the current names, so that sources merge key by key."""
    return validate_section(Params, source, path).model_dump(by_alias=True, exclude_unset=True)
