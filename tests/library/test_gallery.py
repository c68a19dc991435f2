"""The gallery and an album's page as a visitor finds them in a browser."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from realfill.album.layout import Album
from realfill.album.store import mask_path, read_document
from realfill.core.params import load_params
from realfill.library.gallery import write_gallery
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png, write_png
from realfill.report.album_page import write_album_page
from realfill.report.rendering import colorize_authenticity
from realfill.stages import export
from support.browser import DESKTOP, PHONE, appear, browser, fetched, logged, served
from support.finished_album import finish

PROJECT = Path(__file__).parents[2]
PICK = """realfill pick 'Ann & Bob'"'"'s (first) + =@,'"""
NASTY = "Ann & Bob's (first) + =@,"
ROWS: list[dict[str, object]] = [
    {"album": "burnt", "outcome": "quarantined", "reason": "/srv/lib/burnt/target/target.tif: <b>It is damaged.</b>"},
    {"album": "harbour", "outcome": "failed", "reason": "Not even one sample fits the memory.", "scores": {}},
    {"album": "motorcycle", "outcome": "completed", "reason": "", "scores": {"authenticity": 0.125}},
    {"album": NASTY, "outcome": "completed", "scores": {"authenticity": 0.875, "matches": 3}},
]
AXE = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    """A library's data: five albums in all states, one of them picked by hand and with an authenticity map."""
    data = tmp_path_factory.mktemp("library") / "data"
    names = ("motorcycle", "begun", "harbour", NASTY)
    folders = [Path(shutil.copytree(_small_album, data / "albums" / name)) for name in names]
    for folder in folders:
        (folder / "dvc.yaml").touch()
    albums = [finish(folder) for folder in folders]
    for album in albums:
        export.run(album, load_params(assignments=["blend.candidate=1"] * (album.name == "motorcycle")))
    shutil.rmtree(albums[1].completed)
    add_authenticity(albums[0])
    write_gallery(albums, data / "gallery", rows=ROWS)
    return data


