"""Finished albums to review, and the review app in a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from realfill.core.params import load_params
from realfill.stages import export
from support.finished_album import finish

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def write_finished_albums(root: Path, source: Path, names: Sequence[str]) -> Path:
    """Write albums of these names, copies of one that are finished, into a folder."""
    for name in names:
        album = finish(Path(shutil.copytree(source, root / name)))
        export.run(album, load_params(assignments=["blend.detail=false"]))  # with which candidates are blended soon
    return root


@contextmanager
def review(folder: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `realfill review` inside the block; yields the address with its token, and the process."""
    command = [sys.executable, "-m", "realfill", "review", str(folder), "--no-browser", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@contextmanager
def log_in(address: str) -> Iterator[httpx.Client]:
    """A client that has the cookie, and says that it is a page of the app."""
    base, _, query = address.partition("/?")
    headers = SAME_ORIGIN | {"Origin": base}
    with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
        assert client.get(f"/?{query}").status_code == 303
        yield client
