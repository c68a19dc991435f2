"""Commands that complete a library with Prefect."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.libraries import environment, make_library


@pytest.mark.parametrize("command", ["up", "work"])
def test_a_fleet_needs_a_server_and_says_how_to_name_one(command: str, tmp_path: Path) -> None:
    library = make_library(tmp_path / "library")
    variables = environment(library, PREFECT_HOME=str(tmp_path / "home"))
    variables.pop("PREFECT_API_URL", None)
    process = subprocess.run(
        [sys.executable, "-m", "realfill", "fleet", command],
        cwd=library,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "No Prefect server is named." in process.stderr
    assert "set PREFECT_API_URL" in process.stderr
    assert "Traceback" not in process.stderr
