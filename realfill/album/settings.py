"""The optional `album.yaml` of an album: a description of the hole, and overrides of parameters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from realfill.core.errors import ParamsError
from realfill.core.parameter_sources import merge_values
from realfill.core.params import AlbumParams
from realfill.core.validation import Section, known_keys, read_yaml, refuse_lookalikes, validate_section

_MAX_SIDE = 10_000_000  # pixels: more than any photo has
_MAX_BYTES = 1_000_000  # of album.yaml; parsing takes some seconds for each MB

Length = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(%|px)$", examples=["30%"])]
"""A length such as "30%" or "200px"."""

TUNING_KEYS = ("profile", "base", "finetune")
"""The keys of parameters that all targets of an album share."""

AspectRatio = Annotated[str, Field(pattern=r"^\d{1,4}(\.\d+)?\s*:\s*\d{1,4}(\.\d+)?$")]
"""A ratio width:height such as "16:9"."""

Polygon = Annotated[tuple[tuple[float, float], ...], Field(min_length=3)]
"""Vertices (x, y), 3 or more, in pixels of the upright photo."""


class Box(Section):
    """A rectangle to fill, in pixels of the upright photo; right and bottom are exclusive."""

    left: int = Field(ge=0, le=_MAX_SIDE)
    top: int = Field(ge=0, le=_MAX_SIDE)
    right: int = Field(gt=0, le=_MAX_SIDE)
    bottom: int = Field(gt=0, le=_MAX_SIDE)

    @model_validator(mode="after")
    def _check_area(self) -> Self:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("right must exceed left, and bottom must exceed top")
        return self


class Outpaint(Section):
    """Extension of the photo at each side, in percent of its own width or height, or in pixels."""

    left: Length = "0px"
    top: Length = "0px"
    right: Length = "0px"
    bottom: Length = "0px"


class HoleDescription(Section):
    """The keys of `album.yaml` that describe the hole.

    Attributes:
        boxes: Rectangles to fill.
        polygons: Polygons to fill.
        outpaint: Extension of the photo at its sides, or None.
        aspect: Aspect ratio to which the photo is extended, the photo in the center, or None.
        transparency: Whether transparent pixels of the target are filled, or kept as they are.
    """

    boxes: tuple[Box, ...] = Field((), examples=["[{left: 120, top: 80, right: 400, bottom: 310}]"])
    polygons: tuple[Polygon, ...] = Field((), examples=["[[[10, 10], [200, 40], [90, 300]]]"])
    outpaint: Outpaint | None = None
    aspect: AspectRatio | None = Field(None, examples=["16:9"])
    transparency: Literal["fill", "keep"] = "fill"


class AlbumSettings(HoleDescription):
    """Content of `album.yaml`.

    Attributes:
        overrides: Sections of `params.yaml` with values for this album alone, as they are written in the file.
    """

    overrides: dict[str, Any] = Field(default_factory=dict)


def read_settings(path: Path) -> AlbumSettings:
    """Read an `album.yaml`. A missing file gives the defaults; keys without a value count as absent.

    Raises:
        ParamsError: A key is unknown or a value is not allowed, it is no regular file inside the album, or there is a
            file that is called nearly so and would be passed over.
    """
    refuse_lookalikes(path)
    if not os.path.lexists(path):
        return AlbumSettings()
    _check_file(path)
    values = read_yaml(path)
    known = [*known_keys(HoleDescription), *known_keys(AlbumParams)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ParamsError(f"There is no setting {unknown[0][:50]!r}.", f"Known here: {', '.join(known)}.", path)
    values = {key: value for key, value in values.items() if value is not None}
    overrides = {key: values.pop(key) for key in known_keys(AlbumParams) if key in values}
    validate_section(AlbumParams, overrides, path)
    return validate_section(AlbumSettings, values | {"overrides": overrides}, path)


def read_target_settings(root: Path, around: Path) -> AlbumSettings:
    """Read the settings of a target among several: its own, over the parameters in the `album.yaml` of the album.

    Args:
        root: The target's folder.
        around: The album folder.

    Raises:
        ParamsError: As for `read_settings`; or the album's file describes a hole, or the target's sets what all
            targets share.
    """
    shared, own = read_settings(around / "album.yaml"), read_settings(root / "album.yaml")
    nothing = HoleDescription()
    described = [key for key in known_keys(HoleDescription) if getattr(shared, key) != getattr(nothing, key)]
    if described:
        problem = f"The album has several targets, each with a hole of its own: {described[0]} cannot be set here."
        raise ParamsError(problem, "Move it into targets/NAME/album.yaml.", around / "album.yaml")
    common = [key for key in TUNING_KEYS if key in own.overrides]
    if common:
        problem = f"The targets of an album share one tuning: {common[0]} cannot be set for one of them."
        raise ParamsError(problem, "Move it into the album.yaml beside targets/.", root / "album.yaml")
    return own.model_copy(update={"overrides": merge_values(shared.overrides, own.overrides)})


def _check_file(path: Path) -> None:
    """Check what is opened: the album is untrusted, and a device or a pipe would be read for ever."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent)) or not path.is_file():
        raise ParamsError("This is not a regular file inside the album.", "Replace it by a text file.", path)
    if path.stat().st_size > _MAX_BYTES:
        raise ParamsError(f"The file is larger than {_MAX_BYTES / 1e6:.0f} MB.", "Write a few settings only.", path)
