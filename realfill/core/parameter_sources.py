"""Sources of parameters: profiles, assignments of the command line, and how one is merged into another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from realfill.core.errors import ParamsError
from realfill.core.validation import parse_yaml

PROFILES = ("quick", "paper", "sdxl", "klein", "fill")


def read_profile(name: str) -> dict[str, Any]:
    """The values of a profile.

    Raises:
        ParamsError: There is no such profile.
    """
    if name not in PROFILES:
        raise ParamsError(f"There is no profile {name!r}.", f"Choose one of: {', '.join(PROFILES)}.")
    text = (files("realfill") / "profiles" / f"{name}.yaml").read_text()
    values: dict[str, Any] = parse_yaml(text)
    return values


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Nested mappings of "section.key=value" strings."""
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ParamsError(f"{assignment!r} is not an assignment.", "Write section.key=value.")
        nested: Any = _parse_value(assignment, text)
        for key in reversed(name.split(".")):
            nested = {key: nested}
        values = merge_values(values, nested)
    return values


def _parse_value(assignment: str, text: str) -> Any:
    try:
        return parse_yaml(text)
    except ParamsError as error:
        remedy = "Put a value with special characters in quotes: --set 'section.key=\"value\"'."
        raise ParamsError(f"The value in {assignment!r} cannot be read as YAML. {error.problem}", remedy) from error


def merge_values(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; `upper` wins."""
    merged = dict(lower)
    for key, value in upper.items():
        is_nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_values(merged[key], value) if is_nested else value
    return merged
