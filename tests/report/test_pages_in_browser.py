"""The gallery and the page of an album in a real Chromium."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
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
from realfill.stages import export
from support.browser import DESKTOP, PHONE, emulate, find_violations, open_browser, read_console, read_requests, serve
from support.finished_album import finish

PROJECT = Path(__file__).parents[2]
PICK = """realfill pick 'Ann & Bob'"'"'s (first) + =@,'"""
NASTY = "Ann & Bob's (first) + =@,"
ROWS: list[dict[str, object]] = [
    {"album": "burnt", "outcome": "quarantined", "reason": "/srv/lib/burnt/target/target.tif: <b>It is damaged.</b>"},
    {"album": "harbor", "outcome": "failed", "reason": "Not even one sample fits the memory.", "scores": {}},
    {"album": "motorcycle", "outcome": "completed", "reason": "", "scores": {"authenticity": 0.125}},
    {"album": NASTY, "outcome": "completed", "scores": {"authenticity": 0.875, "matches": 3}},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    """A library's data: five albums in all states, one of them picked by hand and with an authenticity map."""
    data = tmp_path_factory.mktemp("library") / "data"
    names = ("motorcycle", "begun", "harbor", NASTY)
    folders = [Path(shutil.copytree(_small_album, data / "albums" / name)) for name in names]
    for folder in folders:
        (folder / "dvc.yaml").touch()
    albums = [finish(folder) for folder in folders]
    for album in albums:
        export.run(album, load_params(assignments=["blend.candidate=1"] * (album.name == "motorcycle")))
    shutil.rmtree(albums[1].completed)
    add_authenticity_map(albums[0])
    write_gallery(albums, data / "gallery", rows=ROWS)
    return data


def add_authenticity_map(album: Album) -> None:
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
    with serve(data) as address:
        yield address


@pytest.fixture(scope="module")
def window() -> Iterator[Chrome]:
    with open_browser() as chrome:
        yield chrome


@pytest.fixture
def chrome(window: Chrome) -> Iterator[Chrome]:
    """A window that has shown no page yet; its console must stay empty."""
    window.get("about:blank")
    emulate(window)
    read_console(window)
    yield window
    assert read_console(window) == []


def open_gallery(chrome: Chrome, site: str) -> None:
    chrome.get(f"{site}/gallery/index.html")


def open_album_page(chrome: Chrome, site: str, name: str = "motorcycle") -> None:
    chrome.get(f"{site}/albums/{name}/completed/page/index.html")


def find_one(chrome: Chrome, selector: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, selector)


def wait_until(chrome: Chrome, condition: Callable[[], bool]) -> None:
    """Wait for what the browser does later than the call that causes it."""
    WebDriverWait(chrome, 20, poll_frequency=0.05).until(lambda _: condition())


def read_requests_for_pictures(chrome: Chrome) -> list[str]:
    """The addresses of all requests since the last call, some of which are for pictures, which load late."""
    addresses: list[str] = []

    def has_pictures() -> bool:
        addresses.extend(read_requests(chrome))
        return any(address.endswith(".jpg") for address in addresses)

    wait_until(chrome, has_pictures)
    return addresses


def choose(chrome: Chrome, text: str) -> None:
    """Choose the radio button with this label."""
    next(label for label in chrome.find_elements(By.CSS_SELECTOR, ".segmented label") if text in label.text).click()


def visible_albums(chrome: Chrome) -> list[str]:
    """The names of the albums that can be seen, in their order."""
    return [title.text for title in chrome.find_elements(By.CSS_SELECTOR, ".album h3") if title.is_displayed()]


def divider_positions(chrome: Chrome) -> list[float]:
    """How far the sliders' dividers are from their left edges, in percent."""
    return list(
        chrome.execute_script("return [...document.querySelectorAll('img-comparison-slider')].map((s) => s.value)")
    )


def test_the_gallery_shows_failures_first_with_their_reasons(chrome: Chrome, site: str) -> None:
    open_gallery(chrome, site)
    assert visible_albums(chrome) == ["burnt", "harbor", "begun", NASTY, "motorcycle"]
    titles = [title.text for title in chrome.find_elements(By.CSS_SELECTOR, "h2")]
    assert titles == ["Failed", "Not finished", "To be looked at"]
    failed = find_one(chrome, "#failed").text
    assert "quarantined target/target.tif: <b>It is damaged.</b>" in failed
    assert "Not even one sample fits the memory." in failed
    assert "authenticity 0.875" in find_one(chrome, "#look").text


