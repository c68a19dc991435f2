"""What the lock file promises to a fresh machine."""

from importlib.metadata import distribution
from pathlib import Path

from packaging.specifiers import SpecifierSet

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
PINS = [line.split("==")[0] for line in LOCK.read_text().splitlines() if "==" in line]


def test_every_pinned_package_runs_on_the_oldest_python_that_is_promised() -> None:
    asked = {name: distribution(name).metadata["Requires-Python"] or "" for name in PINS}
    assert {name: versions for name, versions in asked.items() if "3.11.0" not in SpecifierSet(versions)} == {}
