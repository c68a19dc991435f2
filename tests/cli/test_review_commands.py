"""The command `realfill review`: mistakes end in one message."""

import socket
from pathlib import Path

from typer.testing import CliRunner

from realfill.cli.application import app


def test_mistakes_are_named(tmp_path: Path) -> None:
    runner = CliRunner()
    empty = runner.invoke(app, ["review", str(tmp_path), "--no-browser"])
    assert "There is no album in this folder." in str(empty.exception)
    absent = runner.invoke(app, ["review", str(tmp_path / "absent")])
    assert "There is no such folder." in str(absent.exception)
    for name in ("target", "ref"):
        (tmp_path / "roof" / name).mkdir(parents=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = runner.invoke(app, ["review", str(tmp_path), "--no-browser", "--port", str(port)])
    assert f"The port {port} of 127.0.0.1 cannot be used" in str(taken.exception)
    nothing = runner.invoke(app, ["review", str(tmp_path), "--apply"])
    assert (nothing.exit_code, nothing.stdout) == (0, "")
