import csv
import io
from dataclasses import replace

import pytest

from realfill.delivery.table import Row, make_row, write_table

PROVENANCE = {
    "album": "roof",
    "candidate": 1,
    "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeCapture",
    "authenticity": {"reference_pixel": 0.5, "confirmed": 0.25, "generated_only": 0.25, "left": 0.125, "score": 0.6},
    "verdict": {"level": "partly generated: check it", "sentence": "Half of it."},
}


def parse(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def make(note: str = "") -> Row:
    return make_row("roof.jpg", PROVENANCE, "Ann", note, "ab" * 32)


def test_a_row_says_what_was_photographed() -> None:
    (row,) = parse(write_table([make()]))
    assert (row["file"], row["album"], row["candidate"], row["credentials"]) == ("roof.jpg", "roof", "1", "Ann")
    assert (row["reference_pixel"], row["left"], row["digital_source_type"]) == (
        "0.5000",
        "0.1250",
        "compositeCapture",
    )


@pytest.mark.parametrize("note", ['two\nlines, "quoted"', "Möbel 写真", "a; b"])
def test_any_text_survives(note: str) -> None:
    (row,) = parse(write_table([make(note)]))
    assert row["note"] == note


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = parse(write_table([replace(make(text), album=text)]))
    assert (row["note"], row["album"]) == (f"'{text}", f"'{text}")
