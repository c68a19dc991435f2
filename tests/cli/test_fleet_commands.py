"""Commands that complete a library with Prefect."""

from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from realfill.cli.application import app
from realfill.core.errors import LibraryError
from support.libraries import make_library


@pytest.mark.parametrize("command", ["up", "work"])
def test_a_fleet_needs_a_server_and_says_how_to_name_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_library(tmp_path / "library"))
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        result = CliRunner().invoke(app, ["fleet", command])
    assert isinstance(result.exception, LibraryError)
    assert "No Prefect server is named." in str(result.exception)
    assert "set PREFECT_API_URL" in str(result.exception)
