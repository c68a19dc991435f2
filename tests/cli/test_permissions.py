"""Albums without the permissions that they need, and where their warnings are told."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.album.store import read_inputs
from realfill.library.run_history import summarize_result
from support.libraries import write_tiny_album

NOTHING = ("blend.generate=never", "align.enabled=false", "rank.matcher=sift")  # loads no model
DENIED = "The file cannot be opened (Permission denied). Check that it exists and can be read."


def complete(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `realfill complete` as somebody to whom permissions apply; those of root are given up."""
    command = [sys.executable, "-m", "realfill", "complete", *map(str, arguments)]
    command += [word for value in NOTHING for word in ("--set", value)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and setpriv (util-linux) is not installed")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def albums(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Albums: `closed` has references that cannot be listed, `locked` takes no results, `roof` has one photo less."""
    albums = tmp_path_factory.mktemp("permissions")
    for name in ("closed", "locked", "roof"):
        write_tiny_album(albums / name)
    other = Path(shutil.copy(albums / "roof" / "ref" / "left.png", albums / "roof" / "ref" / "other.png"))
    other.chmod(0)
    (albums / "closed" / "ref").chmod(0)
    (albums / "locked").chmod(0o555)
    yield albums
    (albums / "closed" / "ref").chmod(0o755)
    (albums / "locked").chmod(0o755)


@pytest.fixture(scope="module")
def run(albums: Path) -> subprocess.CompletedProcess[str]:
    return complete(albums / "closed", albums / "locked", albums / "roof", "--jobs", "1")


def test_what_may_not_be_read_or_written_is_told_once_and_the_others_go_on(
    run: subprocess.CompletedProcess[str], albums: Path
) -> None:
    assert run.returncode == 1
    assert "Traceback" not in run.stdout + run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    closed, locked = (
        "This cannot be read (Permission denied)",
        "The results cannot be written here (Permission denied)",
    )
    assert len(errors) == 2
    assert errors[0].startswith(f"error: {albums / 'closed' / 'ref'}: {closed}")
    assert errors[1].startswith(f"error: {albums / 'locked'}: {locked}")
    assert (albums / "roof" / "completed" / "roof.png").is_file()


def test_a_warning_is_told_at_the_end_in_the_table_on_the_page_and_to_the_night(
    run: subprocess.CompletedProcess[str], albums: Path
) -> None:
    album, told = open_album(albums / "roof"), f"ref/other.png: not used: {DENIED}"
    assert run.stderr.rstrip().splitlines()[-1] == f"warning: roof: {told}"
    reasons = {row.file: (row.verdict, row.reason) for row in read_inputs(album)}
    assert reasons["ref/other.png"] == ("refused", DENIED)
    assert told in (album.completed / "page" / "index.html").read_text(encoding="utf-8")
    assert told in summarize_result(album)["warnings"]


def test_a_place_for_results_that_cannot_be_made_is_told(albums: Path) -> None:
    done = complete(albums / "roof", "--out", "/proc/results")
    assert done.returncode == 1
    assert "/proc/results/roof: The results cannot be written here" in done.stderr
    assert "Traceback" not in done.stderr
