"""A headless Chromium for tests of pages."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

PHONE, DESKTOP = (390, 844), (1280, 900)


AXE = Path(__file__).with_name("vendor") / "axe.min.js"  # axe-core 4.14.1, MPL-2.0


def find_violations(chrome: Chrome) -> list[tuple[str, list[str]]]:
    """Rules of axe-core that the page breaks, each with the elements that break it."""
    chrome.execute_script(AXE.read_text(encoding="utf-8"))
    results = chrome.execute_async_script("axe.run().then(arguments[0])")
    assert len(results["passes"]) > 15
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in results["violations"]]


@contextmanager
def open_browser(*, with_logs: bool = True) -> Iterator[Chrome]:
    """Open a browser window; skips the test if Chromium is not installed.

    Args:
        with_logs: Whether the console and the requests can be read, which takes time.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    if with_logs:
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=ChromeService(driver)) as chrome:
        yield chrome


def emulate(chrome: Chrome, size: tuple[int, int] = DESKTOP, scheme: str = "light", ratio: float = 1) -> None:
    """Emulate a screen of this size, CSS pixels of `ratio` screen pixels, and a preference for this color scheme."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def read_console(chrome: Chrome) -> list[str]:
    """The messages in the console since the last call."""
    return [entry["message"] for entry in chrome.get_log("browser")]  # type: ignore[no-untyped-call]


def read_requests(chrome: Chrome) -> list[str]:
    """The addresses of all requests since the last call."""
    entries = chrome.get_log("performance")  # type: ignore[no-untyped-call]
    messages = [json.loads(entry["message"])["message"] for entry in entries]
    sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP inside the block; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
