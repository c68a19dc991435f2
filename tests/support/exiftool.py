"""ExifTool, which knows what programs and cameras write into photos better than any other: the oracle of metadata."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def run_exiftool(*arguments: str | Path) -> str:
    """Its output; skips the test where it is not installed, but not in CI."""
    program = shutil.which("exiftool")
    if program is None:
        told = "exiftool is not installed: apt-get install libimage-exiftool-perl"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


def read_tags(path: Path) -> dict[str, Any]:
    """All tags of a file, unknown and embedded ones too, by "group:name"; of repeated ones, all."""
    (tags,) = json.loads(run_exiftool("-json", "-a", "-G1:4", "-ee", "-u", "-n", "-api", "largefilesupport=1", path))
    return {name: value for name, value in tags.items() if not name.startswith(("System", "SourceFile", "ExifTool"))}
