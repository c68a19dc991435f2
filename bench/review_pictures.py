"""Make the pictures of docs/review.md from finished albums, in a real browser.

usage: PYTHONPATH=tests python bench/review_pictures.py FOLDER [OUT]     (finished albums; docs by default)
"""

import sys
import time
from base64 import b64decode
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By

from support.browser import emulate, open_browser
from support.reviews import review

SIZE = (1200, 800)


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs")
    with review(folder) as (address, _), open_browser() as chrome:
        emulate(chrome, SIZE)
        chrome.get(address)
        press(chrome, "r")
        save(chrome, out / "review.jpg")
        press(chrome, "r")
        press(chrome, "m")
        canvas = chrome.find_element(By.ID, "drawing")
        chain = ActionChains(chrome, duration=50).move_to_element_with_offset(canvas, 120, -140).click_and_hold()
        for x, y in ((150, -120), (180, -110), (210, -120), (230, -140)):
            chain.move_to_element_with_offset(canvas, x, y)
        chain.release().perform()
        save(chrome, out / "review-mask.jpg")


def press(chrome: Chrome, key: str) -> None:
    wait(chrome)
    ActionChains(chrome).send_keys(key).perform()


def wait(chrome: Chrome) -> None:
    """Wait until the album is completely on the screen, and messages are gone."""
    while not chrome.execute_script("return document.body.dataset.layer"):
        time.sleep(0.1)
    time.sleep(3)


def save(chrome: Chrome, path: Path) -> None:
    wait(chrome)
    data = chrome.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    Image.open(BytesIO(b64decode(data))).convert("RGB").save(path, quality=85)


if __name__ == "__main__":
    main()
