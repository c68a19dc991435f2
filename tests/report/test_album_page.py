"""The page of an album, as `export` writes it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from realfill.album.layout import Album
from realfill.album.schemas import InputPhoto
from realfill.album.store import read_document, read_inputs, write_rows
from realfill.core.params import load_params
from realfill.photo_io.color_management import read_srgb
from realfill.report.album_page import AlbumPageSettings, write_album_page
from realfill.stages import export
from support.finished_album import add_position, finish
from support.html import PageReader, assert_links_lead_to_files

NASTY_FILE = "<img src=x onerror=alert(1)>.png"
NASTY_NAME = "Ann & Bob's (first) + =@,"


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


def test_the_page_works_from_the_disk_alone(album: Album) -> None:
    result = export.run(album, load_params())
    reader = PageReader(result.page)
    assert_links_lead_to_files(result.page, reader)
    assert "../motorcycle.png" in reader.links
    assert not reader.find("link") or all(tag["rel"] == "icon" for tag in reader.find("link"))
    assert not any("src" in tag for tag in reader.find("script"))


def test_the_page_can_be_read_aloud(album: Album) -> None:
    reader = PageReader(export.run(album, load_params()).page)
    assert reader.find("html") == [{"lang": "en"}]
    assert len(reader.find("h1")) == 1
    assert all(tag.get("alt") and tag.get("width") and tag.get("height") for tag in reader.find("img"))
    assert reader.find("img-comparison-slider")[0]["aria-label"]
    assert {tag.get("slot") for _, tag in reader.tags} >= {"first", "second"}


def test_the_page_shows_all_candidates_and_marks_the_best_and_the_delivered_one(album: Album) -> None:
    document = album.work("blend") / "blend.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"candidate": 0}))
    reader = PageReader(export.run(album, load_params()).page)
    text = " ".join(reader.text.split())
    assert "Candidate 1 best score" in text
    assert "Candidate 0 delivered score" in text
    assert "Candidate 2 score" in text
    assert "ref/2.png" in text
    assert "compositeWithTrainedAlgorithmicMedia" in text


def test_the_page_says_in_words_how_far_the_fill_can_be_believed(album: Album) -> None:
    result = export.run(album, load_params())
    verdict = read_document(result.provenance)["verdict"]
    assert verdict["level"] == "mostly generated: look closely"
    assert verdict["sentence"] in " ".join(PageReader(result.page).text.split())


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"steps": 400, "final_loss": 0.1}, "400 steps, prompt"),
        ({"steps": 0, "final_loss": None}, "none"),
        ({"steps": 0, "final_loss": None, "left_out": "the loss of step 7 is nan"}, "left out, since the loss"),
        (
            {"steps": 0, "final_loss": None, "left_out": "it is bad", "needless": True},
            "so none is sampled from noise",
        ),
    ],
)
def test_the_page_tells_how_the_model_was_tuned(album: Album, metrics: dict[str, object], told: str) -> None:
    (album.work("finetune") / "metrics.json").write_text(json.dumps(metrics))
    result = export.run(album, load_params())
    assert told in PageReader(result.page).text.partition("Tuning")[2]
    assert read_document(result.provenance)["tuning"] == metrics


def test_names_and_prompts_are_shown_not_run(album_folder: Path) -> None:
    folder = album_folder.rename(album_folder.with_name(NASTY_NAME))
    (folder / "ref" / "1.png").rename(folder / "ref" / NASTY_FILE)
    album = finish(folder)
    params = load_params(assignments=["finetune.prompt='</script><script>alert(2)</script>'"])
    result = export.run(album, params)
    reader = PageReader(result.page)
    assert len(reader.find("script")) == 3
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    assert f"ref/{NASTY_FILE}" in reader.text
    assert "</script><script>alert(2)</script>" in reader.text
    assert NASTY_NAME in reader.text
    assert_links_lead_to_files(result.page, reader)


def test_a_rejected_reference_is_named_with_its_reason_and_never_opened(album: Album) -> None:
    rows = read_inputs(album)
    broken = InputPhoto(**(vars(rows[-1]) | {"verdict": "refused", "reason": "The photo is <damaged>."}))
    write_rows(album.work("validate") / "inputs.parquet", InputPhoto, [*rows[:-1], broken])
    (album.root / broken.file).write_bytes(b"no photo")
    reader = PageReader(export.run(album, load_params()).page)
    assert "Not used: The photo is <damaged>." in reader.text
    assert "from 2 reference photos" in " ".join(reader.text.split())


def test_the_pages_pictures_carry_no_metadata(album: Album) -> None:
    result = export.run(album, load_params())
    pictures = sorted(result.page.parent.glob("*.jpg"))
    assert pictures
    for path in pictures:
        with Image.open(path) as image:
            assert set(image.info) <= {
                "jfif",
                "jfif_version",
                "jfif_unit",
                "jfif_density",
                "progressive",
                "progression",
            }
            assert max(image.size) <= 1600


def test_the_page_holds_no_position_of_the_photos(album_folder: Path) -> None:
    for path in (album_folder / "target" / "target.png", *(album_folder / "ref").glob("*.png")):
        add_position(path)
    result = export.run(finish(album_folder), load_params())
    for path in [*result.page.parent.iterdir(), result.provenance]:
        data = path.read_bytes()
        assert b"taken at home" not in data
        assert b"Exif" not in data
        if path.suffix in (".jpg", ".png"):
            with Image.open(path) as picture:
                assert not picture.getexif()


def test_the_sizes_of_the_pictures_are_settings(album: Album, tmp_path: Path) -> None:
    result = export.run(album, load_params())
    settings = AlbumPageSettings(large_side=100, medium_side=50, small_side=20)
    folder = tmp_path / "deep" / "page"
    write_album_page(album, read_srgb(result.photo), read_document(result.provenance), folder, settings)
    sizes = {path.name: max(Image.open(path).size) for path in folder.glob("*.jpg")}
    assert (sizes["before.jpg"], sizes["candidate-000.jpg"], sizes["after-small.jpg"]) == (100, 50, 20)
    assert sizes["reference-01.jpg"] == 50


@pytest.mark.parametrize("in_library", [True, False])
def test_only_an_album_of_a_library_links_to_the_gallery(album: Album, in_library: bool) -> None:
    if in_library:
        (album.root / "dvc.yaml").touch()
    reader = PageReader(export.run(album, load_params()).page)
    assert ("../../../../gallery/index.html" in reader.links) == in_library


def test_a_name_that_looks_like_an_option_is_picked_by_its_path(album_folder: Path) -> None:
    album = finish(album_folder.rename(album_folder.with_name("-rf")))
    assert "realfill pick ./-rf 0" in PageReader(export.run(album, load_params()).page).text
