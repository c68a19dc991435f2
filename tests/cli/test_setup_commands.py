"""Commands that set up and check the installation."""

import os
import subprocess
import sys


def test_the_doctor_looks_at_everything() -> None:
    command, wide = [sys.executable, "-m", "realfill", "doctor"], os.environ | {"COLUMNS": "200"}
    output = subprocess.run(command, env=wide, capture_output=True, text=True, check=False).stdout
    for part in ("torch", "model pocket", "model sd2-inpainting", "matcher xfeat", "dvc", "prefect"):
        assert part in output
    assert "realfill fetch sd2-inpainting" in output
