"""A fleet after its first night, shared by the tests that need a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from realfill.library.add_album import add_album
from support.fleets import Fleet, commit, start_fleet
from support.libraries import write_tiny_album

GOOD, BROKEN = ("roof", "tower"), ("torn", "whole")


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A library after its first night: two good albums, one whose photo is damaged, and one without a hole.

    Two agents work in clones of their own and share nothing with the library but the DVC remote.
    """
    with start_fleet(tmp_path_factory.mktemp("fleet"), *GOOD) as fleet:
        for name in BROKEN:
            _break(add_album(write_tiny_album(fleet.root / "broken" / name), fleet.library))
        commit(fleet.library)
        fleet.start_worker("coordinator", fleet.library, pool="realfill-library")
        for name in ("agent-1", "agent-2"):
            fleet.start_worker(name, fleet.make_agent(name))
        run = fleet.wait(fleet.run("complete-library/library", "shard=2"))
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        yield fleet


def _break(album: Path) -> None:
    target = album / "target" / "target.png"
    if album.name == "torn":
        target.write_bytes(target.read_bytes()[:3000])
    else:
        (album / "target" / "mask.png").unlink()
