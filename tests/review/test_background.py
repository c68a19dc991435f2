"""Work beside the requests of the app: delivering."""

import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from realfill.core.hashing import digest
from support.reviews import log_in, review, write_finished_albums


@pytest.fixture
def albums(tmp_path: Path, _small_album: Path) -> Path:
    return write_finished_albums(tmp_path / "albums", _small_album, ["roof", "tower"])


def deliver(client: httpx.Client) -> dict[str, Any]:
    """Deliver as the button does; how it ended."""
    assert client.post("/api/deliver", json={}).status_code == 200
    for _ in range(600):
        state = client.get("/api/albums").json()["delivering"]
        if not state["running"]:
            return dict(state)
        time.sleep(0.1)
    raise TimeoutError(state)


def test_approved_photos_are_delivered_to_a_new_folder_each_time(albums: Path) -> None:
    with review(albums) as (address, _), log_in(address) as client:
        assert "No photo is approved" in deliver(client)["report"]
        photo = client.get("/api/albums/tower").json()["photo"]
        entry = {"id": uuid.uuid4().hex, "album": "tower", "photo": photo, "subject": "verdict"}
        assert client.post("/api/decisions", json=entry | {"value": {"verdict": "approved"}}).status_code == 200
        reports = [deliver(client)["report"] for _ in range(2)]
        photo, latest = client.get("/api/albums/roof").json()["photo"], ""
        for subject, value in (("pick", {"candidate": 0}), ("verdict", {"verdict": "approved"})):
            entry = {"id": uuid.uuid4().hex, "album": "roof", "photo": photo, "subject": subject, "value": value}
            answer = client.post("/api/decisions", json=entry | {"after": latest})
            assert answer.status_code == 200
            latest = answer.json()["latest"]
        third = deliver(client)
    assert third["report"].startswith("1 delivered")
    assert "not applied yet" in third["problems"]["roof"]
    first, second, _ = sorted((albums.parent / "deliveries").glob("[!.]*"))
    assert [report.partition(" delivered to ")[::2] for report in reports] == [("1", str(first)), ("1", str(second))]
    for folder in (first, second):
        assert digest(folder / "tower.png") == digest(albums / "tower" / "completed" / "tower.png")
        assert not (folder / "roof.png").exists()


def test_what_cannot_be_signed_is_told_and_nothing_is_written(
    albums: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    Path("params.yaml").write_text("delivery: {credentials: sign}")
    with review(albums) as (address, _), log_in(address) as client:
        photo = client.get("/api/albums/roof").json()["photo"]
        entry = {"id": uuid.uuid4().hex, "album": "roof", "photo": photo, "subject": "verdict"}
        client.post("/api/decisions", json=entry | {"value": {"verdict": "approved"}})
        assert "credentials init" in deliver(client)["report"]
    assert list((albums.parent / "deliveries").glob("[!.]*")) == []


def test_a_read_only_app_delivers_nothing(albums: Path) -> None:
    with review(albums, "--read-only") as (address, _), log_in(address) as client:
        assert client.post("/api/deliver", json={}).status_code == 405
