"""A library for tests, as `realfill init` makes it, with tiny albums and a tiny model."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import skimage.data
import yaml
from PIL import Image

from realfill.core.atomic_io import write_json
from realfill.core.hashing import digest
from realfill.library.add_album import add_album
from realfill.library.init_library import init_library
from realfill.library.repository import Library
from realfill.pipeline import STAGES, complete
from support.models import write_tiny_model
from support.published import publish

PROJECT = Path(__file__).parents[2]
QUICK: dict[str, dict[str, object]] = {
    "align": {"enabled": False},
    "finetune": {"steps": 2, "batch_size": 2, "bank": 4, "rank": 4},
    "sample": {"candidates": 2, "steps": 2},
    "rank": {"matcher": "sift"},
}


def write_tiny_album(folder: Path) -> Path:
    """Middlebury's motorcycle at a quarter of its size: the right photo with a hole, the left one as reference."""
    left, right, _ = skimage.data.stereo_motorcycle()
    for name in ("target", "ref"):
        (folder / name).mkdir(parents=True)
    size = (right.shape[1] // 4, right.shape[0] // 4)
    Image.fromarray(right).resize(size).save(folder / "target" / "target.png")
    Image.fromarray(left).resize(size).save(folder / "ref" / "left.png")
    mask = Image.new("L", size)
    mask.paste(255, (70, 40, 120, 90))
    mask.save(folder / "target" / "mask.png")
    return folder


def make_library(root: Path, *albums: str) -> Path:
    """Make a library with albums of these names and the same photos, none of them completed."""
    shutil.copytree(Path(_empty_library().name) / "library", root, symlinks=True)
    _use_own_site_cache(root)
    for name in albums:
        add_album(write_tiny_album(root.parent / f"{root.name}-sources" / name), root)
    return root


@cache
def _empty_library() -> TemporaryDirectory[str]:
    """A folder with a library without albums, made once for all tests of a process."""
    folder = TemporaryDirectory()
    root = init_library(Path(folder.name) / "library").root
    write_tiny_model(root / "models" / "pocket")
    for section, values in QUICK.items():
        change_yaml(root / "params.yaml", section, **values)
    return folder


def copy_library(library: Path, root: Path) -> Path:
    """Copy a library with its results and its DVC cache."""
    shutil.copytree(library, root, symlinks=True)
    _use_own_site_cache(root)
    return root


def copy_dvc_cache(library: Path, root: Path) -> None:
    """Give a library without results what DVC remembers of another's runs: the same work is not done again."""
    shutil.copytree(library / ".dvc" / "cache", root / ".dvc" / "cache", symlinks=True, dirs_exist_ok=True)


def _use_own_site_cache(root: Path) -> None:
    (root / ".dvc" / "config.local").write_text(f"[core]\n    site_cache_dir = {root.parent / 'dvc-site'}\n")


def make_agent_clone(library: Library, root: Path) -> Library:
    """Make a clone without albums, photos and results, as `git clone` does when the albums are not committed."""
    subprocess.run(["git", "clone", "--quiet", str(library.root), str(root)], check=True)
    shutil.copytree(library.root / "models", root / "models")
    shutil.copy(library.root / "params.yaml", root / "params.yaml")
    return Library.open(root)


def pretend_completed(library: Library, name: str) -> None:
    """Commit an album to DVC as if every stage had run; each output has one small file."""
    folder = library.folder(name)
    photo = folder / "completed" / f"{name}.png"
    with library.album_state(name) as state:
        for file, stage in state.stages:
            for out in state.stages[file, stage].outs if stage else ():
                Path(out.fs_path).mkdir(parents=True, exist_ok=True)
                (Path(out.fs_path) / f"{stage}.txt").write_text(f"{stage} of {name}")
            if stage == "export":
                photo.write_bytes(name.encode())
                document = {"photo": photo.name, "digest": digest(photo), "versions": {"realfill": "0"}}
                write_json(photo.with_suffix(".json"), document)
            for out in state.stages[file, stage].outs if stage else ():
                publish(Path(out.fs_path))
        for file, stage in state.stages:
            if stage:
                state.commit(file, stage)


def complete_for_dvc(root: Path, name: str) -> None:
    """Complete an album in this process and commit every stage to DVC, as the flow does."""
    library = Library.open(root)
    album = library.album(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REALFILL_MODELS", str(root / "models"))
        complete(album, library.params(album))
    with library.album_state(name) as state:
        for stage in STAGES:
            state.commit(library.pipeline_file(name), stage.name)


def is_up_to_date(library: Library, name: str, stage: str) -> bool:
    """Whether DVC finds a stage of an album as it was committed."""
    with library.album_state(name) as state:
        return state.is_up_to_date(library.pipeline_file(name), stage)


def change_yaml(path: Path, section: str, **values: object) -> None:
    """Change values of one section of a params.yaml or album.yaml."""
    document = yaml.safe_load(path.read_text())
    document[section] = (document[section] or {}) | values
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of commands that work on the library: this Python's commands, the library's model."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "REALFILL_MODELS": str(root / "models"),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",  # a busy machine has taken more than 180 s
        **more,
    }


def call(root: Path, *command: str, **more: str) -> str:
    """Run a command in the library and return what it printed; it must succeed."""
    process = subprocess.run(
        command, cwd=root, env=environment(root, **more), capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, f"{command}:\n{process.stdout}\n{process.stderr}"
    return process.stdout


def parse_stages(output: str) -> list[str]:
    """The stages that `dvc repro` ran according to its output, as "album stage" or "gallery"."""
    lines = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage ")]
    return [line.removeprefix("data/albums/").replace("/dvc.yaml:", " ") for line in lines]