def add_authenticity(album: Album) -> None:
    """Write a map of three stripes over the hole, and the page that shows it."""
    mask = read_png(mask_path(album))
    stripes = np.array([85, 170, 255, 255], np.uint8)[np.arange(mask.shape[1]) * 4 // mask.shape[1]]
    write_png(album.completed / "authenticity.png", np.where(mask > 0, stripes, np.uint8(0)))
    document = read_document(album.provenance)
    shutil.rmtree(album.completed / "page")
    write_album_page(album, read_srgb(album.completed / document["photo"]), document, album.completed / "page")


@pytest.fixture(scope="module", params=["file", "http"])
def site(request: pytest.FixtureRequest, data: Path) -> Iterator[str]:
    """The address of the library's data, from the disk and from a web server."""
    if request.param == "file":
        yield data.as_uri()
        return
    with served(data) as address:
        yield address


@pytest.fixture(scope="module")
def window() -> Iterator[Chrome]:
    with browser() as chrome:
        yield chrome


@pytest.fixture
def chrome(window: Chrome) -> Iterator[Chrome]:
    """A window that has shown no page yet; its console must stay empty."""
    window.get("about:blank")
    appear(window)
    logged(window)
    yield window
    assert logged(window) == []


def gallery(chrome: Chrome, site: str) -> None:
    chrome.get(f"{site}/gallery/index.html")


def album_page(chrome: Chrome, site: str, name: str = "motorcycle") -> None:
    chrome.get(f"{site}/albums/{name}/completed/page/index.html")


def one(chrome: Chrome, selector: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, selector)


def choose(chrome: Chrome, text: str) -> None:
    """Choose the radio button with this label."""
    next(label for label in chrome.find_elements(By.CSS_SELECTOR, ".choice label") if text in label.text).click()


def shown(chrome: Chrome) -> list[str]:
    """The names of the albums that can be seen, in their order."""
    return [title.text for title in chrome.find_elements(By.CSS_SELECTOR, ".album h3") if title.is_displayed()]


def exposures(chrome: Chrome) -> list[float]:
    """How far the sliders' dividers are from their left edges, in percent."""
    return list(
        chrome.execute_script("return [...document.querySelectorAll('img-comparison-slider')].map((s) => s.value)")
    )


def test_the_gallery_shows_failures_first_with_their_reasons(chrome: Chrome, site: str) -> None:
    gallery(chrome, site)
    assert shown(chrome) == ["burnt", "harbour", "begun", NASTY, "motorcycle"]
    titles = [title.text for title in chrome.find_elements(By.CSS_SELECTOR, "h2")]
    assert titles == ["Failed", "Not finished", "Finished"]
    failed = one(chrome, "#failed").text
    assert "quarantined target/target.tif: <b>It is damaged.</b>" in failed
    assert "Not even one sample fits the memory." in failed
    assert "authenticity 0.875" in one(chrome, "#finished").text


def test_the_filter_filters_and_the_way_back_leads_to_the_same_list(chrome: Chrome, site: str) -> None:
    gallery(chrome, site)
    one(chrome, "body").send_keys("/")
    chrome.switch_to.active_element.send_keys("BOB ann")
    assert shown(chrome) == [NASTY]
    assert one(chrome, "#count").text == "1 of 5 albums"
    one(chrome, ".album:not([hidden]) a").send_keys(Keys.ENTER)
    WebDriverWait(chrome, 10).until(lambda driver: driver.title.startswith(NASTY))
    chrome.back()
    WebDriverWait(chrome, 10).until(lambda driver: driver.title == "Albums")
    assert shown(chrome) == [NASTY]
    choose(chrome, "Failed")
    assert shown(chrome) == []
    one(chrome, "#reset").click()
    assert len(shown(chrome)) == 5
    choose(chrome, "Failed")
    assert shown(chrome) == ["burnt", "harbour"]
    choose(chrome, "Finished")
    one(chrome, "#find").send_keys("damaged")
    assert shown(chrome) == []


def test_albums_are_ordered_by_a_score(chrome: Chrome, site: str) -> None:
    gallery(chrome, site)
    choose(chrome, "Finished")
    assert shown(chrome) == [NASTY, "motorcycle"]
    labels = [option.text for option in chrome.find_elements(By.CSS_SELECTOR, "#order option")]
    assert "authenticity, lowest first" in labels
    one(chrome, "#order option[value=authenticity]").click()
    assert shown(chrome) == ["motorcycle", NASTY]
    one(chrome, "#order option[value=name]").click()
    assert shown(chrome) == [NASTY, "motorcycle"]


def test_the_divider_follows_the_mouse(chrome: Chrome, site: str) -> None:
    album_page(chrome, site)
    slider = one(chrome, "img-comparison-slider")
    width = slider.size["width"]
    ActionChains(chrome).drag_and_drop_by_offset(slider, round(width / 4), 0).perform()
    assert exposures(chrome) == pytest.approx([75.0] * len(exposures(chrome)), abs=1)
    assert one(chrome, "#divider").get_property("value") == "75"


def test_the_divider_follows_the_keyboard(chrome: Chrome, site: str) -> None:
    album_page(chrome, site)
    divider = one(chrome, "#divider")
    for _ in range(20):
        if chrome.switch_to.active_element == divider:
            break
        ActionChains(chrome).send_keys(Keys.TAB).perform()
    ActionChains(chrome).send_keys(Keys.ARROW_RIGHT * 3).perform()
    assert exposures(chrome)[0] == 53
    assert divider.get_attribute("aria-valuetext") == "before 53 %, after 47 %"
    ActionChains(chrome).send_keys(Keys.HOME).perform()
    assert exposures(chrome)[0] == 0


@pytest.mark.parametrize("secure", [True, False], ids=["secure", "plain"])
def test_the_command_that_picks_a_candidate_is_there_and_is_copied(window: Chrome, site: str, secure: bool) -> None:
    album_page(window, site, NASTY)
    if not secure:
        window.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    commands = window.find_elements(By.CSS_SELECTOR, ".command")
    assert [command.text.split("\n")[0] for command in commands] == [f"{PICK} 0", f"{PICK} 2"]
    commands[1 - secure].find_element(By.TAG_NAME, "button").click()
    WebDriverWait(window, 10).until(lambda driver: one(driver, "#said").get_property("textContent") == "Copied.")
    gallery(window, site)
    one(window, "#find").send_keys(Keys.CONTROL, "v")
    assert one(window, "#find").get_property("value") == f"{PICK} {0 if secure else 2}"


def test_a_choice_made_by_hand_is_told_and_can_be_taken_back(chrome: Chrome, site: str) -> None:
    album_page(chrome, site)
    assert "picked, delivered" in one(chrome, ".chosen").text
    assert one(chrome, ".undo code").text == "realfill pick motorcycle best"


def test_candidates_are_enlarged_and_flipped_through(chrome: Chrome, site: str) -> None:
    album_page(chrome, site)
    viewer, links = one(chrome, "#viewer"), chrome.find_elements(By.CSS_SELECTOR, "ol .enlarge")
    assert not viewer.is_displayed()
    links[0].send_keys(Keys.ENTER)
    assert viewer.is_displayed()
    assert "Candidate 1" in viewer.text
    ActionChains(chrome).send_keys(Keys.ARROW_RIGHT).perform()
    assert "Candidate 0" in viewer.text
    source = viewer.find_element(By.TAG_NAME, "img").get_property("src")
    assert str(source).endswith("/candidate-000.jpg")
    ActionChains(chrome).send_keys(Keys.ESCAPE).perform()
    assert not viewer.is_displayed()
    assert chrome.switch_to.active_element == links[1]


def test_the_authenticity_map_is_laid_over_the_filled_part_when_asked_for(chrome: Chrome, data: Path) -> None:
    album_page(chrome, data.as_uri())
    legend = one(chrome, ".legend").text
    assert [line.split(" % ")[1] for line in legend.splitlines()] == [
        "pixels of the references",
        "generated and confirmed by matches",
        "generated only",
    ]
    assert sum(int(line.split(" % ")[0]) for line in legend.splitlines()) == pytest.approx(100, abs=1)
    layers = chrome.find_elements(By.CSS_SELECTOR, ".layer")
    assert not any(layer.is_displayed() for layer in layers)
    one(chrome, "#authenticity").click()
    assert [layer.is_displayed() for layer in layers] == [True, False]
    choose(chrome, "Filled part")
    assert [layer.is_displayed() for layer in layers] == [False, True]


def test_the_layer_is_clear_outside_the_hole_and_has_a_colour_for_each_kind() -> None:
    drawn = colorize_authenticity(np.array([[2, 0, 1, 2]]), np.array([[0, 255, 255, 255]], np.uint8))
    assert drawn.shape == (1, 4, 4)
    assert (drawn[0, :, 3] > 0).tolist() == [False, True, True, True]
    assert len({tuple(colour) for colour in drawn[0, 1:, :3].tolist()}) == 3


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit_the_window(
    chrome: Chrome, data: Path, size: tuple[int, int], scheme: str
) -> None:
    appear(chrome, size, scheme)
    grounds = []
    for visit in (gallery, album_page):
        visit(chrome, data.as_uri())
        grounds.append(one(chrome, "body").value_of_css_property("background-color"))
        assert chrome.execute_script("return document.documentElement.scrollWidth <= document.body.clientWidth")
        chrome.execute_script(AXE)
        found = chrome.execute_async_script("axe.run().then(arguments[0])")
        assert len(found["passes"]) > 20
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    light = {"rgba(244, 244, 244, 1)"}
    assert (set(grounds) == light) == (scheme == "light")


def test_nothing_is_fetched_from_anywhere_else(chrome: Chrome, site: str) -> None:
    for visit in (gallery, album_page):
        fetched(chrome)
        visit(chrome, site)
        addresses = fetched(chrome)
        assert any(address.endswith(".jpg") for address in addresses)
        assert [address for address in addresses if not address.startswith((f"{site}/", "data:"))] == []
        broken = (
            "return [...document.images].filter((image) => image.src && image.complete && !image.naturalWidth).length"
        )
        assert chrome.execute_script(broken) == 0


def test_a_script_that_comes_into_a_page_does_not_run(window: Chrome, data: Path, tmp_path: Path) -> None:
    for name in ("gallery", "albums/motorcycle/completed/page"):
        html = (data / name / "index.html").read_text()
        injected = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><p style='color: red'>"
        (tmp_path / "index.html").write_text(html.replace("<main>", f"<main>{injected}"))
        window.get((tmp_path / "index.html").as_uri())
        assert window.execute_script("return window.hacked") is None
        blocked = [line for line in logged(window) if "Content Security Policy" in line]
        assert len(blocked) >= 3


def test_a_thousand_albums_are_one_small_page_whose_pictures_come_when_they_are_seen(
    chrome: Chrome, tmp_path: Path
) -> None:
    bench: list[str | Path] = [sys.executable, PROJECT / "bench" / "gallery.py", tmp_path, "1000"]
    told = subprocess.run(bench, check=True, capture_output=True, text=True).stdout
    assert told.splitlines()[-1].startswith("| 1000 |")
    assert (tmp_path / "gallery" / "index.html").stat().st_size < 1_000_000
    gallery(chrome, tmp_path.as_uri())
    assert one(chrome, "#count").text == "1000 albums"
    assert 0 < sum(name.endswith(".jpg") for name in fetched(chrome)) < 200
    one(chrome, "#find").send_keys("0777")
    assert shown(chrome) == ["wedding 0777, reception"]


def test_pages_hold_no_position_of_the_photos(album_folder: Path, tmp_path: Path) -> None:
    for path in (album_folder / "target" / "target.png", *(album_folder / "ref").glob("*.png")):
        with Image.open(path) as photo:
            exif = Image.Exif()
            exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)})
            exif[0x010E] = "taken at home"
            photo.save(path, exif=exif)
        with Image.open(path) as photo:
            assert photo.getexif().get_ifd(0x8825)
    album = finish(album_folder)
    result = export.run(album, load_params())
    listed = write_gallery([album], tmp_path / "gallery")
    for path in [*result.page.parent.iterdir(), result.provenance, listed]:
        data = path.read_bytes()
        assert b"taken at home" not in data
        assert b"Exif" not in data
        if path.suffix in (".jpg", ".png"):
            with Image.open(path) as picture:
                assert not picture.getexif()


def test_an_album_whose_provenance_cannot_be_read_is_listed_as_failed(album_folder: Path, tmp_path: Path) -> None:
    album = finish(album_folder)
    result = export.run(album, load_params())
    for text in ("{", "{}", '{"ranking": [], "candidate": 1, "hole": {"hole": 1}}', "[]"):
        result.provenance.write_text(text)
        write_gallery([album], tmp_path / "gallery")
        assert json.loads((tmp_path / "gallery" / "metrics.json").read_text())["failed"] == ["motorcycle"]
