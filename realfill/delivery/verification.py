"""Verifying the content credentials of a photo: whether it was changed, who signed it, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import c2pa

from realfill.core.errors import CredentialsError
from realfill.delivery.manifest import ASSERTION, MEDIA_TYPES
from realfill.delivery.signing import read_manifests

State = Literal["trusted", "unknown signer", "broken"]
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class IngredientReport:
    """A photo that another was made from.

    Attributes:
        title: Its file name.
        is_parent: Whether the photo is an edited version of it.
        has_credentials: Whether it had content credentials of its own.
        problems: What is wrong with these; empty if they hold.
    """

    title: str
    is_parent: bool
    has_credentials: bool
    problems: tuple[str, ...]


@dataclass(frozen=True)
class CredentialsReport:
    """What the content credentials of a photo say, and whether they hold.

    Attributes:
        state: "trusted": unchanged, by a signer below a root that is trusted; "unknown signer": unchanged, by whoever
            has that key; "broken": changed since, or not signed rightly.
        problems: What is wrong with them; empty if they hold.
        signer: Common name in the certificate, as the signer's authority, or the signer alone, vouches for it.
        issuer: Organization in the certificate.
        time: When it was signed, as a time-stamp server confirms; empty without one.
        software: What wrote the manifest.
        source_types: The digital source types of the actions, without the vocabulary's address.
        authenticity: The assertion about what was photographed, empty where there is none.
        ingredients: What the photo was made from.
    """

    state: State
    problems: tuple[str, ...]
    signer: str
    issuer: str
    time: str
    software: str
    source_types: tuple[str, ...]
    authenticity: Mapping[str, Any]
    ingredients: tuple[IngredientReport, ...]


def read_credentials(photo: Path, roots: str = "") -> CredentialsReport:
    """Read and verify the content credentials of a photo.

    Args:
        photo: The photo.
        roots: Certificates to trust, PEM; may be empty.

    Raises:
        CredentialsError: It has none, or cannot be read.
    """
    media_type = MEDIA_TYPES.get(photo.suffix.lower())
    if media_type is None:
        known = ", ".join(MEDIA_TYPES)
        raise CredentialsError("This is not a photo by its name.", f"Give a file that ends in {known}.", photo)
    try:
        with photo.open("rb") as file:
            document = read_manifests(file, media_type, roots)
        return _make_report(document)
    except OSError as error:
        raise CredentialsError(f"The photo cannot be read ({error.strerror}).", "Check its path.", photo) from error
    except c2pa.C2paError.ManifestNotFound as error:
        remedy = "Deliver it with delivery.credentials: sign."
        raise CredentialsError("The photo has no content credentials.", remedy, photo) from error
    except (c2pa.C2paError, LookupError, TypeError, ValueError, AttributeError) as error:
        problem = f"The content credentials of the photo are damaged ({error})."
        raise CredentialsError(problem, "Get the photo from its source again.", photo) from error


def _make_report(document: Mapping[str, Any]) -> CredentialsReport:
    manifest = document["manifests"][document["active_manifest"]]
    results = document.get("validation_results") or {}
    failures = (results.get("activeManifest") or {}).get("failure", [])
    problems = tuple(_describe(entry) for entry in failures if entry["code"] != _UNTRUSTED)
    is_trusted = document.get("validation_state") == "Trusted"
    assertions = {entry["label"]: entry["data"] for entry in manifest.get("assertions", ())}
    actions: list[dict[str, Any]] = next(
        (data["actions"] for label, data in assertions.items() if "c2pa.actions" in label), []
    )
    types = [str(action["digitalSourceType"]) for action in actions if action.get("digitalSourceType")]
    signature = manifest.get("signature_info") or {}
    agents = manifest.get("claim_generator_info") or [{}]
    is_broken = bool(problems) or document.get("validation_state") == "Invalid"
    return CredentialsReport(
        state="broken" if is_broken else "trusted" if is_trusted else "unknown signer",
        problems=problems,
        signer=str(signature.get("common_name") or ""),
        issuer=str(signature.get("issuer") or ""),
        time=str(signature.get("time") or ""),
        software=f"{agents[0].get('name', '')} {agents[0].get('version', '')}".strip(),
        source_types=tuple(name.rsplit("/", 1)[-1] for name in types),
        authenticity=assertions.get(ASSERTION) or {},
        ingredients=tuple(_read_ingredients(manifest, results)),
    )


def _read_ingredients(manifest: Mapping[str, Any], results: Mapping[str, Any]) -> list[IngredientReport]:
    deltas = {
        entry["ingredientAssertionURI"].rsplit("/", 1)[-1]: entry["validationDeltas"].get("failure", [])
        for entry in results.get("ingredientDeltas") or ()
    }
    reports = []
    for row in manifest.get("ingredients", ()):
        own = ((row.get("validation_results") or {}).get("activeManifest") or {}).get("failure", [])
        failures = [*own, *deltas.get(row.get("label", ""), [])]
        problems = dict.fromkeys(_describe(entry) for entry in failures if entry["code"] != _UNTRUSTED)
        reports.append(
            IngredientReport(
                str(row.get("title", "")),
                row.get("relationship") == "parentOf",
                bool(row.get("active_manifest")),
                tuple(problems),
            )
        )
    return reports


def _describe(entry: Mapping[str, Any]) -> str:
    return str(entry.get("explanation") or entry["code"])
