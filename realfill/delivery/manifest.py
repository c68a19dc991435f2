"""What content credentials say of a finished photo, as a manifest of C2PA, made from its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from realfill import __version__
from realfill.album.layout import Album

ASSERTION = "org.realfill.authenticity"
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".avif": "image/avif",
}


@dataclass(frozen=True)
class Ingredient:
    """A photo that the finished one was made from.

    Attributes:
        file: The photo.
        description: Its title, format and relationship, as a manifest has them.
    """

    file: Path
    description: dict[str, str]


def list_ingredients(provenance: Mapping[str, Any], album: Album) -> list[Ingredient]:
    """The target as the parent, and the references as components.

    Args:
        provenance: The document beside the finished photo.
        album: The album.
    """
    used = [row for row in provenance["inputs"] if row["role"] != "mask" and row["verdict"] == "accepted"]
    folders = {"target": album.root}
    return [_make_ingredient(row, number, folders.get(row["role"], album.base)) for number, row in enumerate(used)]


def describe_photo(
    provenance: Mapping[str, Any], title: str, ingredients: list[Ingredient], map_digest: str
) -> dict[str, Any]:
    """The manifest's definition, without its ingredients.

    Args:
        provenance: The document beside the finished photo.
        title: The photo's file name.
        ingredients: Those of `list_ingredients`.
        map_digest: SHA-256 of the authenticity map.
    """
    components = [row.description["label"] for row in ingredients if row.description["relationship"] == "componentOf"]
    placed = {"action": "c2pa.placed", "parameters": {"ingredientIds": components}}
    edited = {
        "action": "c2pa.edited",
        "digitalSourceType": provenance["digital_source_type"],
        "softwareAgent": {"name": "realfill", "version": __version__},
        "description": str((provenance.get("verdict") or {}).get("sentence", "")) or "A missing part was filled.",
    }
    return {
        "claim_generator_info": [{"name": "realfill", "version": __version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [*([placed] if components else []), edited]}},
            {"label": ASSERTION, "data": _describe_authenticity(provenance, map_digest)},
        ],
    }


def _describe_authenticity(provenance: Mapping[str, Any], map_digest: str) -> dict[str, Any]:
    """What was photographed, and the digests by which everything can be found again."""
    return {
        "shares": dict(provenance["authenticity"]),
        "verdict": dict(provenance.get("verdict") or {}),
        "generate": provenance.get("generate"),
        "base_model": provenance.get("base_model"),
        "unsigned_sha256": provenance["digest"],
        "authenticity_map_sha256": map_digest,
        "inputs": [
            {"role": row["role"], "file": Path(row["file"]).name, "sha256": row["digest"]}
            for row in provenance["inputs"]
        ],
    }


def _make_ingredient(row: Mapping[str, Any], number: int, root: Path) -> Ingredient:
    file = root.joinpath(*PurePosixPath(row["file"]).parts[-2:])  # of its own folder, whatever the document says
    is_target = row["role"] == "target"
    description = {
        "title": file.name,
        "format": MEDIA_TYPES.get(file.suffix.lower(), "application/octet-stream"),
        "relationship": "parentOf" if is_target else "componentOf",
        "label": f"{row['role']}-{number}",
    }
    return Ingredient(file, description)
