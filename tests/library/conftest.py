"""A library whose two albums DVC finds up to date, and a clone of it for an agent."""

import shutil
from pathlib import Path

import pytest

from realfill.library.repository import Library
from support.fleets import use_remote
from support.libraries import make_agent_clone, make_library, pretend_completed


@pytest.fixture(scope="session")
def _pretended_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_library(tmp_path_factory.mktemp("pretended") / "library", "first", "second")
    library = Library.open(root)
    for name in library.album_names:
        pretend_completed(library, name)
    return root


@pytest.fixture
def library(_pretended_library: Path, tmp_path: Path) -> Library:
    """A copy of the library for each test, with an empty remote."""
    root = Path(shutil.copytree(_pretended_library, tmp_path / "library", symlinks=True))
    use_remote(root, str(tmp_path / "remote"))
    return Library.open(root)


@pytest.fixture
def agent(library: Library, tmp_path: Path) -> Library:
    """A clone with the same remote, but without the albums: they were never committed to git."""
    clone = make_agent_clone(library, tmp_path / "agent")
    use_remote(clone.root, str(tmp_path / "remote"))
    return clone
