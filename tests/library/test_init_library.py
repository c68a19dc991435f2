"""Making a new library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from realfill.core.errors import LibraryError
from realfill.library import init_library as module
from realfill.library.engine import installed_engine
from realfill.library.git import run_git
from realfill.library.init_library import init_library
from realfill.library.repository import Library
from support.libraries import PROJECT

SHARED = [  # with the repository of realfill, which is a library too
    ".dvc/.gitignore",
    ".dvc/config",
    "data/.gitignore",
    "data/albums/.gitkeep",
    "dvc.yaml",
    "params.yaml",
    "pipelines/album.dvc.yaml",
    "prefect.toml",
    "prefect.yaml",
]
OWN = [".dvcignore", ".gitignore", "README.md", "engine.yaml"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_new_library_has_the_files_of_the_repository_and_a_commit_that_can_be_cloned(tmp_path: Path) -> None:
    root = init_library(tmp_path / "photos" / "library").root
    assert git(root, "status", "--short") == ""
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    files = git(root, "ls-files").split()
    assert sorted(files) == sorted(SHARED + OWN)
    for name in SHARED:
        assert (tmp_path / "clone" / name).read_bytes() == (PROJECT / name).read_bytes(), name
    for name in (".dvcignore", ".gitignore"):
        lines = {line for line in (root / name).read_text().splitlines() if line[0] != "#"}
        assert {line.strip("/") for line in lines} <= {
            line.strip("/") for line in (PROJECT / name).read_text().splitlines()
        }
    assert yaml.safe_load((root / "engine.yaml").read_text()) == dict(installed_engine())
    assert len((root / "README.md").read_text().splitlines()) == 3
    assert Library.open(tmp_path / "clone").album_names == []


def test_an_empty_folder_stays_the_same_folder(tmp_path: Path) -> None:
    before = tmp_path.stat().st_ino
    assert init_library(tmp_path).root == tmp_path
    assert tmp_path.stat().st_ino == before
    assert git(tmp_path, "status", "--short") == ""
    assert not any(path.name.endswith((".partial", "library")) for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["photo.jpg", ".hidden", "library"])
def test_a_folder_with_anything_in_it_is_refused_and_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(LibraryError, match="not empty"):
        init_library(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with pytest.raises(LibraryError, match="a file"):
        init_library(tmp_path / name)


def test_a_library_is_refused(tmp_path: Path) -> None:
    init_library(tmp_path / "library")
    with pytest.raises(LibraryError, match="a library already"):
        init_library(tmp_path / "library")


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_left_when_git_refuses(exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "library"
    if exists:
        folder.mkdir()
    monkeypatch.setattr(module, "commit_files", lambda *_: run_git(folder.parent, "no-such-command"))
    with pytest.raises(LibraryError, match="no-such-command"):
        init_library(folder)
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="cannot be written"):
        init_library(tmp_path / "file" / "library")


@pytest.mark.parametrize("exists", [True, False])
def test_after_a_kill_the_same_command_makes_the_library(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    if exists:
        folder.mkdir()
    code = (
        "import os, sys; from pathlib import Path; from realfill.library import init_library as module; "
        "module.commit_files = lambda *_: os.kill(os.getpid(), 9); module.init_library(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert not Library.is_root(folder)
    assert Library.is_root(init_library(folder).root)
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
    assert git(folder, "status", "--short") == ""
    assert not any(path.name.endswith(".partial") for path in folder.iterdir())


def test_git_commits_for_its_user_or_for_realfill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert (
        git(init_library(tmp_path / "nobody").root, "log", "--format=%an <%ae>") == "realfill <realfill@localhost>\n"
    )
    config.write_text("[user]\n name = Ann\n email = ann@example.org\n[commit]\n gpgSign = true\n")
    assert git(init_library(tmp_path / "ann").root, "log", "--format=%an <%ae>") == "Ann <ann@example.org>\n"


def test_a_hook_of_another_repository_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    root = init_library(tmp_path / "library").root
    monkeypatch.delenv("GIT_DIR")
    assert git(root, "rev-parse", "--show-toplevel").strip() == str(root)
    assert git(tmp_path / "other", "status", "--short") == ""
