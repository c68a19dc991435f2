"""After a change of code exactly the stages rerun whose code changed, by `realfill complete` and by `dvc repro`.

The code is a copy of this very package, which each test changes and restores.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.libraries import PROJECT, call, copy_library, environment, parse_stages

STAGES_FROM_RANK = ["rank", "blend", "export"]
FUTURE = "from __future__ import annotations\n"
REPORT = ("report/album_page.py", FUTURE, f"{FUTURE}\nEXTRA = 1\n")
PIPELINE = ("library/template/pipelines/album.dvc.yaml", "${realfill} export .", "${realfill} export ./")
COMMENT = ("geometry/plane_sweep.py", FUTURE, f"# A remark.\n{FUTURE}")
RANK = (  # what it writes changes too, so that what reads it follows
    "stages/rank.py",
    'write_json(folder / "metrics.json"',
    'write_json(folder / "extra.json", {})\n        write_json(folder / "metrics.json"',
)
GEOMETRY = ("geometry/plane_sweep.py", FUTURE, f"{FUTURE}\nEXTRA = 1\n")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package."""
    root = tmp_path_factory.mktemp("code")
    shutil.copytree(PROJECT / "realfill", root / "realfill", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def library(finished_library: Path, tmp_path: Path) -> Path:
    """A library of its own for every test, with one album that `dvc repro` has completed by the same code."""
    return copy_library(finished_library, tmp_path / "library")


@pytest.fixture(scope="module")
def finished_album(code: Path, finished_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album outside of any library that the same code has finished: to the copy, too, nothing is left to do."""
    finished = finished_library / "data" / "albums" / "roof"
    ignored = shutil.ignore_patterns("*.dvc", "dvc.*")
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("album") / "roof", ignore=ignored))
    assert complete(folder, finished_library, code) == []
    return folder


@contextmanager
def changed(code: Path, file: str, old: str, new: str) -> Iterator[None]:
    """Replace the first occurrence of a text in a file of the copy, inside the block."""
    path = code / "realfill" / file
    original = path.read_text()
    assert old in original
    path.write_text(original.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(original)


def complete(album: Path, library: Path, code: Path) -> list[str]:
    """The stages that `realfill complete` runs."""
    done = subprocess.run(
        ["realfill", "complete", album],
        cwd=library,
        env=environment(library, PYTHONPATH=str(code)),
        capture_output=True,
        text=True,
        check=True,
    )
    return re.findall(r"^roof: (\w+)$", done.stderr, re.MULTILINE)


def repro(library: Path, code: Path) -> list[str]:
    """The stages that `dvc repro` runs."""
    return [name.removeprefix("roof ") for name in parse_stages(call(library, "dvc", "repro", PYTHONPATH=str(code)))]


def renew(library: Path, code: Path) -> str:
    return call(library, "realfill", "engine", PYTHONPATH=str(code))


@pytest.mark.parametrize(
    ("change", "stages"),
    [(RANK, STAGES_FROM_RANK), (GEOMETRY, ["align"]), (REPORT, ["export"]), (COMMENT, [])],
    ids=["rank", "geometry", "report", "comment"],
)
def test_complete_reruns_what_changed(
    change: tuple[str, str, str],
    stages: list[str],
    finished_album: Path,
    finished_library: Path,
    code: Path,
    tmp_path: Path,
) -> None:
    album = Path(shutil.copytree(finished_album, tmp_path / "roof"))
    with changed(code, *change):
        assert complete(album, finished_library, code) == stages
        if stages:
            assert complete(album, finished_library, code) == []


@pytest.mark.parametrize(
    ("change", "stages"),
    [(RANK, ["rank"]), (GEOMETRY, ["align"]), (REPORT, ["export"]), (COMMENT, [])],
    ids=["rank", "geometry", "report", "comment"],
)
def test_dvc_finds_stale_what_changed(
    change: tuple[str, str, str], stages: list[str], library: Path, code: Path
) -> None:
    with changed(code, *change):
        renew(library, code)
        stale = json.loads(call(library, "dvc", "status", "--json", PYTHONPATH=str(code)))
        assert {name.split(":")[-1] for name in stale} == set(stages)


def test_repro_reruns_what_changed_and_what_follows(library: Path, code: Path) -> None:
    with changed(code, *RANK):
        renew(library, code)
        assert repro(library, code) == [*STAGES_FROM_RANK, "gallery"]
        assert "up to date" in call(library, "dvc", "status", PYTHONPATH=str(code))


def test_a_changed_pipeline_reaches_the_library_unless_it_was_edited(library: Path, code: Path) -> None:
    with changed(code, *PIPELINE):
        assert renew(library, code) == "pipelines/album.dvc.yaml is renewed, as this version of realfill has it.\n"
        assert repro(library, code) == ["export", "gallery"]
        pipeline = library / "pipelines" / "album.dvc.yaml"
        pipeline.write_text(f"{pipeline.read_text()}# mine\n")
    assert renew(library, code) == "engine.yaml is up to date\n"
    assert pipeline.read_text().endswith("# mine\n")


def test_a_stage_refuses_to_run_by_code_that_the_engine_does_not_name(library: Path, code: Path) -> None:
    with changed(code, *RANK):
        done = subprocess.run(
            ["realfill", "rank", "."],
            cwd=library / "data" / "albums" / "roof",
            env=environment(library, PYTHONPATH=str(code)),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "realfill engine" in done.stderr


def test_the_doctor_names_results_that_other_code_made(library: Path, code: Path) -> None:
    with changed(code, *REPORT):
        printed = call(library, "realfill", "doctor", PYTHONPATH=str(code), COLUMNS="200")
    assert re.search(r"results of export .*roof", printed)
    assert "results of align" not in printed


def test_the_engine_of_this_repository_is_current() -> None:
    from realfill.library.engine import installed_engine

    recorded = yaml.safe_load((PROJECT / "engine.yaml").read_text())
    assert recorded == dict(installed_engine()), "run `realfill engine`"
