"""Review artificial albums by keyboard alone in a real browser; print how long an album takes to appear.

usage: PYTHONPATH=tests python bench/review.py FOLDER [ALBUMS] [MEGAPIXELS] [SECONDS]

Every album is looked at for some seconds (1) before the key that decides, as a quick person does; the next ones are
loaded meanwhile. Every tenth is looked at 100 % and with another candidate; one in twenty is undone. How long an
album takes to appear is measured in the page: from the key to the frame that shows it completely. Candidates are
blended ahead as a night does it.
"""

import shutil
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import skimage.data
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys

from realfill.album.discovery import open_album
from realfill.core.params import load_params
from realfill.review.journal import load_decisions
from realfill.stages import blend, export
from support.browser import emulate, open_browser
from support.finished_album import finish
from support.reviews import review

WATCH = """
    let pressed = 0;
    window.waits = [];
    addEventListener("keydown", (event) => { if ("ax".includes(event.key)) pressed = event.timeStamp; }, true);
    new MutationObserver(() => {
      if (document.body.dataset.shown && pressed) { waits.push(performance.now() - pressed); pressed = 0; }
    }).observe(document.body, {attributes: true, attributeFilter: ["data-shown"]});
"""
WAIT = """
    const [name, layer, done] = arguments;
    const isShown = () => document.body.dataset.shown === name && document.body.dataset.layer === layer;
    const observer = new MutationObserver(() => { if (isShown()) { observer.disconnect(); done(); } });
    if (isShown()) done(); else observer.observe(document.body, {attributes: true});
"""


def main() -> None:
    folder = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    megapixels = float(sys.argv[3]) if len(sys.argv) > 3 else 2.0
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
    names = write_albums(folder / "albums", count, megapixels)
    with review(folder / "albums") as (address, server), open_browser(with_logs=False) as chrome:
        emulate(chrome)
        chrome.set_script_timeout(120)
        chrome.get(address)
        chrome.execute_script(WATCH)
        driver = chrome.service.process.pid
        started, used = time.monotonic(), (read_cpu(server.pid), read_cpu(driver))
        for number, name in enumerate(names):
            judge(chrome, name, number, seconds)
        minutes = (time.monotonic() - started) / 60
        used = read_cpu(server.pid) - used[0], read_cpu(driver) - used[1]
        waits = sorted(chrome.execute_script("return waits"))
    decided = sum(decision.verdict is not None for decision in load_decisions(folder / "albums").values())
    median, late = statistics.median(waits), waits[int(0.95 * len(waits))]
    print("| albums | megapixels | decided | in all | CPU: app, browser | an album appears in | 19 in 20 | slowest |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {count} | {megapixels:g} | {decided} | {minutes:.1f} min | {used[0]:.0f} s, {used[1]:.0f} s "
        f"| {median:.0f} ms | {late:.0f} ms | {waits[-1]:.0f} ms |"
    )


def judge(chrome: Chrome, name: str, number: int, seconds: float) -> None:
    """Look at an album and decide about it."""
    wait_for(chrome, name, "after/0")
    time.sleep(seconds)
    if number % 10 == 5:
        press(chrome, "z")
        press(chrome, "2")
        wait_for(chrome, name, "candidate/0")
        press(chrome, "0")
        wait_for(chrome, name, "after/0")
        press(chrome, "z")
    press(chrome, "x" if number % 7 == 3 else "a")
    if number % 20 == 10:
        ActionChains(chrome, duration=0).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
        wait_for(chrome, name, "after/0")
        press(chrome, "a")


def press(chrome: Chrome, key: str) -> None:
    ActionChains(chrome, duration=0).send_keys(key).perform()


def wait_for(chrome: Chrome, name: str, layer: str) -> None:
    chrome.execute_async_script(WAIT, name, layer)


def read_cpu(pid: int) -> float:
    """CPU time of a process and those below it that still run, seconds."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


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
        params = load_params(assignments=["blend.detail=false"])
        blend.run(open_album(first), params)
        export.run(open_album(first), params)
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