def test_the_filter_filters_and_the_way_back_leads_to_the_same_list(chrome: Chrome, site: str) -> None:
    open_gallery(chrome, site)
    find_one(chrome, "body").send_keys("/")
    chrome.switch_to.active_element.send_keys("BOB ann")
    assert visible_albums(chrome) == [NASTY]
    assert find_one(chrome, "#count").text == "1 of 5 albums"
    find_one(chrome, ".album:not([hidden]) a").send_keys(Keys.ENTER)
    wait_until(chrome, lambda: chrome.title.startswith(NASTY))
    chrome.back()
    wait_until(chrome, lambda: chrome.title == "Albums")
    wait_until(chrome, lambda: visible_albums(chrome) == [NASTY])
    choose(chrome, "Failed")
    assert visible_albums(chrome) == []
    find_one(chrome, "#reset").click()
    assert len(visible_albums(chrome)) == 5
    choose(chrome, "Failed")
    assert visible_albums(chrome) == ["burnt", "harbor"]
    choose(chrome, "To be looked at")
    find_one(chrome, "#search").send_keys("damaged")
    assert visible_albums(chrome) == []


def test_albums_are_sorted_by_a_score(chrome: Chrome, site: str) -> None:
    open_gallery(chrome, site)
    choose(chrome, "To be looked at")
    assert visible_albums(chrome) == [NASTY, "motorcycle"]
    labels = [option.text for option in chrome.find_elements(By.CSS_SELECTOR, "#sort option")]
    assert "by authenticity, lowest first" in labels
    find_one(chrome, "#sort option[value=authenticity]").click()
    assert visible_albums(chrome) == ["motorcycle", NASTY]
    find_one(chrome, "#sort option[value=name]").click()
    assert visible_albums(chrome) == [NASTY, "motorcycle"]


def test_the_divider_follows_the_mouse(chrome: Chrome, site: str) -> None:
    open_album_page(chrome, site)
    slider = find_one(chrome, "img-comparison-slider")
    width = slider.size["width"]
    ActionChains(chrome).drag_and_drop_by_offset(slider, round(width / 4), 0).perform()
    assert divider_positions(chrome) == pytest.approx([75.0] * len(divider_positions(chrome)), abs=1)
    assert find_one(chrome, "#divider").get_property("value") == "75"


def test_the_divider_follows_the_keyboard(chrome: Chrome, site: str) -> None:
    open_album_page(chrome, site)
    divider = find_one(chrome, "#divider")
    for _ in range(20):
        if chrome.switch_to.active_element == divider:
            break
        ActionChains(chrome).send_keys(Keys.TAB).perform()
    ActionChains(chrome).send_keys(Keys.ARROW_RIGHT * 3).perform()
    assert divider_positions(chrome)[0] == 53
    assert divider.get_attribute("aria-valuetext") == "before 53 %, after 47 %"
    ActionChains(chrome).send_keys(Keys.HOME).perform()
    assert divider_positions(chrome)[0] == 0


@pytest.mark.parametrize("secure", [True, False], ids=["secure", "plain"])
def test_the_command_that_picks_a_candidate_is_there_and_is_copied(window: Chrome, site: str, secure: bool) -> None:
    open_album_page(window, site, NASTY)
    if not secure:
        window.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    commands = window.find_elements(By.CSS_SELECTOR, ".command")
    assert [command.text.split("\n")[0] for command in commands] == [f"{PICK} 0", f"{PICK} 2"]
    commands[1 - secure].find_element(By.TAG_NAME, "button").click()
    wait_until(window, lambda: find_one(window, "#status").get_property("textContent") == "Copied.")
    open_gallery(window, site)
    find_one(window, "#search").send_keys(Keys.CONTROL, "v")
    wait_until(window, lambda: find_one(window, "#search").get_property("value") == f"{PICK} {0 if secure else 2}")


def test_a_candidate_picked_by_hand_is_marked_and_can_be_undone(chrome: Chrome, site: str) -> None:
    open_album_page(chrome, site)
    assert "picked, delivered" in find_one(chrome, ".chosen").text
    assert find_one(chrome, ".undo code").text == "realfill pick motorcycle best"


