"""Review artificial albums by keyboard alone in a real browser; print how long an album takes to appear.

usage: PYTHONPATH=tests python bench/review.py FOLDER [ALBUMS] [MEGAPIXELS]

Every tenth album is looked at 100 %, with another candidate, and before its decision; one in twenty is undone.
"""

import shutil
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys

from realfill.album.discovery import open_album
from realfill.core.params import load_params
from realfill.review.journal import load_decisions
from realfill.stages import export
from support.browser import emulate, open_browser
from support.finished_album import finish
from support.reviews import review

SHOWN = "return [document.body.dataset.shown, document.body.dataset.layer]"


def main() -> None:
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    megapixels = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
    names = write_albums(folder / "albums", count, megapixels)
    with review(folder / "albums") as (address, _), open_browser() as chrome:
        emulate(chrome)
        chrome.get(address)
        started = time.monotonic()
        waits = [judge(chrome, name, number) for number, name in enumerate(names)]
        minutes = (time.monotonic() - started) / 60
    decided = sum(decision.verdict is not None for decision in load_decisions(folder / "albums").values())
    print("| albums | megapixels | decided | in all | an album appears in (median) | slowest of 19 in 20 | slowest |")
    print("|---|---|---|---|---|---|---|")
    waits = sorted(waits[1:])
    median, late = statistics.median(waits), waits[int(0.95 * len(waits))]
    print(
        f"| {count} | {megapixels:g} | {decided} | {minutes:.1f} min | {1000 * median:.0f} ms | {1000 * late:.0f} ms "
        f"| {1000 * waits[-1]:.0f} ms |"
    )


def judge(chrome: Chrome, name: str, number: int) -> float:
    """Look at an album and decide about it; the seconds until it is completely on the screen."""
    wait = wait_for(chrome, name, "after/0")
    if number % 10 == 5:
        press(chrome, "z")
        press(chrome, "2")
        wait_for(chrome, name, "candidate/0")
        press(chrome, "0")
        wait_for(chrome, name, "after/0")
        press(chrome, "z")
    press(chrome, "x" if number % 7 == 3 else "a")
    if number % 20 == 10:
        ActionChains(chrome).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
        wait_for(chrome, name, "after/0")
        press(chrome, "a")
    return wait


def press(chrome: Chrome, key: str) -> None:
    ActionChains(chrome, duration=0).send_keys(key).perform()


def wait_for(chrome: Chrome, name: str, layer: str) -> float:
    started = time.monotonic()
    while chrome.execute_script(SHOWN) != [name, layer]:
        if time.monotonic() - started > 120:
            raise SystemExit(f"{name} does not show {layer}: {chrome.execute_script(SHOWN)}")
        time.sleep(0.005)
    return time.monotonic() - started


def write_albums(folder: Path, count: int, megapixels: float) -> list[str]:
    """Write finished albums; they share the pixels of one."""
    names = [f"wedding {number:04}" for number in range(count)]
    first = folder / names[0]
    if not first.exists():
        coffee = skimage.data.coffee()
        scale = (megapixels * 1e6 / (coffee.shape[0] * coffee.shape[1])) ** 0.5
        photo = cv2.resize(coffee, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        mask = np.zeros(photo.shape[:2], np.uint8)
        height, width = mask.shape
        mask[height // 2 : height // 2 + height // 12, width // 2 : width // 2 + height // 12] = 255
        for name, pixels in (("target/target.jpg", photo), ("target/mask.png", mask), ("ref/0.jpg", photo)):
            path = first / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        finish(first)
    if not (first / "completed").exists():
        export.run(open_album(first), load_params(assignments=["blend.detail=false"]))
    for name in names[1:]:
        completed = folder / name / "completed"
        if not completed.exists():
            shutil.copytree(first, folder / name)
            (completed / f"{names[0]}.jpg").rename(completed / f"{name}.jpg")
            document = completed / f"{names[0]}.json"
            document.with_stem(name).write_text(document.read_text().replace(names[0], name))
            document.unlink()
    return names


if __name__ == "__main__":
    main()
