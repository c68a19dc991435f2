"""FIXME DOCSTRING."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from realfill.core.errors import ParamsError


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problem = f"This is not a YAML file that can be read ({str(error).splitlines()[0][:200]})."
        raise ParamsError(problem, "Mend it, or take it from the repository again.", path) from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ParamsError("The file must hold 'section:' keys.", "See params.yaml in the repository.", path)
    return values


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Mapping[str, Any], path: Path | None) -> Model:
    values = {key: value for key, value in values.items() if value is not None}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(*_explained(model, error), path) from error


def _explained(model: type[BaseModel], error: ValidationError) -> tuple[str, str]:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, first["loc"][:-1])
        known = ", ".join(field.alias or name for name, field in parent.model_fields.items())
        return f"There is no parameter '{key}'.", f"Known here: {known}."
    return f"The parameter '{key}' is {reprlib.repr(first['input'])}.", f"{first['msg']}."


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    for part in location:
        for name, field in model.model_fields.items():
            annotation = field.annotation
            if part in (name, field.alias) and isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return model
