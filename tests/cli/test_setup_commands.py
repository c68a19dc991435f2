"""Commands that set up and check the installation."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from realfill.cli import console
from realfill.cli.application import app


@pytest.fixture(autouse=True)
def wide_console(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps every row of a table in one line, whatever terminal the tests run in."""
    monkeypatch.setattr(console.out_console, "_width", 200)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_the_doctor_looks_at_everything(finished_library: Path) -> None:
    output = run("doctor", "--library", str(finished_library)).output
    for part in ("torch", "model pocket", "model sd2-inpainting", "matcher xfeat", "dvc", "prefect", "engine.yaml"):
        assert part in output
    assert "realfill fetch sd2-inpainting" in output


def test_models_says_what_is_here_and_what_it_needs() -> None:
    output = run("models").output
    for part in ("pocket", "realfill fetch flux2-klein-base-4b", "16.0 GB", "Apache-2.0", "Non-Commercial, gated"):
        assert part in output


def test_a_narrow_terminal_cuts_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out_console, "_width", 80)
    assert "│ flux2-klein-base-4b │" in run("models").output


def test_the_doctor_says_whether_a_model_fits() -> None:
    done = run("doctor", "--model", "pocket")
    assert done.exit_code == 0, done.output
    assert "memory to sample" in done.output
    assert "memory to tune" in done.output
    missing = run("doctor", "--model", "flux1-fill-dev")
    assert missing.exit_code == 1
    assert "realfill fetch flux1-fill-dev" in missing.output
