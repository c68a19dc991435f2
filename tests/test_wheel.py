"""The wheel in a fresh environment, outside of the checkout: every command that a user begins with."""

import shutil
import site
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from realfill.library.engine import installed_engine
from support.libraries import (
    PROJECT,
    QUICK,
    change_yaml,
    copy_dvc_cache,
    environment,
    parse_stages,
    write_tiny_album,
)
from support.models import write_tiny_model

ASSIGNMENTS = [f"{section}.{name}={value}" for section, values in QUICK.items() for name, value in values.items()]


@dataclass(frozen=True)
class Installation:
    """An environment that has the wheel; all other packages are those of this environment.

    Attributes:
        root: Folder of the environment, of models and of all that the commands keep for themselves.
    """

    root: Path

    def call(self, folder: Path, *command: str | Path, pocket: bool = False) -> str:
        """Run a command of the environment in a folder and return what it printed; it must succeed.

        Args:
            folder: The working directory.
            command: The command and its arguments.
            pocket: Whether to use the model in the wheel, and not a tiny one in its place.
        """
        variables = environment(
            self.root,
            COLUMNS="300",
            PREFECT_HOME=str(self.root / "prefect"),
            DVC_SITE_CACHE_DIR=str(self.root / "dvc"),
        )
        variables["PATH"] = f"{self.root / 'venv' / 'bin'}:{variables['PATH']}"
        for name in ("PYTHONPATH", "PREFECT_API_URL", *(["REALFILL_MODELS"] if pocket else [])):
            variables.pop(name, None)
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the files that git keeps, or would be offered."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = PROJECT / name
        if path.is_symlink() or path.is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, source / name, follow_symlinks=False)
    _pip("wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(source / "dist"))
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("installation")
    venv.create(root / "venv", symlinks=True)
    python = root / "venv" / "bin" / "python"
    _pip("--python", str(python), "install", "--no-deps", str(wheel))
    (packages,) = (root / "venv" / "lib").glob("python3*/site-packages")
    # A line of a .pth file adds a folder without its own .pth files, so that the editable installation stays out.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    write_tiny_model(root / "models" / "pocket")
    return Installation(root)


@pytest.fixture(scope="module")
def library(installation: Installation, finished_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with one album, completed by `dvc repro`, which restores what another library's runs have made."""
    folder = tmp_path_factory.mktemp("elsewhere")
    installation.call(folder, "realfill", "init", "photos of years")
    root = folder / "photos of years"
    for section, values in QUICK.items():
        change_yaml(root / "params.yaml", section, **values)
    installation.call(root, "realfill", "add", write_tiny_album(folder / "tent"))
    copy_dvc_cache(finished_library, root)
    stages = parse_stages(installation.call(root, "python", "-m", "dvc", "repro"))
    assert stages == ["tent export", "gallery"]
    return root


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_is_one_package_with_all_that_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"realfill"}
    command = ["git", "ls-files", "realfill", "flows"]
    tracked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    inside = {f"realfill/{name.removeprefix('realfill/')}" for name in tracked if (PROJECT / name).is_file()}
    assert inside <= set(names)


def test_the_code_that_runs_is_the_wheels_and_adds_one_name(installation: Installation, tmp_path: Path) -> None:
    code = (
        "import realfill, realfill.flows.complete_album; from importlib.util import find_spec; "
        "print(realfill.__file__, find_spec('flows'), find_spec('tests'))"
    )
    file, *others = installation.call(tmp_path, "python", "-c", code).split()
    assert Path(file).is_relative_to(installation.root / "venv")
    assert others == ["None", "None"]


def test_the_doctor_loads_the_model_in_the_wheel(installation: Installation, tmp_path: Path) -> None:
    printed = installation.call(tmp_path, "realfill", "doctor", pocket=True)
    (line,) = (line for line in printed.splitlines() if "model pocket" in line)
    assert "works" in line
    assert str(installation.root / "venv") in line


def test_an_album_is_completed_outside_of_any_library(installation: Installation, tmp_path: Path) -> None:
    assert installation.call(tmp_path, "realfill", "demo", "demo") == "demo\n"
    assert (tmp_path / "demo" / "target" / "mask.png").is_file()
    write_tiny_album(tmp_path / "roof")
    options = [word for assignment in ASSIGNMENTS for word in ("--set", assignment)]
    installation.call(tmp_path, "realfill", "complete", "roof", *options, pocket=True)
    assert (tmp_path / "roof" / "completed" / "roof.png").is_file()


def test_a_new_library_names_the_engine_of_this_very_code(library: Path) -> None:
    assert yaml.safe_load((library / "engine.yaml").read_text()) == dict(installed_engine())


def test_a_second_repro_runs_nothing(installation: Installation, library: Path) -> None:
    assert parse_stages(installation.call(library, "python", "-m", "dvc", "repro")) == []
    assert "up to date" in installation.call(library, "python", "-m", "dvc", "status")


def test_a_night_completes_what_is_new_from_any_folder(installation: Installation, library: Path) -> None:
    inside = library / "data" / "albums"
    installation.call(inside, "realfill", "add", write_tiny_album(library.parent / "tower"))
    installation.call(inside, "realfill", "fleet", "night")
    photo = inside / "tower" / "completed" / "tower.png"
    assert photo.is_file()
    table = installation.call(inside / "tower", "realfill", "status")
    assert "tent" in table
    assert "tower" in table
    assert "up to date" in installation.call(library, "python", "-m", "dvc", "status")
    clone = library.parent / "clone"
    installation.call(library.parent, "git", "clone", "--quiet", library, clone)
    assert (clone / "data" / "albums" / "tower" / "dvc.lock").is_file()
    installation.call(library.parent, "realfill", "status", "--library", clone / "data")
