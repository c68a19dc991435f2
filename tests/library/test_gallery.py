"""The gallery of a library."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import InputPhoto
from realfill.album.store import finished_photo, read_inputs, write_rows
from realfill.core.errors import LibraryError, OutputError
from realfill.core.hashing import digest
from realfill.core.params import load_params
from realfill.library.dvc_state import open_dvc_state
from realfill.library.gallery import GallerySettings, update_gallery, write_folder_gallery, write_gallery
from realfill.library.repository import Library
from realfill.library.run_history import HistoryRow, summarize_result
from realfill.library.status_table import status_reasons
from realfill.stages import export
from support.finished_album import add_position, finish
from support.html import PageReader, assert_links_lead_to_files


@pytest.fixture
def album(album_folder: Path) -> Album:
    album = finish(album_folder)
    export.run(album, load_params())
    return album


def read_metrics(page: Path) -> dict[str, Any]:
    return dict(json.loads((page.parent / "metrics.json").read_text()))


def test_the_gallery_links_to_every_album_those_that_need_attention_first(album: Album, tmp_path: Path) -> None:
    begun = open_album(shutil.copytree(album.root, tmp_path / "a & b"))
    shutil.rmtree(begun.completed)
    failed = open_album(shutil.copytree(album.root, tmp_path / "zoo"))
    export.run(failed, load_params())
    problems = {"zoo": "Not even <one> candidate fits the memory.", "gone": "There is no target photo."}
    page = write_gallery([album, begun, failed], tmp_path / "gallery", problems)
    reader = PageReader(page)
    assert_links_lead_to_files(page, reader)
    positions = [reader.text.index(name) for name in ("gone", "zoo", "a & b", "motorcycle")]
    assert positions == sorted(positions)
    assert "Not even <one> candidate fits the memory." in reader.text
    assert "Done so far: validate, masks, align, finetune, sample, rank, blend" in reader.text
    assert "../motorcycle/completed/page/index.html" in reader.links
    metrics = read_metrics(page)
    assert (metrics["albums"], metrics["finished"]) == (4, 2)
    assert (metrics["failed"], metrics["unfinished"]) == (["gone", "zoo"], ["a & b"])


def test_a_photo_whose_fill_is_mostly_generated_is_to_be_looked_at(album: Album, tmp_path: Path) -> None:
    believed = open_album(shutil.copytree(album.root, tmp_path / "attic"))
    shares = {"reference_pixel": 1.0, "confirmed": 0.0, "generated_only": 0.0, "score": 1.0}
    document = believed.work("blend") / "blend.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"authenticity": shares}))
    export.run(believed, load_params())
    (believed.completed / "motorcycle.json").unlink(missing_ok=True)
    page = write_gallery([believed, album], tmp_path / "gallery")
    text = PageReader(page).text
    places = (
        "2 of 2 finished",
        "To be looked at",
        "motorcycle",
        "Mostly generated or uncertain: 100 %",
        "attic",
        "Every filled pixel",
    )
    positions = [text.rindex(name) for name in places]
    assert positions == sorted(positions)
    metrics = read_metrics(page)
    assert (metrics["to_be_looked_at"], metrics["finished"]) == (["motorcycle"], 2)


def test_an_empty_library_has_a_gallery_too(tmp_path: Path) -> None:
    page = write_gallery([], tmp_path / "gallery")
    assert "0 of 0 finished" in PageReader(page).text


def test_an_album_whose_provenance_cannot_be_read_is_listed_as_failed(album: Album, tmp_path: Path) -> None:
    for text in ("{", "{}", '{"ranking": [], "candidate": 1, "hole": {"hole": 1}}', "[]"):
        album.provenance.write_text(text)
        page = write_gallery([album], tmp_path / "gallery")
        assert read_metrics(page)["failed"] == ["motorcycle"]


def test_the_gallery_holds_no_position_of_the_photos(album_folder: Path, tmp_path: Path) -> None:
    for path in (album_folder / "target" / "target.png", *(album_folder / "ref").glob("*.png")):
        add_position(path)
    album = finish(album_folder)
    export.run(album, load_params())
    data = write_gallery([album], tmp_path / "gallery").read_bytes()
    assert b"taken at home" not in data
    assert b"Exif" not in data


def test_a_reason_is_shortened_and_starts_inside_its_album(tmp_path: Path) -> None:
    reason = "/srv/library/data/albums/roof/target/target.tif: The photo is damaged: it ends in strip 14."
    settings = GallerySettings(max_reason_length=43)
    page = write_gallery([], tmp_path / "gallery", rows=[{"album": "roof", "reason": reason}], settings=settings)
    text = PageReader(page).text
    assert "target/target.tif: The photo is damaged: …" in text
    assert "/srv" not in text


def test_scores_are_those_of_the_album_and_of_its_last_run(album: Album, tmp_path: Path) -> None:
    (album.work("evaluate")).mkdir()
    (album.work("evaluate") / "metrics.json").write_text('{"result": {"psnr": 21.25}}')
    row = {"album": album.name, "scores": {"authenticity": 0.5, "matches": 3, "broken": float("nan"), "text": "x"}}
    page = write_gallery([album], tmp_path / "gallery", rows=[row])
    scores = {tag["data-name"]: tag["value"] for tag in PageReader(page).find("data")}
    assert scores.keys() == {"authenticity", "matches", "filled", "psnr"}
    assert (scores["matches"], scores["psnr"]) == ("3", "21.25")
    assert read_metrics(page)["scores"] == {"motorcycle": {"psnr": 21.25}}


def test_a_failure_is_shown_though_no_album_changed(library: Library) -> None:
    update_gallery(library)
    failed = {"album": library.album_names[0], "outcome": "failed", "reason": "The remote is away."}
    update_gallery(library, [failed])
    assert "The remote is away." in (library.root / "data" / "gallery" / "index.html").read_text()
    with open_dvc_state(library.root, library.root / "dvc.yaml") as state:
        assert state.is_up_to_date(library.root / "dvc.yaml", "gallery")


def test_a_gallery_that_is_up_to_date_is_not_written_again(library: Library) -> None:
    update_gallery(library)
    page = library.root / "data" / "gallery" / "index.html"
    written = page.stat().st_mtime_ns
    update_gallery(library)
    assert page.stat().st_mtime_ns == written


def test_a_gallery_never_takes_the_place_of_albums(album_folder: Path, tmp_path: Path) -> None:
    albums = tmp_path / "gallery"
    albums.mkdir()
    album = album_folder.rename(albums / "motorcycle")
    before = digest(tmp_path)
    for out in (None, albums, tmp_path, album, album / "completed", tmp_path / "x" / ".." / "gallery"):
        with pytest.raises(OutputError, match="cannot take the place of the albums") as caught:
            write_folder_gallery(albums, out)
        assert "--out" in caught.value.remedy
    assert digest(tmp_path) == before
    page = write_folder_gallery(albums, tmp_path / "pages")
    assert "motorcycle" in page.read_text()


def test_a_gallery_replaces_only_a_gallery(album_folder: Path, tmp_path: Path) -> None:
    albums = tmp_path / "albums"
    albums.mkdir()
    album_folder.rename(albums / "motorcycle")
    notes = tmp_path / "gallery" / "notes.txt"
    for _ in range(2):
        assert write_folder_gallery(albums) == tmp_path / "gallery" / "index.html"
    notes.write_text("precious")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_folder_gallery(albums)
    assert notes.read_text() == "precious"
    shutil.rmtree(notes.parent)
    notes.parent.symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="symbolic link"):
        write_folder_gallery(albums)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("name", ["nowhere", "file", "empty", "other", "motorcycle"])
def test_a_mistyped_folder_is_no_empty_gallery(album_folder: Path, tmp_path: Path, name: str) -> None:
    assert album_folder.name == "motorcycle"
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "notes").mkdir(parents=True)
    with pytest.raises(LibraryError, match=r"no such folder|no album in this|an album itself"):
        write_folder_gallery(tmp_path / name)
    assert not (tmp_path / "gallery").exists()


def test_a_strangely_named_folder_is_listed_and_does_not_end_the_gallery(album_folder: Path, tmp_path: Path) -> None:
    names = [b"M\xf6bel", b"\xff\xfe", b"a\x1b[2J\n", "日".encode() * 85, b"<b>&amp;"]
    for name in names:
        shutil.copytree(album_folder, tmp_path / "albums" / os.fsdecode(name))
    page = write_folder_gallery(Path(shutil.copytree(album_folder, tmp_path / "albums" / "motorcycle")).parent)
    text = PageReader(page).text
    assert all(
        name in text for name in (r"M\xf6bel", r"\xff\xfe", r"a\x1b[2J\n", "日" * 85, "<b>&amp;", "motorcycle")
    )
    assert len(read_metrics(page)["failed"]) == 5


def test_a_renamed_album_is_still_finished(album: Album, tmp_path: Path) -> None:
    renamed = open_album(album.root.rename(tmp_path / "attic"))
    page = write_gallery([renamed], tmp_path / "gallery")
    assert read_metrics(page)["finished"] == 1
    assert finished_photo(renamed).name == "motorcycle.png"


def test_what_was_warned_of_reaches_the_page_the_gallery_and_the_history(album_folder: Path, tmp_path: Path) -> None:
    album = finish(album_folder)
    target, *rest, last = read_inputs(album)
    rows = [replace(target, reason="It is <turned>."), *rest, replace(last, verdict="refused", reason="A copy.")]
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, rows)
    result = export.run(album, load_params())
    told = [f"{target.file}: It is <turned>.", f"{last.file}: not used: A copy."]
    gallery = write_gallery([album], tmp_path / "gallery")
    assert all(line in PageReader(page).text for line in told for page in (result.page, gallery))
    summary = summarize_result(album)
    assert summary["warnings"] == told
    assert status_reasons([HistoryRow("roof", "completed", **summary)]) == [f"roof: {line}" for line in told]
