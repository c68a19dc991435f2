"""The `realfill` command as a whole: its help, its start-up, and what it does with errors."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from realfill import __version__
from realfill.cli import app
from realfill.core.errors import AlbumError
from realfill.pipeline import STAGES

MAIN = import_module("realfill.cli.main")  # the module: the package's attribute of that name is the function
COMMANDS = (
    "complete",
    *(stage.name for stage in STAGES),
    "evaluate",
    "add",
    "pick",
    "gallery",
    "demo",
    "fetch",
    "status",
    "history",
    "gc",
    "doctor",
    "fleet",
)


def test_help_lists_every_command() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    for name in COMMANDS:
        assert f"\n│ {name} " in output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(app, [name, "-h"])
    assert result.exit_code == 0
    assert "Usage: realfill " in result.output


def test_help_loads_no_large_package() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from realfill.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([name for name in ('torch', 'prefect', 'dvc', 'diffusers', 'kornia') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{__version__}\n"


def test_the_command_tells_a_users_mistake_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "realfill", "complete", str(tmp_path / "nowhere")]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.returncode == 1
    assert "nowhere: There is no such folder." in process.stderr
    assert "Traceback" not in process.stderr
    assert not process.stdout


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (AlbumError("It is broken.", "Repair it.", "roof"), 1, "error: roof: It is broken. Repair it.\n"),
        (KeyboardInterrupt(), 130, "Interrupted. Run the same command again to continue.\n"),
    ],
    ids=["mistake", "interrupt"],
)
def test_an_error_ends_in_a_message_and_an_exit_code(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(MAIN, "app", fail)
    with pytest.raises(SystemExit) as stopped:
        MAIN.main()
    assert stopped.value.code == code
    assert capsys.readouterr() == ("", message)
