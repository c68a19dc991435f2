"""Tell the family of a base model on disk: of a folder by its configurations, of a checkpoint by its tensors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from realfill.core.errors import ModelError
from realfill.diffusion.model_registry import FAMILIES, INDEX, FamilySpec

_COPY_AGAIN = "Copy or download it again."


def recognize_folder(folder: Path) -> str:
    """The family of a folder in diffusers' format, told by the class of its denoiser and the parts beside it.

    Raises:
        ModelError: It has no denoiser, or one without mask channels; one of its configurations is damaged; or a part
            is of a class that no family, or not its family, has. Names the file.
    """
    denoisers = list(dict.fromkeys(f"{family.denoiser}/config.json" for family in FAMILIES.values()))
    found_in = next((folder / name for name in denoisers if (folder / name).is_file()), None)
    if found_in is None:
        remedy = "Give the absolute path of a whole folder in diffusers' format."
        raise ModelError(f"The base model lacks {' or '.join(denoisers)}.", remedy, folder)
    config, part = read_config(found_in), found_in.parent.name
    told = config.get("_class_name")
    known = {name: family for name, family in FAMILIES.items() if family.denoiser == part}
    fitting = [name for name, family in known.items() if family.parts[part] == told]
    if not fitting:
        classes = " or ".join(dict.fromkeys(family.parts[part] for family in known.values()))
        problem = f"The denoiser is of the class {told!r}, which no known family has; it has to be {classes}."
        raise ModelError(problem, f"Choose a model of one of the families {', '.join(FAMILIES)}.", found_in)
    name = max(reversed(fitting), key=lambda name: _count_parts(folder, FAMILIES[name]))
    for file, part, told in _told_classes(folder, FAMILIES[name]):
        if told != (wanted := FAMILIES[name].parts[part]):
            problem = f"{part} is of the class {told!r}; a model of the family {name} has {wanted}."
            raise ModelError(problem, f"Choose a model of one of the families {', '.join(FAMILIES)}.", file)
    _require_mask_channels(config, FAMILIES[name], found_in)
    return name


def _count_parts(folder: Path, family: FamilySpec) -> int:
    """How many more of a family's parts are there than are missing."""
    return sum(1 if (folder / part).is_dir() else -1 for part in family.parts)


def _require_mask_channels(config: dict[str, Any], family: FamilySpec, path: Path) -> None:
    """See that a denoiser has inputs for the mask and the masked image, if those of its family do."""
    channels, outputs = config.get("in_channels"), config.get("out_channels")
    if not isinstance(channels, int) or not isinstance(outputs, int | None):
        problem = f"The configuration is damaged: in_channels is {channels!r}, out_channels is {outputs!r}."
        raise ModelError(problem, _COPY_AGAIN, path)
    needed = math.ceil(family.input_ratio * (outputs or channels))
    if channels < needed:
        problem = f"The denoiser has {channels} input channels; inpainting needs {needed}."
        raise ModelError(problem, "Choose an inpainting model.", path)


def _told_classes(folder: Path, family: FamilySpec) -> Iterator[tuple[Path, str, str]]:
    """The classes of networks that configurations tell: file, part, class. All that are there are read."""
    index = folder / INDEX
    listed = read_config(index) if index.is_file() else {}
    for part in family.parts:
        if part.startswith("tokenizer"):
            continue
        path = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        config = read_config(path) if path.is_file() else {}
        if part == "scheduler":
            continue  # whose configuration another class may read as well
        entry = listed.get(part)
        if isinstance(entry, list) and len(entry) == 2:
            yield index, part, str(entry[1])
        if "_class_name" in config:
            yield path, part, str(config["_class_name"])


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        ModelError: It is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ModelError("The configuration is damaged: it is no JSON object.", _COPY_AGAIN, path)
    return values


def recognize_checkpoint(path: Path) -> str:
    """The family of a single-file checkpoint, told by the names and shapes of its tensors.

    Raises:
        ModelError: The file cannot be read, or it is no inpainting model of a known family.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as stored:
            shapes = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The checkpoint cannot be read ({error}).", "Download it again.", path) from error
    known = {name: family for name, family in FAMILIES.items() if family.checkpoint_mark}
    for name, family in known.items():
        if not any(key.endswith(family.checkpoint_mark) for key in shapes):
            continue
        layers = [shape for key, shape in shapes.items() if key.endswith(family.checkpoint_layer)]
        channels = layers[0][1] if layers and len(layers[0]) > 1 else 0
        if channels != family.checkpoint_channels:
            problem = (
                f"The checkpoint's denoiser has {channels} input channels; {name} has {family.checkpoint_channels}."
            )
            raise ModelError(problem, "Choose an inpainting model.", path)
        return name
    raise ModelError(f"The checkpoint is of none of the families {', '.join(known)}.", "Choose another one.", path)
