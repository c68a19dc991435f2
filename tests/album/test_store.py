"""The files that pass between stages come back as they were written."""

from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import InputPhoto, PlacementSummary, VerifiedMatch
from realfill.album.store import (
    accepted_references,
    canvas_path,
    finished_photo,
    mask_path,
    read_document,
    read_inputs,
    read_placement_summary,
    read_rows,
    read_window,
    write_rows,
)
from realfill.core.atomic_io import write_json
from realfill.core.errors import AlbumError, StageError
from support.finished_album import finish


@dataclass(frozen=True)
class Row:
    name: str
    count: int
    share: float
    exact: bool


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


def test_rows_come_back_in_order_with_their_types(tmp_path: Path) -> None:
    rows = [Row("b ü", -3, 0.1, True), Row("", 1 << 40, float("inf"), False)]
    write_rows(tmp_path / "rows.parquet", Row, rows)
    assert read_rows(tmp_path / "rows.parquet", Row) == rows
    assert pq.read_schema(tmp_path / "rows.parquet").names == ["name", "count", "share", "exact"]


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", VerifiedMatch, [])
    assert read_rows(tmp_path / "rows.parquet", VerifiedMatch) == []
    assert pq.read_schema(tmp_path / "rows.parquet").names == ["candidate", "reference", "x", "y"]


@pytest.mark.parametrize("rows", [[], [Row("a", 1, 0.5, True)]])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, rows: list[Row]) -> None:
    for name in ("first", "second"):
        write_rows(tmp_path / name, Row, rows)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_summary_of_a_placement_comes_back_with_its_tuples(album: Album) -> None:
    assert read_placement_summary(album) == PlacementSummary("none", (0, 0, 1, 1), (), 0.0, 0.0)


def test_window_canvas_and_mask_are_read(album: Album) -> None:
    assert read_window(album).canvas_width == 296
    assert canvas_path(album).name == "canvas.png"
    assert mask_path(album).name == "mask.png"


def test_refused_references_are_not_used(album: Album) -> None:
    rows = read_inputs(album)
    rows[1] = replace(rows[1], verdict="refused", reason="It is damaged.")
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, rows)
    assert accepted_references(album) == list(album.references[1:])


def test_a_reference_that_was_removed_is_an_error_that_names_it(album: Album) -> None:
    album.references[1].unlink()
    with pytest.raises(AlbumError, match="has been removed") as caught:
        accepted_references(album)
    assert caught.value.path == album.references[1]


def test_the_finished_photo_is_the_one_that_the_provenance_names(album: Album) -> None:
    write_json(album.provenance, {"photo": "motorcycle.png"})
    assert finished_photo(album) == album.completed / "motorcycle.png"


@pytest.mark.parametrize("stage", ["validate", "masks", "align", "blend", "export"])
def test_a_missing_file_names_the_stage_that_writes_it(album_folder: Path, stage: str) -> None:
    album = open_album(album_folder)
    readers = {
        "validate": read_inputs,
        "masks": read_window,
        "align": read_placement_summary,
        "blend": lambda album: read_document(album.work("blend") / "blend.json"),
        "export": finished_photo,
    }
    with pytest.raises(StageError, match=f"Run `realfill {stage}` first"):
        readers[stage](album)


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_a_damaged_document_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "blend.json"
    path.write_text(text)
    with pytest.raises(StageError, match="damaged") as caught:
        read_document(path)
    assert caught.value.path == path
