"""The review app in a real Chromium: what is shown, and what keys and strokes decide."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from realfill.library.gallery import write_folder_gallery
from realfill.photo_io.color_management import read_srgb
from realfill.review.decisions import Decision
from realfill.review.journal import Journal, load_decisions
from realfill.review.mask_edits import read_repainted
from support.browser import DESKTOP, PHONE, emulate, find_violations, open_browser, read_console, read_requests
from support.reviews import review, write_finished_albums

NAMES = ("Ann & Bob's (first) + =@,", "barn", "harbor", "roof", "shed")
LAYER = "return document.body.dataset.layer"
TILES = """return performance.getEntriesByType("resource").filter(
    (entry) => entry.name.includes("/roof/choice/")).length"""
ANSWERS = """return performance.getEntriesByType("resource").filter(
    (entry) => entry.name.endsWith("/api/decisions")).length"""


@pytest.fixture(scope="module")
def albums(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    albums = write_finished_albums(tmp_path_factory.mktemp("reviewed") / "albums", _small_album, NAMES)
    write_folder_gallery(albums)
    return albums


@pytest.fixture(scope="module")
def window(albums: Path) -> Iterator[Chrome]:
    with review(albums) as (address, _), open_browser() as chrome:
        chrome.get(address)
        yield chrome


@pytest.fixture
def chrome(window: Chrome, albums: Path) -> Iterator[Chrome]:
    """The app with nothing decided yet; its console must stay empty."""
    (albums / ".review" / "journal.jsonl").unlink(missing_ok=True)
    emulate(window)
    start(window)
    read_console(window)
    yield window
    assert read_console(window) == []


def start(chrome: Chrome, name: str = "") -> None:
    """Load the page anew."""
    address = chrome.current_url.partition("#")[0].partition("?")[0]
    chrome.get("about:blank")
    chrome.get(f"{address}#{quote(name)}" if name else address)
    wait_for(chrome, name or NAMES[0])


def wait_for(chrome: Chrome, name: str, layer: str = "") -> None:
    """Wait until an album, and a layer of it, is completely on the screen."""
    script = "return [document.body.dataset.shown, document.body.dataset.layer ?? '']"

    def is_shown(driver: Chrome) -> bool:
        shown = driver.execute_script(script)
        return shown[0] == name and shown[1].startswith(layer or "a")

    WebDriverWait(chrome, 60, 0.02).until(is_shown)


def press(chrome: Chrome, *keys: str) -> None:
    ActionChains(chrome).send_keys(*keys).perform()


def undo(chrome: Chrome) -> None:
    ActionChains(chrome).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()


def decided(albums: Path, expected: Callable[[dict[str, Decision]], bool]) -> dict[str, Decision]:
    """What is decided on the disk, as soon as it is as expected."""
    WebDriverWait(None, 20, 0.05).until(lambda _: expected(load_decisions(albums)))  # type: ignore[type-var]
    return load_decisions(albums)


def verdicts(albums: Path) -> dict[str, str | None]:
    return {name: decision.verdict for name, decision in load_decisions(albums).items() if decision.verdict}


def read_screen(chrome: Chrome) -> np.ndarray:
    """The pixels of the screen, [H, W, 3]."""
    data = chrome.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def element(chrome: Chrome, selector: str) -> WebElement:
    return chrome.find_element(By.CSS_SELECTOR, selector)


def drag(chrome: Chrome, *points: tuple[int, int]) -> None:
    """Drag over the drawing, through points relative to its middle."""
    chain = ActionChains(chrome, duration=20)
    canvas = element(chrome, "#drawing")
    chain.move_to_element_with_offset(canvas, *points[0]).click_and_hold()
    for point in points[1:]:
        chain.move_to_element_with_offset(canvas, *point)
    chain.release().perform()


def test_five_albums_are_reviewed_by_keyboard_alone(chrome: Chrome, albums: Path) -> None:
    for name, key in zip(NAMES, "axaax", strict=True):
        wait_for(chrome, name)
        press(chrome, key)
    decisions = decided(albums, lambda decisions: len(decisions) == 5)
    assert [decisions[name].verdict for name in NAMES] == [
        "approved",
        "rejected",
        "approved",
        "approved",
        "rejected",
    ]
    element(chrome, "[data-reason=blurred]").click()
    assert decided(albums, lambda decisions: bool(decisions["shed"].reason))["shed"].reason == "blurred"
    start(chrome, NAMES[0])
    assert "approved" in element(chrome, "#about").text


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_question_for_a_reason_hides_no_button_and_goes_away(
    chrome: Chrome, albums: Path, size: tuple[int, int]
) -> None:
    emulate(chrome, size)
    start(chrome)
    press(chrome, "x")
    wait_for(chrome, NAMES[1])
    question = element(chrome, "#reasons").rect
    for button in chrome.find_elements(By.CSS_SELECTOR, "header button, footer button"):
        rect = button.rect
        assert rect["height"] == 0 or rect["y"] >= question["y"] + question["height"] or rect["y"] < question["y"]
    element(chrome, "[data-action=dismiss]").click()
    assert not element(chrome, "#reasons").is_displayed()
    assert decided(albums, bool)[NAMES[0]].reason == ""


def test_keys_that_come_too_fast_decide_about_no_album_that_was_not_seen(chrome: Chrome, albums: Path) -> None:
    chrome.execute_script(
        "window.seen = []; new MutationObserver(() => window.seen.push(document.body.dataset.shown))"
        ".observe(document.body, {attributes: true, attributeFilter: ['data-shown']})"
    )
    press(chrome, "a" * 12)
    sent = "return Number(document.getElementById('progress').textContent.split(' ')[0])"
    WebDriverWait(chrome, 20, 0.05).until(lambda driver: driver.execute_script(sent) == len(verdicts(albums)) > 0)
    approved = set(verdicts(albums))
    assert approved <= {NAMES[0], *chrome.execute_script("return window.seen")}


def test_undo_goes_back_over_albums_and_survives_a_reload(chrome: Chrome, albums: Path) -> None:
    press(chrome, "a")
    wait_for(chrome, NAMES[1])
    press(chrome, "x")
    wait_for(chrome, NAMES[2])
    decided(albums, lambda _: len(verdicts(albums)) == 2)
    undo(chrome)
    wait_for(chrome, NAMES[1])
    decided(albums, lambda _: verdicts(albums) == {NAMES[0]: "approved"})
    start(chrome, NAMES[1])
    undo(chrome)
    wait_for(chrome, NAMES[0])
    decided(albums, lambda _: verdicts(albums) == {})


def test_two_tabs_lose_nothing_of_one_another(chrome: Chrome, albums: Path) -> None:
    first = chrome.current_window_handle
    address = chrome.current_url.partition("#")[0]
    chrome.switch_to.new_window("tab")
    emulate(chrome)
    chrome.get(f"{address}#roof")
    wait_for(chrome, "roof")
    press(chrome, "x")
    decided(albums, lambda _: verdicts(albums) == {"roof": "rejected"})
    chrome.close()
    chrome.switch_to.window(first)
    wait_for(chrome, NAMES[0])
    press(chrome, "a")
    decided(albums, lambda _: len(verdicts(albums)) == 2)
    wait_for(chrome, NAMES[1])
    undo(chrome)
    decided(albums, lambda _: verdicts(albums) == {"roof": "rejected"})


def test_what_another_window_chose_is_not_approved_unseen(chrome: Chrome, albums: Path) -> None:
    first = chrome.current_window_handle
    address = chrome.current_url.partition("#")[0]
    start(chrome, "roof")
    chrome.switch_to.new_window("window")
    emulate(chrome)
    chrome.get(f"{address}#roof")
    wait_for(chrome, "roof")
    press(chrome, "2")
    wait_for(chrome, "roof", "candidate/0")
    press(chrome, "c")
    decided(albums, lambda decisions: decisions["roof"].candidate == 0 if decisions else False)
    handle = chrome.current_window_handle
    chrome.switch_to.window(first)
    chrome.execute_script("document.addEventListener('visibilitychange', (e) => e.stopImmediatePropagation(), true)")
    press(chrome, "a")
    WebDriverWait(chrome, 20, 0.05).until(lambda driver: "meanwhile" in element(driver, "#message").text)
    wait_for(chrome, "roof", "choice/0")
    assert verdicts(albums) == {}
    latest = [entry.id for entry in Journal(albums).read() if entry.subject == "pick"][-1]
    polygon = [[20, 20], [40, 20], [40, 40]]
    Journal(albums).append("roof", "region", {"candidate": 2, "polygon": polygon}, after=latest)
    shown = chrome.execute_script(TILES)
    press(chrome, "a")
    WebDriverWait(chrome, 20, 0.05).until(lambda driver: driver.execute_script(TILES) > shown)
    wait_for(chrome, "roof", "choice/0")
    assert verdicts(albums) == {}
    press(chrome, "a")
    decided(albums, lambda _: verdicts(albums) == {"roof": "approved"})
    chrome.switch_to.window(handle)
    chrome.close()
    chrome.switch_to.window(first)
    read_console(chrome)  # the answer that refused it is told there


def test_a_reason_is_written_by_keyboard(chrome: Chrome, albums: Path) -> None:
    press(chrome, "x")
    wait_for(chrome, NAMES[1])
    press(chrome, Keys.ENTER, "bad", Keys.ENTER)
    decided(albums, lambda decisions: decisions[NAMES[0]].reason == "bad")
    assert verdicts(albums) == {NAMES[0]: "rejected"}
    assert not element(chrome, "#reasons").is_displayed()
    press(chrome, "a")
    decided(albums, lambda _: verdicts(albums) == {NAMES[0]: "rejected", NAMES[1]: "approved"})


def test_a_reason_that_is_given_up_is_not_sent(chrome: Chrome, albums: Path) -> None:
    press(chrome, "x")
    wait_for(chrome, NAMES[1])
    press(chrome, Keys.ENTER, "bad", Keys.ESCAPE)
    element(chrome, "body").click()
    press(chrome, "a")
    decided(albums, lambda _: verdicts(albums) == {NAMES[0]: "rejected", NAMES[1]: "approved"})
    assert load_decisions(albums)[NAMES[0]].reason == ""


def test_a_stroke_tells_that_it_takes_chosen_candidates_back(chrome: Chrome, albums: Path) -> None:
    press(chrome, "2")
    wait_for(chrome, NAMES[0], "candidate/0")
    press(chrome, "c")
    wait_for(chrome, NAMES[0], "choice/0")
    press(chrome, "m")
    drag(chrome, (0, 0), (20, 0))
    decided(albums, lambda decisions: bool(decisions[NAMES[0]].strokes))
    assert "are taken back" in element(chrome, "#message").text


def test_keys_are_silent_in_text_fields_and_where_they_are_switched_off(chrome: Chrome, albums: Path) -> None:
    note = element(chrome, "#note")
    note.click()
    press(chrome, "axz?m1", Keys.TAB)
    assert decided(albums, bool)[NAMES[0]].note == "axz?m1"
    element(chrome, "[data-action=help]").click()
    element(chrome, "#single-keys").click()
    press(chrome, Keys.ESCAPE, "a")
    assert verdicts(albums) == {}
    element(chrome, "[data-action=help]").click()
    element(chrome, "#single-keys").click()
    press(chrome, Keys.ESCAPE)
    element(chrome, "[data-action=approve]").click()
    decided(albums, lambda _: verdicts(albums) == {NAMES[0]: "approved"})


def test_another_candidate_is_shown_in_the_whole_photo_and_used(chrome: Chrome, albums: Path) -> None:
    press(chrome, "2")
    wait_for(chrome, NAMES[0], "candidate/0")
    press(chrome, "c")
    wait_for(chrome, NAMES[0], "choice/0")
    assert decided(albums, bool)[NAMES[0]].candidate == 0
    assert "candidate 0, not applied yet" in element(chrome, "#about").text
    press(chrome, "3")
    wait_for(chrome, NAMES[0], "candidate/2")
    press(chrome, "a")
    wait_for(chrome, NAMES[1])
    decision = decided(albums, lambda _: len(verdicts(albums)) == 1)[NAMES[0]]
    assert (decision.candidate, decision.verdict, decision.pending) == (2, "approved", True)


def test_a_part_of_another_candidate_is_taken_by_the_lasso(chrome: Chrome, albums: Path) -> None:
    press(chrome, "2")
    wait_for(chrome, NAMES[0], "candidate/0")
    press(chrome, "l")
    drag(chrome, (-40, -40), (40, -40), (40, 40), (-40, 40))
    wait_for(chrome, NAMES[0], "choice/0")
    (region,) = decided(albums, lambda decisions: bool(decisions[NAMES[0]].regions))[NAMES[0]].regions
    assert region.candidate == 0
    assert len(region.polygon) >= 4
    undo(chrome)
    decided(albums, lambda decisions: not decisions.get(NAMES[0], Decision()).regions)


def test_the_mask_is_repainted_up_to_its_edges_and_undone_stroke_by_stroke(chrome: Chrome, albums: Path) -> None:
    start(chrome, "harbor")
    press(chrome, "m")
    wait_for(chrome, "harbor")
    width = int(element(chrome, "#drawing").size["width"])
    drag(chrome, (0, 0), (width // 2 - 2, 0))  # beyond the photo's right edge
    strokes = decided(albums, lambda decisions: bool(decisions.get("harbor")))["harbor"].strokes
    decision = load_decisions(albums)["harbor"]
    mask = read_repainted(decision.base, strokes, albums / ".review")
    assert mask[mask.shape[0] // 2, -1] == 255
    wait_for(chrome, "harbor")
    press(chrome, "e")
    drag(chrome, (0, -20), (0, 20))
    decided(albums, lambda decisions: len(decisions["harbor"].strokes) == 2)
    decision = load_decisions(albums)["harbor"]
    mask = read_repainted(decision.base, decision.strokes, albums / ".review")
    assert mask[mask.shape[0] // 2, mask.shape[1] // 2] == 0
    press(chrome, "g")
    decided(albums, lambda decisions: decisions["harbor"].strokes[-1].tool == "grow")
    for left in (2, 1, 0):
        undo(chrome)
        wait_for_strokes(albums, left)


def wait_for_strokes(albums: Path, count: int) -> None:
    decided(albums, lambda decisions: len(decisions["harbor"].strokes) == count)


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_pixel_is_a_pixel(chrome: Chrome, albums: Path, ratio: int) -> None:
    emulate(chrome, ratio=ratio)
    start(chrome, "roof")
    press(chrome, "z")
    chrome.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    WebDriverWait(chrome, 20).until(lambda driver: driver.execute_script(LAYER) == "after/0")
    photo, screen = read_srgb(albums / "roof" / "completed" / "roof.png"), read_screen(chrome)
    stage = chrome.execute_script("return document.getElementById('photo').getBoundingClientRect().toJSON()")
    top, bottom = round(stage["top"] * ratio), round(stage["bottom"] * ratio)
    left, right = round(stage["left"] * ratio), round(stage["right"] * ratio)
    seen = screen[top:bottom, left:right]
    x, y = (seen.shape[1] - photo.shape[1]) // 2, (seen.shape[0] - photo.shape[0]) // 2
    places = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    shape = photo.shape[:2]
    assert any(
        np.array_equal(seen[row : row + shape[0], column : column + shape[1]], photo) for row, column in places
    )


def test_layers_are_compared_and_references_move_along(chrome: Chrome, albums: Path) -> None:
    for key, layer in (
        (Keys.ARROW_DOWN, "before/0"),
        ("0", "after/0"),
        ("s", "after/0"),
        ("d", "after/0"),
    ):
        press(chrome, key)
        wait_for(chrome, NAMES[0], layer)
    assert "difference" in str(element(chrome, "#stage").get_attribute("class"))
    assert element(chrome, "#shows").text == "Difference of before and Photo"
    ActionChains(chrome).key_down(" ").perform()
    assert element(chrome, "#shows").text == "Before"
    WebDriverWait(chrome, 20).until(lambda _: not element(chrome, "#stage").get_attribute("class"))  # true colors
    ActionChains(chrome).key_up(" ").perform()
    wait_for(chrome, NAMES[0], "after/0")
    press(chrome, "d")
    wait_for(chrome, NAMES[0], "after/0")
    press(chrome, "n")
    assert "Doubtful place 1 of 1" in element(chrome, "#message").text
    press(chrome, "r")  # at 100 % at once
    reference = read_srgb(albums / NAMES[0] / "ref" / "0.png")
    WebDriverWait(chrome, 20).until(lambda _: holds(read_screen(chrome), reference[100:140, 100:160]))


def holds(screen: np.ndarray, part: np.ndarray) -> bool:
    """Whether the screen shows a part of a picture, pixel by pixel."""
    return bool(cv2.minMaxLoc(cv2.matchTemplate(screen, part, cv2.TM_SQDIFF))[0] < 1)


def test_what_is_looked_at_stays_after_a_remark(chrome: Chrome, albums: Path) -> None:
    press(chrome, "r")
    Select(element(chrome, "#reference-name")).select_by_visible_text("1.png")
    button = element(chrome, "[data-shows='candidate/0']")
    chrome.execute_script("arguments[0].focus()", button)
    press(chrome, Keys.ENTER)
    wait_for(chrome, NAMES[0], "candidate/0")
    assert chrome.switch_to.active_element.get_attribute("data-shows") == "candidate/0"
    answers = chrome.execute_script(ANSWERS)
    element(chrome, "#note").send_keys("the sky", Keys.ESCAPE)
    WebDriverWait(chrome, 20).until(lambda driver: driver.execute_script(ANSWERS) > answers)
    assert Select(element(chrome, "#reference-name")).first_selected_option.text == "1.png"
    layers = [button.get_attribute("data-shows") for button in chrome.find_elements(By.CSS_SELECTOR, "[data-shows]")]
    press(chrome, Keys.ARROW_DOWN)
    wait_for(chrome, NAMES[0], str(layers[layers.index("candidate/0") + 1]))


def test_albums_are_searched_and_opened_from_the_list_and_from_the_gallery(chrome: Chrome) -> None:
    press(chrome, "/")
    press(chrome, "ha look")
    rows = chrome.find_elements(By.CSS_SELECTOR, "#albums button")
    assert [row.text.split("\n")[0] for row in rows] == ["harbor"]
    rows[0].click()
    wait_for(chrome, "harbor")
    element(chrome, "#gallery").click()
    WebDriverWait(chrome, 20).until(lambda driver: driver.title == "Albums")
    links = {link.get_attribute("href") for link in chrome.find_elements(By.CSS_SELECTOR, ".review-link")}
    assert len(links) == 5
    chrome.find_elements(By.CSS_SELECTOR, ".review-link")[0].click()
    wait_for(chrome, NAMES[0])


def test_approved_photos_are_delivered_by_a_button(chrome: Chrome, albums: Path) -> None:
    press(chrome, "a")
    wait_for(chrome, NAMES[1])
    press(chrome, "/")
    element(chrome, "[data-action=deliver]").click()
    WebDriverWait(chrome, 60).until(lambda driver: "1 delivered to" in element(driver, "#delivering").text)
    assert len(list((albums.parent / "deliveries").glob("*/*.png"))) == 2  # the photo and its map


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_app_is_accessible_and_fits_the_window(chrome: Chrome, size: tuple[int, int], scheme: str) -> None:
    emulate(chrome, size, scheme)
    start(chrome)
    for keys in ("", "/", Keys.ESCAPE + "rs", "x"):
        press(chrome, *keys)
        wait_for(chrome, NAMES[1] if keys == "x" else NAMES[0])
        assert find_violations(chrome) == []
        assert chrome.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert chrome.find_elements(By.CSS_SELECTOR, "[tabindex='0']") == []  # only controls, which have names
    element(chrome, "[data-action=help]").click()
    assert find_violations(chrome) == []


def test_nothing_is_fetched_from_anywhere_else(chrome: Chrome) -> None:
    read_requests(chrome)
    start(chrome)
    base = chrome.current_url.partition("#")[0]
    addresses = [address for address in read_requests(chrome) if not address.startswith(("data:", "about:"))]
    assert any("/tiles/" in address for address in addresses)
    assert [address for address in addresses if not address.startswith(base)] == []
