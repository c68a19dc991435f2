"""IPTC-IIM records (IPTC-NAA Information Interchange Model 4.2): read, and cleaned for delivery."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import takewhile

from realfill.photo_io.privacy import Privacy

_MARKER = 0x1C
_EXTENDED = 0x8000  # set where the size itself has several bytes
_PREVIEW = ((2, 200), (2, 201), (2, 202))  # of the photo as it was
_KEYWORDS = ((2, 20), (2, 25))  # supplemental categories, keywords
_CHARACTER_SET, _UTF_8 = (1, 90), b"\x1b%G"
_NAMES = {  # of application records, by the names of `xmp_captions`
    5: "title",
    25: "keywords",
    40: "instructions",
    55: "date_created",
    80: "creator",
    85: "creator_title",
    90: "city",
    92: "location",
    95: "state",
    100: "country_code",
    101: "country",
    103: "transmission_reference",
    105: "headline",
    110: "credit",
    115: "source",
    116: "rights",
    120: "description",
    122: "description_writer",
}


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes:
        record: Number of the record, 1 to 9.
        number: Number of the dataset in it.
        value: Its bytes.
        raw: All its bytes, header included.
    """

    record: int
    number: int
    value: bytes
    raw: bytes


def read_datasets(records: bytes) -> Iterator[Dataset]:
    """The datasets, up to the first that cannot be followed."""
    start = 0
    while start + 5 <= len(records) and records[start] == _MARKER:
        record, number, size = struct.unpack_from(">BBH", records, start + 1)
        begin = start + 5
        if size & _EXTENDED:
            count = size & ~_EXTENDED
            size = int.from_bytes(records[begin : begin + count]) if count <= 4 else len(records)
            begin += count
        if begin + size > len(records):
            return
        yield Dataset(record, number, records[begin : begin + size], records[start : begin + size])
        start = begin + size


def update_for_export(records: bytes, privacy: Privacy) -> bytes:
    """Remove previews of the photo as it was, and what is private; the rest stays byte for byte."""
    datasets = list(read_datasets(records))
    kept = [dataset for dataset in datasets if (dataset.record, dataset.number) not in _PREVIEW]
    if privacy.keeps_all:
        return records if len(kept) == len(datasets) else b"".join(dataset.raw for dataset in kept)
    return b"".join(
        dataset.raw[: len(dataset.raw) - len(dataset.value)] + privacy.redact_bytes(dataset.value)
        for dataset in kept
        if privacy.allows_dataset(dataset.record, dataset.number)
        and ((dataset.record, dataset.number) not in _KEYWORDS or privacy.allows_keyword(decode_text(dataset.value)))
    )


def merge(records: bytes, others: bytes) -> bytes:
    """Complete records by the datasets of others that they lack."""
    present = {(each.record, each.number) for each in read_datasets(records)}
    lacking = (each.raw for each in read_datasets(others) if (each.record, each.number) not in present)
    return b"".join((records, *lacking))


def read_captions(records: bytes) -> dict[str, tuple[str, ...]]:
    """What people wrote: caption, keywords, copyright and others, by the names of `xmp_captions`."""
    datasets = list(read_datasets(records))
    is_utf_8 = any((each.record, each.number) == _CHARACTER_SET and each.value == _UTF_8 for each in datasets)
    captions: dict[str, tuple[str, ...]] = {}
    for dataset in datasets:
        name = _NAMES.get(dataset.number) if dataset.record == 2 else None
        text = decode_text(dataset.value, "replace" if is_utf_8 else "").strip("\0 ")
        if name == "date_created":
            text = _format_date(text)
        if name and text:
            captions[name] = (*captions.get(name, ()), text)
    return captions


def _format_date(text: str) -> str:
    """A date as XMP has it, of YYYYMMDD with zeros for what is not known; empty where it is none."""
    known = re.fullmatch(r"(\d{4})(?:00|(\d\d))(?:00|(\d\d))", text)
    if not known:
        return ""
    parts = [*takewhile(bool, known.groups())]
    try:
        date(*map(int, [*parts, "1", "1"][:3]))
    except ValueError:
        return ""
    return "-".join(parts)


def decode_text(value: bytes, utf_8_errors: str = "") -> str:
    """Decode a text of an encoding that is not told: UTF-8, or else Latin-1.

    Args:
        value: Its bytes.
        utf_8_errors: How errors are handled where it is known to be UTF-8; empty where it is not known.
    """
    try:
        return value.decode("utf-8", utf_8_errors or "strict")
    except UnicodeDecodeError:
        return value.decode("latin-1")
