"""YAML files and their validation by pydantic models, with errors that name the key and the allowed values."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from realfill.core.errors import ParamsError

_MAX_VALUES = 100_000  # in a file, aliases followed
_BACKUPS = ("~", ".bak", ".old", ".orig", ".rej", ".swp", ".tmp")  # of editors, patch and git


class Section(BaseModel):
    """Base of all parameter models: immutable, and keys that are not fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


class _StrictLoader(yaml.SafeLoader):
    """Reads YAML, but refuses a key that stands twice, and says where a bad value stands.

    Plain scalars are read by the core schema of YAML 1.2, as DVC reads them: 16:9 is text and no number to the base
    60, 010 is ten, 1e-3 is a number, and dates are text. Aliases that stand for themselves, or for a great many
    values, are refused.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._count_values(node, {})
        return node

    def _count_values(self, node: yaml.Node, counts: dict[int, int]) -> int:
        """Number of values that a node stands for, aliases followed."""
        if id(node) not in counts:
            counts[id(node)] = _MAX_VALUES  # until it is counted: what an alias to itself stands for
            parts = (
                [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            )
            inner = parts if isinstance(node, yaml.CollectionNode) else ()
            counts[id(node)] = 1 + sum(self._count_values(part, counts) for part in inner)
        if counts[id(node)] > _MAX_VALUES:
            raise ConstructorError(None, None, "the values are too many, aliases followed", node.start_mark)
        return counts[id(node)]

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            name = key.tag, key.value
            if name in lines:
                problem = f"the key {key.value[:50]!r} stands here for the second time, and in line {lines[name] + 1}"
                raise ConstructorError(None, None, problem, key.start_mark)
            lines[name] = key.start_mark.line
        return node

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        """An integer of the core schema: decimal, 0o octal or 0x hexadecimal."""
        text = node.value.lower()
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            problem = f"the value cannot be understood ({str(error)[:100]})"
            raise ConstructorError(None, None, problem, node.start_mark) from error


for _tag, _pattern, _first in (
    ("merge", r"<<", ["<"]),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_core_int)


def refuse_lookalikes(path: Path) -> None:
    """See that no settings are passed over because their file is called nearly as `path`, e.g. `.yml`.

    Beside the file itself, backups of editors are left alone.

    Raises:
        ParamsError: There is such a file.
    """
    if not path.parent.is_dir():
        return
    stem = re.escape(path.stem.removesuffix("s"))
    pattern = re.compile(stem + r"s?\.ya?ml(\.\w+|~)?", re.IGNORECASE)
    for other in sorted(path.parent.iterdir()):
        is_backup = other.name.startswith(path.name) and other.name.endswith(_BACKUPS) and path.exists()
        if other.name != path.name and pattern.fullmatch(other.name) and not is_backup:
            problem = f"This file is not read: settings are in {path.name}, under this very name."
            raise ParamsError(problem, f"Rename it to {path.name}, or to a name that is not nearly the same.", other)


def parse_yaml(text: str) -> Any:
    """Parse one YAML document of plain values.

    Raises:
        ParamsError: It is not YAML, or a key stands twice; names line, column and cause.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        raise ParamsError(*_describe_syntax(error, text)) from error
    except ReaderError as error:
        begin = text[: error.position]
        line, column = begin.count("\n") + 1, error.position - begin.rfind("\n")
        problem = (
            f"Line {line}, column {column}: a character that YAML does not allow (U+{ord(text[error.position]):04X})."
        )
        raise ParamsError(problem, "Remove it.") from error
    except RecursionError as error:
        raise ParamsError("The values are nested too deeply.", "Write plain values and sections.") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with string keys; an empty file gives an empty mapping.

    Raises:
        ParamsError: The file cannot be read, is not YAML, or holds something else.
    """
    try:
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"The file cannot be read as YAML: line {line} is not UTF-8 text."
        raise ParamsError(problem, "Save it as UTF-8.", path) from error
    except OSError as error:
        problem = f"The file cannot be read as YAML ({error.strerror})."
        raise ParamsError(problem, "Check that it exists and may be read.", path) from error
    except ParamsError as error:
        raise ParamsError(f"The file cannot be read as YAML. {error.problem}", error.remedy, path) from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ParamsError("The file must hold 'section:' keys.", "Write 'name: value' lines.", path)
    return values


def validate_section(model: type[Model], values: Mapping[str, Any], path: Path | None) -> Model:
    """Build a model from plain values; its keys without a value (None) count as absent at the top level.

    Args:
        model: Class of the model.
        values: Its fields by name or alias.
        path: The file that the values come from, to be named in errors.

    Raises:
        ParamsError: A key is unknown or a value is not allowed. Describes the first such error.
    """
    known = known_keys(model)
    values = {key: value for key, value in values.items() if value is not None or key not in known}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(*_describe(model, error), path) from error


def known_keys(model: type[BaseModel]) -> list[str]:
    """The keys of a section as they are written in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _describe_syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str]:
    """Problem and remedy of what is not YAML."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"{error.problem}.", "Correct it."
    place = f"Line {mark.line + 1}, column {mark.column + 1}:"
    if text[mark.index : mark.index + 1] == "\t":
        return f"{place} there is a tab, which YAML does not allow here.", "Indent with spaces instead."
    begin = (
        f" {error.context} from line {error.context_mark.line + 1}," if error.context and error.context_mark else ""
    )
    return f"{place}{begin} {error.problem}.", "Correct that line."


def _describe(model: type[BaseModel], error: ValidationError) -> tuple[str, str]:
    """Problem and remedy of the first error that pydantic reports."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(known_keys(_model_at(model, first["loc"][:-1])))
        section, _, name = key.rpartition(".")
        hint = f" '{name}' stands outside of '{section}'." if section and name in known_keys(model) else ""
        return f"There is no parameter '{key}'.", f"Known here: {known}.{hint}"
    problem = f"The parameter '{key}' is {reprlib.repr(first['input'])}."
    if first["type"] == "model_type":
        known = ", ".join(known_keys(_model_at(model, first["loc"])))
        return problem, f"It is a section: write its values below it, indented. Known here: {known}."
    if first["type"] == "missing":
        problem = f"The parameter '{key}' is missing."
    return problem, f"{first['msg']}.{_example_at(model, first['loc'])}"


def _example_at(model: type[BaseModel], location: Sequence[str | int]) -> str:
    """A sentence with an example of the innermost field at a location that has one; empty where none has."""
    example = ""
    for key, field in _fields(model, location):
        if field.examples:
            example = f" Write for example `{key}: {field.examples[0]}`."
    return example


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel]:
    """The model of the section at a location inside another model."""
    for _, field in _fields(model, location):
        model = next(_models_in(field.annotation), model)
    return model


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> Iterator[tuple[str | int, FieldInfo]]:
    """The fields on the way to a location inside a model, from the outermost, each with its key there."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                yield part, field
                model = next(_models_in(field.annotation), model)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type such as `Box`, `Box | None` or `tuple[Box, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
