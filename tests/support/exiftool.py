"""ExifTool, which knows what programs and cameras write into photos better than any other: the oracle of metadata."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_exiftool(*arguments: str | Path) -> str:
    """Its output; skips the test where it is not installed, but not in CI."""
    program = shutil.which("exiftool")
    if program is None:
        told = "exiftool is not installed: apt-get install libimage-exiftool-perl"
        if os.environ.get("CI"):
            pytest.fail(told)
        pytest.skip(told)
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout
