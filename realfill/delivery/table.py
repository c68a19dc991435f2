"""The table of a delivery, as comma-separated values for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what spreadsheets take a cell for a formula by


@dataclass(frozen=True)
class Row:
    """A delivered photo in the table.

    Attributes:
        file: Its name.
        album: The album's name.
        verdict: How far the fill can be believed, in few words.
        sentence: The same with figures.
        reference_pixel: Share of the hole that is pixels of the references, 0 to 1.
        confirmed: Share that is likely.
        generated_only: Share that is generated, or uncertain.
        left: Share that was left as it was.
        digital_source_type: Of IPTC's vocabulary.
        candidate: The candidate that is shown.
        credentials: Who signed it; empty if nobody did.
        note: The remark of the review.
        sha256: Digest of the file.
    """

    file: str
    album: str
    verdict: str
    sentence: str
    reference_pixel: float
    confirmed: float
    generated_only: float
    left: float
    digital_source_type: str
    candidate: int
    credentials: str
    note: str
    sha256: str


def make_row(file: str, provenance: Mapping[str, Any], signer: str, note: str, sha256: str) -> Row:
    """The row of a delivered photo, of whose provenance the names and the digest are those of the delivery."""
    shares, verdict = provenance["authenticity"], provenance.get("verdict") or {}
    return Row(
        file=file,
        album=str(provenance["album"]),
        verdict=str(verdict.get("level", "")),
        sentence=str(verdict.get("sentence", "")),
        reference_pixel=float(shares["reference_pixel"]),
        confirmed=float(shares["confirmed"]),
        generated_only=float(shares["generated_only"]),
        left=float(shares.get("left", 0.0)),
        digital_source_type=str(provenance["digital_source_type"]).rsplit("/", 1)[-1],
        candidate=int(provenance["candidate"]),
        credentials=signer,
        note=note,
        sha256=sha256,
    )


def write_table(rows: Sequence[Row]) -> bytes:
    """The table, UTF-8 with a byte order mark, by which spreadsheets know it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(field.name for field in fields(Row))
    writer.writerows([_make_harmless(value) for value in astuple(row)] for row in rows)
    return text.getvalue().encode("utf-8-sig", errors="backslashreplace")


def _make_harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
