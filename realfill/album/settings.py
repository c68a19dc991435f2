"""The optional `album.yaml` of an album: a description of the hole, and overrides of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from realfill.core.params import Params
from realfill.core.validation import Section, read_yaml, validate_section

Length = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(%|px)$")]
"""A length such as "30%" or "200px"."""

AspectRatio = Annotated[str, Field(pattern=r"^\d{1,4}(\.\d+)?\s*:\s*\d{1,4}(\.\d+)?$")]
"""A ratio width:height such as "16:9"."""

Polygon = Annotated[tuple[tuple[float, float], ...], Field(min_length=3)]
"""Vertices (x, y), 3 or more, in pixels of the upright photo."""


class Box(Section):
    """A rectangle to fill, in pixels of the upright photo; right and bottom are exclusive."""

    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(gt=0)
    bottom: int = Field(gt=0)

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


class AlbumSettings(Section):
    """Content of `album.yaml`.

    Attributes:
        boxes: Rectangles to fill.
        polygons: Polygons to fill.
        outpaint: Extension of the photo at its sides, or None.
        aspect: Aspect ratio to which the photo is extended, the photo in the center, or None.
        overrides: Sections of `params.yaml` with values for this album alone, as they are written in the file.
    """

    boxes: tuple[Box, ...] = ()
    polygons: tuple[Polygon, ...] = ()
    outpaint: Outpaint | None = None
    aspect: AspectRatio | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)


def read_settings(path: Path) -> AlbumSettings:
    """Read an `album.yaml`. A missing file gives the defaults; keys without a value count as absent.

    Raises:
        ParamsError: A key is unknown or a value is not allowed.
    """
    if not path.exists():
        return AlbumSettings()
    values = {key: value for key, value in read_yaml(path).items() if value is not None}
    sections = {field.alias or name for name, field in Params.model_fields.items()}
    overrides = {key: values.pop(key) for key in sections & values.keys()}
    validate_section(Params, overrides, path)
    return validate_section(AlbumSettings, values | {"overrides": overrides}, path)
