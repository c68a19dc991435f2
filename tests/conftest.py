"""Fixtures shared by the tests: a small real album, and a tiny random model."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from filelock import FileLock

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from realfill.album.discovery import open_album
from realfill.core.params import Params, load_params
from realfill.demo_album import write_demo_album
from realfill.pipeline import complete
from support.fleets import Fleet, start_server
from support.libraries import call, complete_for_dvc, make_library, parse_stages
from support.models import write_tiny_model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of whole programs, which take longest: no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.parent.name not in ("tests", "flows"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialized model folder of Stable Diffusion 2's classes, 64 px."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def _small_album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_demo_album(tmp_path_factory.mktemp("albums") / "motorcycle")
    for path in folder.rglob("*.png"):
        photo = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mode = cv2.INTER_NEAREST if path.stem == "mask" else cv2.INTER_AREA
        cv2.imwrite(str(path), cv2.resize(photo, (296, 200), interpolation=mode))
    return folder


@pytest.fixture
def album_folder(_small_album: Path, tmp_path: Path) -> Path:
    """The motorcycle album at 296x200, a copy of its own for every test."""
    return Path(shutil.copytree(_small_album, tmp_path / "motorcycle"))


@pytest.fixture(scope="session")
def quick_params(tiny_model: Path) -> Params:
    """Parameters that finish an album in seconds with the tiny model."""
    return load_params(
        assignments=[
            f"base.model={tiny_model}",
            "base.device=cpu",
            "align.enabled=false",
            "finetune.steps=4",
            "finetune.bank=6",
            "finetune.rank=4",
            "finetune.batch_size=2",
            "finetune.checkpoint_every=1",
            "sample.candidates=2",
            "sample.steps=2",
            "rank.matcher=sift",
        ]
    )


@pytest.fixture(scope="session")
def _completed_album(_small_album: Path, quick_params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(_small_album, tmp_path_factory.mktemp("completed") / "motorcycle"))
    complete(open_album(folder), quick_params)
    return folder


@pytest.fixture
def completed_folder(_completed_album: Path, tmp_path: Path) -> Path:
    """The motorcycle album at 296x200, completed with the quick parameters, a copy of its own for every test."""
    return Path(shutil.copytree(_completed_album, tmp_path / "completed" / "motorcycle"))


@pytest.fixture(scope="session")
def finished_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose only album, `roof`, is completed and up to date for DVC and `realfill complete`.

    It is made once for all workers, and to be copied. test_clone.py has DVC run all stages.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = base / "finished" / "library"
    with FileLock(base / "finished.lock"):
        if not (root / "dvc.lock").is_file():  # the last file that is written
            shutil.rmtree(root.parent, ignore_errors=True)
            complete_for_dvc(make_library(root, "roof"), "roof")
            assert parse_stages(call(root, "dvc", "repro")) == ["gallery"]
    return root


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A Prefect server for the flows of this process, for which nobody works."""
    with start_server(tmp_path_factory.mktemp("server")) as fleet:
        yield fleet
