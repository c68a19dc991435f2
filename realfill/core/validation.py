"""YAML files and their validation by pydantic models, with errors that name the key and the allowed values."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from realfill.core.errors import ParamsError


class Section(BaseModel):
    """Base of all parameter models: immutable, and keys that are not fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with string keys; an empty file gives an empty mapping.

    Raises:
        ParamsError: The file cannot be read, is not YAML, or holds something else.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problem = f"The file cannot be read as YAML ({str(error).splitlines()[0][:200]})."
        raise ParamsError(problem, "Correct it, or restore it from the repository.", path) from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ParamsError("The file must hold 'section:' keys.", "See params.yaml in the repository.", path)
    return values


def validate_section(model: type[Model], values: Mapping[str, Any], path: Path | None) -> Model:
    """Build a model from plain values; top-level keys without a value (None) count as absent.

    Args:
        model: Class of the model.
        values: Its fields by name or alias.
        path: The file that the values come from, to be named in errors.

    Raises:
        ParamsError: A key is unknown or a value is not allowed. Describes the first such error.
    """
    values = {key: value for key, value in values.items() if value is not None}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(*_describe(model, error), path) from error


def _describe(model: type[BaseModel], error: ValidationError) -> tuple[str, str]:
    """Problem and remedy of the first error that pydantic reports."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        parent = _model_at(model, first["loc"][:-1])
        known = ", ".join(field.alias or name for name, field in parent.model_fields.items())
        return f"There is no parameter '{key}'.", f"Known here: {known}."
    return f"The parameter '{key}' is {reprlib.repr(first['input'])}.", f"{first['msg']}."


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """The model of the section at a location inside another model."""
    for part in location:
        for name, field in model.model_fields.items():
            annotation = field.annotation
            if part in (name, field.alias) and isinstance(annotation, type) and issubclass(annotation, BaseModel):
                model = annotation
    return model
