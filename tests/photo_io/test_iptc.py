import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realfill.photo_io import iptc
from realfill.photo_io.privacy import Privacy


def dataset(record: int, number: int, value: bytes) -> bytes:
    return struct.pack(">BBBH", 0x1C, record, number, len(value)) + value


CAPTION = dataset(2, 120, "Großmutters Dach".encode("latin-1"))
CITY = dataset(2, 90, b"Munich")
PREVIEW = dataset(2, 202, b"a picture of the photo as it was")
OWNER = dataset(2, 188, b"owner 17")


def test_words_of_people_are_read_in_their_encoding() -> None:
    keywords = dataset(2, 25, b"roof") + dataset(2, 25, b"coffee")
    assert iptc.read_captions(CAPTION + CITY + keywords) == {
        "description": ("Großmutters Dach",),
        "city": ("Munich",),
        "keywords": ("roof", "coffee"),
    }
    utf_8 = dataset(1, 90, b"\x1b%G") + dataset(2, 116, "© Ann".encode())
    assert iptc.read_captions(utf_8) == {"rights": ("© Ann",)}


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"20261127", ("2026-11-27",)),
        (b"20261100", ("2026-11",)),
        (b"20260000", ("2026",)),
        (b"00000000", None),
        (b"20261399", None),
        (b"20260230", None),
        (b"yesterday", None),
    ],
)
def test_a_date_is_read_as_xmp_has_it(value: bytes, date: tuple[str, ...] | None) -> None:
    assert iptc.read_captions(dataset(2, 55, value)).get("date_created") == date


def test_records_without_anything_outdated_or_private_stay_byte_for_byte() -> None:
    records = CAPTION + CITY + b"something behind them"
    assert iptc.update_for_export(records, Privacy()) == records


@pytest.mark.parametrize(
    ("privacy", "left"),
    [
        (Privacy(), CAPTION + CITY + OWNER),
        (Privacy(keep_position=False), CAPTION + OWNER),
        (Privacy(keep_identity=False), CAPTION + CITY),
    ],
)
def test_previews_and_what_is_private_are_removed(privacy: Privacy, left: bytes) -> None:
    assert iptc.update_for_export(CAPTION + CITY + PREVIEW + OWNER, privacy) == left


def test_values_of_more_than_32_kb_are_followed() -> None:
    long = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, 40_000) + b"x" * 40_000
    assert iptc.update_for_export(long + CITY, Privacy(keep_position=False)) == long


@given(st.binary(max_size=200))
def test_damaged_records_never_stop_the_export(records: bytes) -> None:
    for data in (records, b"\x1c\x02\x78" + records, CAPTION + b"\x1c" + records):
        iptc.read_captions(data)
        iptc.update_for_export(data, Privacy(keep_position=False, keep_identity=False))


def test_records_are_completed_by_what_they_lack() -> None:
    caption, other, city = b"\x1c\x02\x78\0\1a", b"\x1c\x02\x78\0\1b", b"\x1c\x02\x5a\0\1c"
    assert iptc.merge(caption, other + city) == caption + city
