"""The pages a photographer looks at in the morning."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.schemas import Input
from realfill.album.store import read_inputs, write_rows
from realfill.core.params import load_params
from realfill.library.gallery import write_gallery
from realfill.report.album_page import loss_curve
from realfill.report.rendering import draw_hatched
from realfill.stages import export
from support.finished_album import finish

NASTY = "<img src=x onerror=alert(1)>.png"


class Reader(HTMLParser):
    """Collects the tags of a page, and its text outside of scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def album(album_folder: Path) -> Album:
    return finish(album_folder)


def links(reader: Reader) -> list[str]:
    found = [attributes.get(name) for _, attributes in reader.tags for name in ("src", "href")]
    return [link for link in found if link and not link.startswith(("data:", "#"))]


def assert_links_lead_somewhere(page: Path, reader: Reader) -> None:
    assert links(reader)
    for link in links(reader):
        assert not urlsplit(link).scheme, link
        assert not link.startswith("/"), link
        assert (page.parent / unquote(link)).is_file(), link


def test_the_page_works_from_the_disk_alone(album: Album) -> None:
    result = export.run(album, load_params())
    reader = Reader(result.page)
    assert_links_lead_somewhere(result.page, reader)
    assert "../motorcycle.png" in links(reader)
    assert not reader.all("link") or all(tag["rel"] == "icon" for tag in reader.all("link"))
    assert not any("src" in tag for tag in reader.all("script"))


def test_the_page_can_be_read_aloud(album: Album) -> None:
    reader = Reader(export.run(album, load_params()).page)
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("h1")) == 1
    assert all(tag.get("alt") and tag.get("width") and tag.get("height") for tag in reader.all("img"))
    assert reader.all("img-comparison-slider")[0]["aria-label"]
    assert {tag.get("slot") for _, tag in reader.tags} >= {"first", "second"}


def test_the_page_shows_all_candidates_and_marks_the_best_and_the_delivered_one(album: Album) -> None:
    document = album.work("blend") / "blend.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"candidate": 0}))
    reader = Reader(export.run(album, load_params()).page)
    text = " ".join(reader.text.split())
    assert "Candidate 1 best score" in text
    assert "Candidate 0 delivered score" in text
    assert "Candidate 2 score" in text
    assert "ref/2.png" in text
    assert "compositeWithTrainedAlgorithmicMedia" in text


def test_names_and_prompts_are_shown_not_run(album_folder: Path) -> None:
    folder = album_folder.rename(album_folder.with_name("Ann & Bob's (first) + =@,"))
    (folder / "ref" / "1.png").rename(folder / "ref" / NASTY)
    album = finish(folder)
    params = load_params(assignments=["finetune.prompt='</script><script>alert(2)</script>'"])
    result = export.run(album, params)
    reader = Reader(result.page)
    assert len(reader.all("script")) == 3
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    assert f"ref/{NASTY}" in reader.text
    assert "</script><script>alert(2)</script>" in reader.text
    assert "Ann & Bob's (first) + =@," in reader.text
    assert_links_lead_somewhere(result.page, reader)


def test_a_refused_reference_is_named_with_its_reason_and_never_opened(album: Album) -> None:
    rows = read_inputs(album)
    broken = Input(**(vars(rows[-1]) | {"verdict": "refused", "reason": "The photo is <damaged>."}))
    write_rows(album.work("validate") / "inputs.parquet", Input, [*rows[:-1], broken])
    (album.root / broken.file).write_bytes(b"no photo")
    reader = Reader(export.run(album, load_params()).page)
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


def test_the_hole_is_hatched_and_nothing_else() -> None:
    canvas = np.full((200, 300, 3), 77, np.uint8)
    mask = np.zeros((200, 300), np.uint8)
    mask[50:150, 100:200] = 255
    shown = draw_hatched(canvas, mask)
    assert (shown[mask == 0] == 77).all()
    assert len(np.unique(shown[mask > 0], axis=0)) == 2


def test_the_loss_curve_stays_inside_its_frame(tmp_path: Path) -> None:
    log = tmp_path / "loss.csv"
    assert loss_curve(log) is None
    log.write_text("step,loss,lr\n1,0.5,0.001\n")
    assert loss_curve(log) is None
    losses = 1 / (1 + np.arange(1000) / 50)
    log.write_text("step,loss,lr\n" + "".join(f"{i + 1},{loss},0.001\n" for i, loss in enumerate(losses)))
    curve = loss_curve(log)
    assert curve is not None
    assert (curve["steps"], curve["first"]) == (1000, "1")
    for name in ("each", "mean"):
        points = np.array([point.split(",") for point in curve[name].split()], float)
        assert len(points) <= 400
        assert (points[:, 0].min(), points[:, 0].max()) == (50, 790)
        assert points[:, 1].min() >= 10
        assert points[:, 1].max() <= 210
        assert points[-1, 1] > points[0, 1], "a falling loss falls in the drawing"


def test_the_gallery_leads_to_every_album_those_that_need_a_look_first(album: Album, tmp_path: Path) -> None:
    export.run(album, load_params())
    begun = open_album(shutil.copytree(album.root, tmp_path / "a & b"))
    shutil.rmtree(begun.completed)
    failed = open_album(shutil.copytree(album.root, tmp_path / "zoo"))
    export.run(failed, load_params())
    problems = {"zoo": "Not even <one> candidate fits the memory.", "gone": "There is no target photo."}
    page = write_gallery([album, begun, failed], tmp_path / "gallery", problems)
    reader = Reader(page)
    assert_links_lead_somewhere(page, reader)
    places = [reader.text.index(name) for name in ("gone", "zoo", "a & b", "motorcycle")]
    assert places == sorted(places)
    assert "Not even <one> candidate fits the memory." in reader.text
    assert "Done so far: validate, masks, align, finetune, sample, rank, blend" in reader.text
    assert "../motorcycle/completed/page/index.html" in links(reader)
    told = json.loads((page.parent / "metrics.json").read_text())
    assert (told["albums"], told["finished"]) == (4, 2)
    assert (told["failed"], told["unfinished"]) == (["gone", "zoo"], ["a & b"])


def test_an_empty_library_has_a_gallery_too(tmp_path: Path) -> None:
    page = write_gallery([], tmp_path / "gallery")
    assert "0 of 0 finished" in Reader(page).text
