"""Commands that work on albums."""

from pathlib import Path

from typer.testing import CliRunner

from realfill.cli.application import app


def test_a_stage_command_runs_that_stage_and_prints_its_folder(album_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", str(album_folder), "--out", str(tmp_path / "out")])
    folder = tmp_path / "out" / "motorcycle" / "work" / "validate"
    assert (result.exit_code, result.stdout) == (0, f"{folder}\n")
    assert [path.name for path in folder.parent.glob("[!.]*")] == ["validate"]


def test_the_demo_album_is_written_where_the_user_asks(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", str(tmp_path / "demo")])
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'demo'}\n")
    assert (tmp_path / "demo" / "target" / "mask.png").is_file()
