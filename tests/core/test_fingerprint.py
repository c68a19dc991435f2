"""Which code a stage depends on, told from the real import graph, on a copy of this very package."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from realfill.core import fingerprint
from realfill.core.fingerprint import code_fingerprint, library_versions
from realfill.pipeline import STAGES

PROJECT = Path(__file__).resolve().parents[2]
PRINT = (
    "from realfill.pipeline import STAGES, stage_fingerprint\nfor s in STAGES: print(s.name, stage_fingerprint(s))"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, to be changed at will; every test leaves it as it was."""
    root = tmp_path_factory.mktemp("code")
    shutil.copytree(PROJECT / "realfill", root / "realfill", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, str]:
    return fingerprints(copy)


def fingerprints(root: Path) -> dict[str, str]:
    """Each stage's fingerprint, by the package in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", PRINT],
        env=os.environ | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split() for line in done.stdout.splitlines())


def changed_by(root: Path, before: dict[str, str], file: str, text: str, *, at_end: bool = True) -> list[str]:
    """The stages whose fingerprint changes when a text is added to a file of the package."""
    path = root / "realfill" / file
    original = path.read_bytes() if path.exists() else None
    path.write_bytes((original or b"") + text.encode() if at_end else text.encode() + (original or b""))
    try:
        after = fingerprints(root)
    finally:
        path.unlink() if original is None else path.write_bytes(original)
    return [name for name in before if before[name] != after[name]]


def test_the_copy_has_the_fingerprints_of_the_original(before: dict[str, str]) -> None:
    modules = {stage.name: stage.module for stage in STAGES}
    assert before.keys() == modules.keys()
    assert len(set(before.values())) == len(before)


def test_geometry_decides_align_alone(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "geometry/plane_sweep.py", "\nEXTRA = 1\n") == ["align"]


def test_the_report_decides_export_alone(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "report/album_page.py", "\nEXTRA = 1\n") == ["export"]


def test_a_template_is_data_of_the_report(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "report/templates/style.css", "\n") == ["export"]


def test_weights_are_data_of_the_model(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "diffusion/pocket/scheduler/scheduler_config.json", "\n") == [
        "finetune",
        "sample",
    ]


def test_comments_and_docstrings_decide_nothing(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "geometry/plane_sweep.py", "\n# A remark.\n") == []
    assert changed_by(copy, before, "core/errors.py", '\nclass A:\n    """One."""\n') != []
    assert changed_by(copy, before, "geometry/sgm.py", '"""Another docstring."""\n', at_end=False) == []


def test_a_profile_decides_the_stages_whose_values_it_sets(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "profiles/quick.yaml", "\nrank: {pictured_matches: 9}\n") == ["rank", "export"]


def test_a_module_that_no_stage_imports_decides_nothing(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "doctor.py", "\nEXTRA = 1\n") == []
    assert changed_by(copy, before, "geometry/unused.py", "EXTRA = 1\n") == []


def test_the_version_decides_what_tells_it(copy: Path, before: dict[str, str]) -> None:
    assert changed_by(copy, before, "__init__.py", '\n__version__ = "9.9"\n') == ["export"]


def test_a_new_parameter_decides_the_stages_that_read_its_section(copy: Path, before: dict[str, str]) -> None:
    path = copy / "realfill" / "core" / "params.py"
    original = path.read_text()
    changed = original.replace("quality: int = Field(96,", "quality: int = Field(97,")
    assert changed != original
    path.write_text(changed)
    try:
        after = fingerprints(copy)
    finally:
        path.write_text(original)
    assert [name for name in before if before[name] != after[name]] == ["export"]


def test_a_library_that_decides_pixels_counts_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [stage.module for stage in STAGES]
    before = [code_fingerprint(name) for name in names]
    real = fingerprint._version
    monkeypatch.setattr(fingerprint, "_version", lambda name: "0.0" if name == "pycolmap" else real(name))
    code_fingerprint.cache_clear()
    after = [code_fingerprint(name) for name in names]
    code_fingerprint.cache_clear()
    assert [stage.name for stage, a, b in zip(STAGES, before, after, strict=True) if a != b] == ["align"]


def test_a_library_that_is_not_installed_is_told_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fingerprint.PIXEL_LIBRARIES, "no_such_library", "no-such-library")
    versions = library_versions()
    assert versions["torch"] == version("torch")
    assert versions["no-such-library"] == "absent"
