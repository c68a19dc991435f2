"""The `realfill` command as a whole: its help, its start-up, and what it does with errors."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from realfill import __version__
from realfill.cli.application import app
from realfill.pipeline import STAGES

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


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        ("complete", ["./params.yaml if there is one", "one a core, with 3 GB"]),
        ("review", ["the library you are in"]),
        ("gallery", ["the library you are in", "gallery/ beside the albums"]),
        ("fleet work", ["the host's", "as --jobs of"]),
    ],
)
def test_help_tells_what_a_missing_value_means(command: str, defaults: list[str]) -> None:
    output = CliRunner().invoke(app, [*command.split(), "--help"]).output
    text = " ".join(output.replace("│", " ").split())
    for default in defaults:
        assert f"[default: ({default}" in text


def test_help_and_stages_that_need_no_model_load_no_large_package() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from realfill.cli.application import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "large = {'torch', 'prefect', 'dvc', 'diffusers', 'kornia', 'scipy'}\n"
        "print(sorted(large & sys.modules.keys()))\n"
        "import realfill.stages.validate, realfill.stages.masks, realfill.stages.blend, realfill.stages.export\n"
        "print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.split() == ["[]", "False"]


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{__version__}\n"


def test_the_command_tells_a_users_mistake_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "realfill", "complete", str(tmp_path / "nowhere")]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.returncode == 1
    assert "nowhere: There is no such folder." in process.stderr
    assert "Traceback" not in process.stderr
    assert not process.stdout


def realfill(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "realfill", *map(str, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, **more)


def test_an_error_of_the_operating_system_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = realfill("demo", tmp_path / "file" / "demo")
    assert process.returncode == 1
    assert process.stderr.startswith(f"error: {tmp_path / 'file'}")
    assert "Not a directory. Check the path" in process.stderr
    assert process.stderr.count("\n") == 1


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment in which Python buffers its output, or does not."""
    return os.environ | {"PYTHONUNBUFFERED": request.param}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["demo", "demo"]])
def test_output_to_a_full_device_is_one_error(
    arguments: list[str], buffering: dict[str, str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        process = realfill(*arguments, stdout=full, cwd=tmp_path, env=buffering)
    assert process.returncode == 1
    assert "No space left on device" in process.stderr
    assert process.stderr.count("\n") == 1
    assert (tmp_path / "demo" / "target").is_dir() == (arguments[0] == "demo")


def test_messages_to_a_full_device_do_not_stop_the_work(album_folder: Path, buffering: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "realfill", "validate", str(album_folder)]
        process = subprocess.run(command, stderr=full, stdout=subprocess.PIPE, text=True, check=False, env=buffering)
    assert (process.returncode, process.stdout) == (0, f"{album_folder / 'work' / 'validate'}\n")


def test_a_path_that_is_not_utf_8_is_printed_byte_by_byte(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/M\xf6bel"
    command = [sys.executable, "-m", "realfill", "demo", os.fsdecode(folder)]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == folder + b"\n"


def test_an_interrupt_while_tuning_says_how_to_continue(album_folder: Path) -> None:
    tuning = ["--set", "finetune.when=always", "--set", "finetune.steps=100000", "--set", "align.enabled=false"]
    process = _start("complete", str(album_folder), *tuning)
    _wait_for(album_folder / "work" / "align")
    assert _interrupt(process) == (130, "", "Interrupted. Run the same command again to continue.\n")


def test_an_interrupt_is_not_lost_while_modules_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(
        "import pathlib, time\n"
        "pathlib.Path(__file__).with_name('loading').touch()\n"
        "try:\n    time.sleep(60)\n"
        "except BaseException:\n    time.sleep(60)\n"  # as extension modules do
    )
    process = _start("--version", PYTHONPATH=str(tmp_path))
    _wait_for(tmp_path / "loading")
    assert _interrupt(process) == (130, "", "Interrupted. Run the same command again to continue.\n")


def _start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Run `realfill` in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "realfill", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | environment,
    )


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.02)


def _interrupt(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Interrupt the whole session, as a terminal does it at Ctrl-C; its exit code, output and last line of errors."""
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    return process.returncode, output, errors.splitlines(keepends=True)[-1]
