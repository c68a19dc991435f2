"""Delivering and signing by the command line."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from realfill.cli.application import app
from realfill.core.errors import CredentialsError, LibraryError, OutputError, ParamsError
from realfill.review.collection import Collection
from realfill.review.journal import Journal
from support.deliveries import export_kind


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished") / "albums"
    for name in ("roof", "tower"):
        export_kind(root / name, "jpeg")
    return root


@pytest.fixture
def albums(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two finished albums; the settings of this machine's user are elsewhere."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("REALFILL_KEY_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished, tmp_path / "albums"))


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def approve(folder: Path, name: str) -> None:
    seen = Collection(folder).albums()[name].seen.model_dump(mode="json")
    Journal(folder).append(name, "verdict", {"verdict": "approved", "reason": "", "seen": seen})


def test_what_was_approved_is_delivered_and_the_rest_is_named(albums: Path, tmp_path: Path) -> None:
    assert isinstance(invoke("deliver", "out", albums).exception, LibraryError)
    assert not (tmp_path / "out").exists()
    approve(albums, "roof")
    result = invoke("deliver", "out", albums)
    assert result.exit_code == 0
    assert result.stdout == "out\n"
    assert "tower is left out. Nobody has approved it." in result.stderr
    assert "1 of 1 photos are delivered." in result.stderr
    assert (tmp_path / "out" / "roof.jpg").is_file()
    assert not (tmp_path / "out" / "tower.jpg").exists()
    assert isinstance(invoke("deliver", "out", albums).exception, OutputError)


def test_everything_can_be_delivered_and_what_fails_is_told(albums: Path, tmp_path: Path) -> None:
    (albums / "roof" / "completed" / "authenticity.png").unlink()
    result = invoke("deliver", "out.zip", albums, "--all", "--set", "delivery.names='{number}-{album}'")
    assert result.exit_code == 1
    assert "a part of it is missing" in " ".join(result.stderr.split())
    assert (tmp_path / "out.zip").is_file()


def test_settings_come_from_params_yaml_but_not_from_an_album(albums: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text('delivery: {names: "{number} {album}"}\n')
    assert invoke("deliver", "out", albums, "--all").exit_code == 0
    assert (tmp_path / "out" / "1 roof.jpg").is_file()
    (albums / "roof" / "album.yaml").write_text("delivery: {key: /etc/key.pem}\n")
    refused = invoke("complete", albums / "roof")
    assert refused.exit_code == 1
    assert "There is no setting 'delivery'" in " ".join(refused.output.split())


def test_photos_are_signed_when_that_is_switched_on_and_verified(albums: Path, tmp_path: Path) -> None:
    sign = ("--all", "--set", "delivery.credentials=sign")
    assert isinstance(invoke("deliver", "out", albums, *sign).exception, CredentialsError)
    assert not (tmp_path / "out").exists()
    made = invoke("credentials", "init", "--name", "Ann")
    assert made.stdout == f"{tmp_path / 'config' / 'realfill' / 'credentials'}\n"
    assert "call the signer unknown" in made.stderr
    assert invoke("deliver", "out", albums, *sign).exit_code == 0
    shown = invoke("credentials", "show", tmp_path / "out" / "roof.jpg")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("unchanged since Ann signed it, whose root is trusted here\n")
    assert "edited from: target.jpg, without credentials" in shown.stdout
    root = tmp_path / "config" / "realfill" / "credentials" / "root.pem"
    root.rename(tmp_path / "root.pem")
    assert "unknown here, called Ann" in invoke("credentials", "show", tmp_path / "out" / "roof.jpg").stdout
    trusting = invoke("credentials", "show", tmp_path / "out" / "roof.jpg", "--trust", tmp_path / "root.pem")
    assert "whose root is trusted here" in trusting.stdout
    data = bytearray((tmp_path / "out" / "roof.jpg").read_bytes())
    data[-100] ^= 1
    (tmp_path / "out" / "roof.jpg").write_bytes(data)
    changed = invoke("credentials", "show", tmp_path / "out" / "roof.jpg")
    assert (changed.exit_code, changed.stdout[:3]) == (1, "NOT")


def test_the_passphrase_comes_from_the_environment(
    albums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALFILL_KEY_PASSPHRASE", "open sesame")
    invoke("credentials", "init", "--name", "Ann")
    sign = ("deliver", "out", albums, "--all", "--set", "delivery.credentials=sign")
    for wrong, message in (("sesame", "passphrase of the key is wrong"), (None, "The key needs a passphrase")):
        monkeypatch.delenv("REALFILL_KEY_PASSPHRASE") if wrong is None else monkeypatch.setenv(
            "REALFILL_KEY_PASSPHRASE", wrong
        )
        error = invoke(*sign).exception
        assert isinstance(error, CredentialsError)
        assert message in str(error)
        assert not (tmp_path / "out").exists()
    monkeypatch.setenv("REALFILL_KEY_PASSPHRASE", "open sesame")
    assert invoke(*sign).exit_code == 0


@pytest.mark.parametrize("value", ["names='{album[0]}'", "credentials=always"])
def test_settings_that_cannot_be_used_are_told(value: str, albums: Path) -> None:
    error = invoke("deliver", "out", albums, "--all", "--set", f"delivery.{value}").exception
    assert isinstance(error, ParamsError)
