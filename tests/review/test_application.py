"""What was decided is written into the albums, once, and survives crashes and other runs."""

import json
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from unittest.mock import Mock

import httpx
import numpy as np
import pytest
from PIL import Image

from realfill.album.discovery import open_album
from realfill.album.lock import album_lock
from realfill.core.errors import AlbumError, MaskError, RealFillError, StageError
from realfill.photo_io.working_files import read_png
from realfill.review import application
from realfill.review.application import apply_decisions, write_choice, write_choices
from realfill.review.approved import choose_photos
from realfill.review.collection import Collection
from realfill.review.decisions import Decision
from realfill.review.mask_edits import keep_mask, read_described_hole
from support.reviews import log_in, review, write_finished_albums

REGION = {"candidate": 2, "polygon": [[1, 1], [9, 1], [9.5, 9]]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    return write_finished_albums(tmp_path_factory.mktemp("finished") / "albums", _small_album, ["barn", "roof"])


@pytest.fixture
def collection(finished: Path, tmp_path: Path) -> Collection:
    return Collection(Path(shutil.copytree(finished, tmp_path / "albums")))


def decision(collection: Collection, name: str = "roof") -> Decision:
    return collection.journal.decisions()[name]


def blend_of(collection: Collection, name: str = "roof") -> object:
    return open_album(collection.albums_folder / name).settings.overrides.get("blend")


def stroke(collection: Collection, **values: object) -> str:
    """Append a stroke to the journal as the app does; its identifier."""
    album = open_album(collection.albums_folder / "roof")
    known = collection.journal.decisions().get("roof", Decision()).base
    base = known or keep_mask(read_described_hole(album), collection.journal.folder)
    value = {"tool": "brush", "radius": 6, "points": [[0, 0], [30, 0]], "base": base} | values
    return collection.journal.append("roof", "stroke", value).id


def test_a_pick_and_its_regions_are_written_and_their_undo_too(collection: Collection) -> None:
    pick = collection.journal.append("roof", "pick", {"candidate": 2})
    region = collection.journal.append("roof", "region", REGION | {"candidate": 0})
    write_choice(collection, "roof")
    polygon = [[1, 1], [9, 1], [9.5, 9]]
    assert blend_of(collection) == {"candidate": 2, "regions": [{"candidate": 0, "polygon": polygon}]}
    assert blend_of(collection, "barn") is None
    assert not decision(collection).pending
    for entry in (pick, region):
        collection.journal.append("roof", "undo", entry.id)
    write_choice(collection, "roof")
    assert blend_of(collection) == {"candidate": "best", "regions": []}


def test_an_undone_pick_returns_to_what_was_picked_before(collection: Collection) -> None:
    settings = collection.albums_folder / "roof" / "album.yaml"
    settings.write_text("# mine\nblend: {candidate: 0}\n")
    pick = collection.journal.append("roof", "pick", {"candidate": 2, "before": 0})
    write_choice(collection, "roof")
    collection.journal.append("roof", "undo", pick.id)
    write_choice(collection, "roof")
    assert settings.read_text() == "# mine\nblend: {candidate: 0}\n"


def test_a_part_of_another_candidate_leaves_the_candidate_that_was_picked_before(collection: Collection) -> None:
    settings = collection.albums_folder / "roof" / "album.yaml"
    settings.write_text("blend: {candidate: 2}\n")
    collection.journal.append("roof", "region", REGION | {"candidate": 0})
    write_choice(collection, "roof")
    assert blend_of(collection) == {
        "candidate": 2,
        "regions": [{"candidate": 0, "polygon": [[1, 1], [9, 1], [9.5, 9]]}],
    }


def test_what_was_applied_is_not_applied_again_over_what_the_user_wrote_since(collection: Collection) -> None:
    collection.journal.append("roof", "pick", {"candidate": 2})
    write_choice(collection, "roof")
    (collection.albums_folder / "roof" / "album.yaml").write_text("blend: {candidate: 0}\n")
    assert write_choices(collection) == {}
    assert blend_of(collection) == {"candidate": 0}


def test_a_repainted_mask_is_written_to_the_pixel_and_undone(collection: Collection) -> None:
    folder = collection.albums_folder / "roof"
    before = read_png(folder / "target" / "mask.png")
    first = stroke(collection)
    erased = stroke(collection, tool="polygon", erase=True, points=[[0, 0], [20, 0], [20, 20], [0, 20]])
    write_choice(collection, "roof")
    mask = read_png(folder / "target" / "mask.png")
    assert mask[0, 30] == mask[3, 33] == 255
    assert not mask[:21, :21].any()
    assert (mask[40:] == before[40:]).all()
    for entry in (erased, first):
        collection.journal.append("roof", "undo", entry)
    write_choice(collection, "roof")
    assert (read_png(folder / "target" / "mask.png") == before).all()
    assert list((collection.journal.folder / "replaced" / "roof").glob("*-mask.png"))


def test_a_mask_that_was_repainted_elsewhere_is_not_replaced(collection: Collection) -> None:
    stroke(collection)
    path = collection.albums_folder / "roof" / "target" / "mask.png"
    other = np.zeros_like(read_png(path))
    other[50:60, 50:60] = 255
    Image.fromarray(other).save(path)
    collection.journal.append("barn", "pick", {"candidate": 2})
    problems = write_choices(collection)
    assert isinstance(problems.pop("roof"), MaskError)
    assert not problems
    assert (read_png(path) == other).all()
    assert decision(collection).pending
    assert blend_of(collection, "barn") == {"candidate": 2}


def test_a_mask_takes_the_place_of_shapes_and_of_other_formats(collection: Collection) -> None:
    folder = collection.albums_folder / "roof"
    (folder / "target" / "mask.png").unlink()
    text = (
        "boxes:\n  - {left: 100, top: 60, right: 160, bottom: 110}  # the chimney\n"
        "polygons: [[[5, 5], [9, 5], [9, 9]]]\nexport: {gps: strip}\n"
    )
    (folder / "album.yaml").write_text(text)
    stroke(collection)
    write_choice(collection, "roof")
    album = open_album(folder)
    assert (album.settings.boxes, album.settings.polygons) == ((), ())
    assert album.settings.overrides == {"export": {"gps": "strip"}}
    mask = read_described_hole(album)
    assert mask[60, 100] == mask[109, 159] == mask[0, 30] == mask[6, 8] == 255
    (kept,) = (collection.journal.folder / "replaced" / "roof").glob("*-album.yaml")
    assert kept.read_text() == text


def make_transparent(collection: Collection) -> Path:
    """Replace the mask of roof by transparent pixels of its target; the album's folder."""
    folder = collection.albums_folder / "roof"
    target = folder / "target" / "target.png"
    with Image.open(target) as photo, Image.open(folder / "target" / "mask.png") as mask:
        photo.putalpha(mask.convert("L").point(lambda value: 255 - value))
        photo.save(target)
    (folder / "target" / "mask.png").unlink()
    return folder


def test_a_hole_of_transparent_pixels_is_erased_and_undone(collection: Collection) -> None:
    folder = make_transparent(collection)
    before = read_described_hole(open_album(folder))
    erased = stroke(collection, tool="polygon", erase=True, points=[[0, 0], [296, 0], [296, 90], [0, 90]])
    assert write_choices(collection) == {}
    assert (folder / "album.yaml").read_text().startswith("transparency: keep\n")
    hole = read_described_hole(open_album(folder))
    assert before[:90].any()
    assert not hole[:90].any()
    assert (hole[91:] == before[91:]).all()
    collection.journal.append("roof", "undo", erased)
    assert write_choices(collection) == {}
    assert (read_described_hole(open_album(folder)) == before).all()


def test_a_mask_that_was_written_half_is_written_the_next_time(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_transparent(collection)
    (folder / "album.yaml").write_text("boxes: [{left: 0, top: 0, right: 20, bottom: 20}]\n")
    stroke(collection, tool="polygon", erase=True, points=[[0, 0], [296, 0], [296, 90], [0, 90]])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(application, "override_hole", Mock(side_effect=KeyboardInterrupt))
        write_choice(collection, "roof")
    assert decision(collection).pending
    write_choice(collection, "roof")
    assert not read_described_hole(open_album(folder))[:90].any()


def test_a_mask_of_another_format_is_replaced_without_two_at_any_moment(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = collection.albums_folder / "roof" / "target"
    with Image.open(folder / "mask.png") as mask:
        mask.save(folder / "mask.tif")
    (folder / "mask.png").unlink()
    before = read_described_hole(open_album(folder.parent))
    stroke(collection)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", Mock(side_effect=KeyboardInterrupt))
        write_choice(collection, "roof")
    hole = read_described_hole(open_album(folder.parent))
    assert hole[0, 30] == 255 and (hole[40:] == before[40:]).all()
    write_choice(collection, "roof")
    assert [path.name for path in folder.glob("mask.*")] in (["mask.tif"], ["mask.png"])
    assert (read_described_hole(open_album(folder.parent)) == hole).all()


def test_git_keeps_the_journal_and_no_masks(collection: Collection) -> None:
    root = collection.albums_folder
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    stroke(collection)
    write_choice(collection, "roof")
    listing = ["git", "ls-files", "--others", "--exclude-standard", ".review"]
    assert list((root / ".review" / "masks").glob("*.png"))
    assert list((root / ".review" / "replaced").glob("*/*"))
    assert subprocess.check_output(listing, cwd=root, text=True).split() == [".review/journal.jsonl"]


def test_a_choice_waits_while_a_run_works_on_the_album(collection: Collection) -> None:
    collection.journal.append("roof", "pick", {"candidate": 2})
    with album_lock(open_album(collection.albums_folder / "roof")):
        assert isinstance(write_choices(collection)["roof"], AlbumError)
    assert decision(collection).pending
    assert write_choices(collection) == {}
    assert not decision(collection).pending


def test_a_choice_that_was_written_but_not_made_is_made_the_next_time(collection: Collection) -> None:
    collection.journal.append("roof", "pick", {"candidate": 2})
    write_choice(collection, "roof")
    roof = collection.albums()["roof"]
    assert roof.is_outdated(decision(collection))
    assert not collection.albums()["barn"].is_outdated(Decision())
    document = roof.album.provenance
    document.write_text(
        document.read_text().replace('"name": "pocket"', '"name": "x"').replace('"model": "pocket"', '"model": "x"')
    )
    outcomes = apply_decisions(collection)
    assert isinstance(outcomes["roof"], StageError)
    assert "model folder 'x'" in str(outcomes["roof"])
    assert list(outcomes) == ["roof"]


def test_a_repaint_that_cannot_be_made_keeps_the_photo_before_from_being_delivered(collection: Collection) -> None:
    seen = collection.albums()["roof"].seen.model_dump()
    collection.journal.append("roof", "verdict", {"verdict": "approved", "seen": seen})
    assert choose_photos(collection.albums_folder, everything=True)[1] == {}
    stroke(collection, points=[[0, 0], [400, 0], [400, 400], [0, 400]], tool="polygon", radius=0)
    (error,) = apply_decisions(collection).values()
    assert str(error).partition("made again: ")[2].startswith(str(collection.albums_folder / "roof"))
    assert not decision(collection).pending, "it is written into the album"
    roof = collection.albums()["roof"]
    assert roof.is_pending(decision(collection))
    collection.journal.append("roof", "verdict", {"verdict": "approved", "seen": roof.seen.model_dump()})
    wishes, left_out = choose_photos(collection.albums_folder, everything=True)
    assert [wish.album.name for wish in wishes] == ["barn"]
    assert "not applied yet" in left_out["roof"]


def test_a_choice_that_was_taken_back_but_not_made_is_pending(collection: Collection) -> None:
    pick = collection.journal.append("roof", "pick", {"candidate": 2})
    write_choice(collection, "roof")
    document = collection.albums()["roof"].album.provenance
    made = json.loads(document.read_text())
    made["params"]["blend"]["candidate"] = 2
    document.write_text(json.dumps(made))
    assert not collection.albums()["roof"].is_pending(decision(collection))
    collection.journal.append("roof", "undo", pick.id)
    write_choice(collection, "roof")
    assert collection.albums()["roof"].is_pending(decision(collection))


def test_an_album_that_can_no_longer_be_opened_is_told_and_the_others_are_applied(collection: Collection) -> None:
    collection.journal.append("roof", "pick", {"candidate": 2})
    write_choice(collection, "roof")
    collection.albums()
    (collection.albums_folder / "roof" / "album.yaml").write_text("boxes: {\n")
    assert isinstance(apply_decisions(collection)["roof"], RealFillError)


def test_a_choice_of_somebody_else_is_not_decided_about_unseen(collection: Collection) -> None:
    roof = collection.albums()["roof"].provenance["digest"]
    with review(collection.albums_folder) as (address, _), log_in(address) as client:

        def decide(subject: str, value: object, after: str) -> httpx.Response:
            entry = {"id": uuid.uuid4().hex, "album": "roof", "photo": roof, "subject": subject}
            return client.post("/api/decisions", json=entry | {"value": value, "after": after})

        latest = decide("pick", {"candidate": 2}, "").json()["latest"]
        for subject, value in (("verdict", {"verdict": "approved"}), ("pick", {"candidate": 0}), ("region", REGION)):
            assert decide(subject, value, "").status_code == 409
        outside = REGION | {"polygon": [[0, 0], [2, 0], [2, 2]]}
        assert "Nothing of this part was filled" in decide("region", outside, latest).json()["detail"]
        assert decide("region", {"candidate": 2, "polygon": "x"}, latest).status_code == 422
        assert decide("verdict", {"verdict": "approved"}, latest).status_code == 200
        repeated = {"id": latest, "album": "roof", "photo": roof, "subject": "pick", "value": {"candidate": 2}}
        assert client.post("/api/decisions", json=repeated | {"after": "x"}).status_code == 200, "it counted already"
        decide("undo", latest, latest)
        assert decide("verdict", {"verdict": "approved"}, latest).status_code == 409
    assert [entry.subject for entry in collection.journal.read()] == ["pick", "verdict", "undo"]


def test_kill_9_between_a_decision_and_its_application_loses_nothing(collection: Collection) -> None:
    photo = collection.albums()["roof"].provenance["digest"]
    with review(collection.albums_folder) as (address, process), log_in(address) as client:
        entry = {"id": uuid.uuid4().hex, "album": "roof", "photo": photo, "subject": "pick"}
        for _ in range(2):  # the answer to the first one got lost
            assert client.post("/api/decisions", json=entry | {"value": {"candidate": 2}}).status_code == 200
        process.send_signal(signal.SIGKILL)
    assert decision(collection).candidate == 2
    assert blend_of(collection) is None
    assert write_choices(Collection(collection.albums_folder)) == {}
    assert blend_of(collection) == {"candidate": 2}
    assert [entry.subject for entry in collection.journal.read()] == ["pick", "applied"]