def test_candidates_are_enlarged_one_after_the_other(chrome: Chrome, site: str) -> None:
    open_album_page(chrome, site)
    viewer, links = find_one(chrome, "#viewer"), chrome.find_elements(By.CSS_SELECTOR, "ol .enlarge")
    assert not viewer.is_displayed()
    links[0].send_keys(Keys.ENTER)
    assert viewer.is_displayed()
    assert "Candidate 1" in viewer.text
    ActionChains(chrome).send_keys(Keys.ARROW_RIGHT).perform()
    assert "Candidate 0" in viewer.text
    source = viewer.find_element(By.TAG_NAME, "img").get_property("src")
    assert str(source).endswith("/candidate-000.jpg")
    ActionChains(chrome).send_keys(Keys.ESCAPE).perform()
    wait_until(chrome, lambda: not viewer.is_displayed())
    wait_until(chrome, lambda: chrome.switch_to.active_element == links[1])  # the focus moves in a later event


def test_the_authenticity_map_covers_the_filled_part_when_it_is_switched_on(chrome: Chrome, data: Path) -> None:
    open_album_page(chrome, data.as_uri())
    legend = find_one(chrome, ".legend").text
    assert [line.split(" % ")[1] for line in legend.splitlines()] == [
        "pixels of the references",
        "likely: references agree less, or matches confirm it",
        "generated or uncertain",
    ]
    assert sum(int(line.split(" % ")[0]) for line in legend.splitlines()) == pytest.approx(100, abs=1)
    layers = chrome.find_elements(By.CSS_SELECTOR, ".overlay")
    assert not any(layer.is_displayed() for layer in layers)
    find_one(chrome, "#authenticity").click()
    assert [layer.is_displayed() for layer in layers] == [True, False]
    choose(chrome, "Filled part")
    assert [layer.is_displayed() for layer in layers] == [False, True]


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit_the_window(
    chrome: Chrome, data: Path, size: tuple[int, int], scheme: str
) -> None:
    emulate(chrome, size, scheme)
    backgrounds = []
    for visit in (open_gallery, open_album_page):
        visit(chrome, data.as_uri())
        backgrounds.append(find_one(chrome, "body").value_of_css_property("background-color"))
        assert chrome.execute_script("return document.documentElement.scrollWidth <= document.body.clientWidth")
        assert find_violations(chrome) == []
    light = {"rgba(244, 244, 244, 1)"}
    assert (set(backgrounds) == light) == (scheme == "light")


def test_nothing_is_fetched_from_anywhere_else(chrome: Chrome, site: str) -> None:
    for visit in (open_gallery, open_album_page):
        read_requests(chrome)
        visit(chrome, site)
        addresses = read_requests_for_pictures(chrome)
        assert [address for address in addresses if not address.startswith((f"{site}/", "data:"))] == []
        broken = (
            "return [...document.images].filter((image) => image.src && image.complete && !image.naturalWidth).length"
        )
        assert chrome.execute_script(broken) == 0


def test_a_script_that_gets_into_a_page_does_not_run(window: Chrome, data: Path, tmp_path: Path) -> None:
    for name in ("gallery", "albums/motorcycle/completed/page"):
        html = (data / name / "index.html").read_text()
        injected = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><p style='color: red'>"
        (tmp_path / "index.html").write_text(html.replace("<main>", f"<main>{injected}"))
        window.get((tmp_path / "index.html").as_uri())
        assert window.execute_script("return window.hacked") is None
        lines: list[str] = []

        def has_told(lines: list[str] = lines) -> bool:
            lines.extend(read_console(window))
            return sum("Content Security Policy" in line for line in lines) >= 3

        wait_until(window, has_told)
        assert window.execute_script("return window.hacked") is None


def test_a_thousand_albums_are_one_small_page_whose_pictures_load_when_they_are_scrolled_to(
    chrome: Chrome, tmp_path: Path
) -> None:
    bench: list[str | Path] = [sys.executable, PROJECT / "bench" / "gallery.py", tmp_path, "1000"]
    output = subprocess.run(bench, check=True, capture_output=True, text=True).stdout
    assert output.splitlines()[-1].startswith("| 1000 |")
    assert (tmp_path / "gallery" / "index.html").stat().st_size < 1_000_000
    open_gallery(chrome, tmp_path.as_uri())
    assert find_one(chrome, "#count").text == "1000 albums"
    assert sum(name.endswith(".jpg") for name in read_requests_for_pictures(chrome)) < 200
    find_one(chrome, "#search").send_keys("0777")
    assert visible_albums(chrome) == ["wedding 0777, reception"]
