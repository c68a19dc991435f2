"""FIXME DOCSTRING."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from realfill.core.params import Params
from realfill.core.validation import Section, read_yaml, validated

Length = Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(%|px)$")]


class Box(Section):
    """A rectangle to fill, in pixels of the upright photo; right and bottom are exclusive."""

    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(gt=0)
    bottom: int = Field(gt=0)

    @model_validator(mode="after")
    def _has_an_area(self) -> Self:
        if self.right <= self.left or self.bottom <= self.top:
            raise ValueError("right must exceed left, and bottom must exceed top")
        return self


class Outpaint(Section):
    """How far the photo is extended at each side: '30%' of its own width or height, or '200px'."""

    left: Length = "0px"
    top: Length = "0px"
    right: Length = "0px"
    bottom: Length = "0px"


class AlbumSettings(Section):
    """What `album.yaml` may say: the hole, where no mask file draws it, and overrides of any parameter.

    Attributes:
        boxes: Rectangles to fill.
        polygons: Polygons to fill, each 3 or more (x, y) pixels of the upright photo.
        outpaint: Extension of the photo at its sides.
        aspect: Extension to this width:height, e.g. "16:9", centred.
        overrides: Sections of `params.yaml` for this album alone.
    """

    boxes: tuple[Box, ...] = ()
    polygons: tuple[Annotated[tuple[tuple[float, float], ...], Field(min_length=3)], ...] = ()
    outpaint: Outpaint | None = None
    aspect: Annotated[str, Field(pattern=r"^\d{1,4}(\.\d+)?\s*:\s*\d{1,4}(\.\d+)?$")] | None = None
    overrides: dict[str, Any] = Field(default_factory=dict)


def read_settings(path: Path) -> AlbumSettings:
    """Read an `album.yaml`; an absent one says nothing.

    Raises:
        ParamsError: A key is unknown or a value is not allowed.
    """
    if not path.exists():
        return AlbumSettings()
    values = {key: value for key, value in read_yaml(path).items() if value is not None}
    sections = {field.alias or name for name, field in Params.model_fields.items()}
    overrides = {key: values.pop(key) for key in sections & values.keys()}
    validated(Params, overrides, path)
    return validated(AlbumSettings, values | {"overrides": overrides}, path)
