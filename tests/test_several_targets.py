"""Albums of several targets: what they share, and what each has of its own."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from realfill.album.discovery import open_album, open_targets
from realfill.album.lock import album_lock
from realfill.album.schemas import InputPhoto
from realfill.album.store import accepted_references, read_inputs, tuned_references, write_rows
from realfill.cli.application import app
from realfill.core.errors import AlbumError, RealFillError
from realfill.core.hashing import digest
from realfill.core.params import Params, load_params
from realfill.diffusion.album_inputs import encode_training_bank
from realfill.diffusion.base_model import load_base_model
from realfill.library.gallery import write_folder_gallery
from realfill.pipeline import complete_targets
from realfill.review.application import _former_params
from realfill.review.collection import Collection
from realfill.stages import export, masks, validate
from support.finished_album import finish
from support.several_targets import make_several

STAGES = ("validate", "masks", "align", "sample", "rank", "blend")


@pytest.fixture
def house(album_folder: Path) -> Path:
    return make_several(album_folder)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def complete(house: Path, params: Params) -> list[tuple[str, str]]:
    """Complete all targets; the stages that ran, each with the target's name."""
    ran: list[tuple[str, str]] = []
    complete_targets(
        [(album, params) for album in open_targets(house)],
        on_stage=lambda stage, album, skipped: None if skipped else ran.append((stage.name, album.root.name)),
    )
    return ran


def test_all_targets_are_completed_with_one_adapter(house: Path, quick_params: Params) -> None:
    ran = complete(house, quick_params)
    assert [stage for stage, _ in ran].count("finetune") == 1
    assert len(ran) == 15
    assert ran.index(("finetune", "back")) > ran.index(("align", "front"))
    assert (house / "work" / "finetune" / "unet").is_dir()
    for name in ("front", "back"):
        target = house / "targets" / name
        assert sorted(path.name for path in (target / "work").glob("[!.]*")) == sorted(STAGES)
        document = json.loads((target / "completed" / f"motorcycle-{name}.json").read_text())
        assert document["album"] == f"motorcycle-{name}"
        assert document["adapter_digest"] == digest(house / "work" / "finetune")
        files = [row["file"] for row in document["inputs"]]
        assert files[0] == f"targets/{name}/target/target.png"
        assert files[-1] == "ref/1.png"
        assert (target / "completed" / "page" / "index.html").is_file()
    assert document["tuned_with"] == ["motorcycle-front"]
    page = (house / "targets" / "front" / "completed" / "page" / "index.html").read_text()
    assert "realfill pick motorcycle/targets/front" in page
    assert "motorcycle-back" in page
    assert complete(house, quick_params) == []

    hole = house / "targets" / "back" / "album.yaml"
    (house / "targets" / "front" / "album.yaml").write_text("blend: {candidate: 0}\n")
    params = {album.root.name: load_params(overrides=album.settings.overrides) for album in open_targets(house)}
    assert (params["front"].blend.candidate, params["back"].blend.candidate) == (0, "best")
    shutil.rmtree(house / "targets" / "front" / "work" / "blend")
    assert complete(house, quick_params) == [("blend", "front")]
    hole.write_text(hole.read_text().replace("'left': 29", "'left': 31"))
    again = complete(house, quick_params)
    assert ("masks", "front") not in again
    assert {("masks", "back"), ("finetune", "back")} <= set(again)


def test_every_targets_hole_is_excluded_from_tuning(house: Path, quick_params: Params) -> None:
    albums = open_targets(house)
    for album in albums:
        validate.run(album, quick_params)
        masks.run(album, quick_params)
    bank = encode_training_bank(albums[0], quick_params.finetune, load_base_model(quick_params.base))
    assert bank.loss_weight.shape[0] == 6
    has_hole = [not bool(weight.all()) for weight in bank.loss_weight]
    assert has_hole == [False, False, True, True, False, False], "two references, then two targets, in turns"
    assert not bank.loss_weight[2].equal(bank.loss_weight[3])


def test_a_copy_of_another_targets_damaged_photo_is_no_reference(house: Path) -> None:
    damaged = Image.open(house / "targets" / "back" / "target" / "target.png")
    shutil.copy(house / "targets" / "back" / "target" / "target.png", house / "ref" / "same.png")
    damaged.resize((220, 150)).save(house / "ref" / "smaller.png")
    front = open_album(house / "targets" / "front")
    refused = {row.file: row.reason for row in validate.run(front, load_params()).refused}
    assert list(refused) == ["ref/same.png", "ref/smaller.png"]
    assert all("targets/back/target/target.png" in reason for reason in refused.values())


def test_what_is_refused_for_one_target_is_not_tuned_on(house: Path) -> None:
    front, back = (finish(house / "targets" / name) for name in ("front", "back"))
    assert [path.name for path in tuned_references(front)] == ["0.png", "1.png"]
    rows = read_inputs(back)
    refused = [replace(row, verdict="refused") if row.file == "ref/1.png" else row for row in rows]
    write_rows(back.work("validate") / "inputs.parquet", InputPhoto, refused)
    front = open_album(house / "targets" / "front")
    assert [path.name for path in tuned_references(front)] == ["0.png"]
    assert [path.name for path in accepted_references(front)] == ["0.png", "1.png"]


def test_galleries_and_deliveries_name_each_target(house: Path, tmp_path: Path) -> None:
    for name in ("front", "back"):
        export.run(finish(house / "targets" / name), load_params())
    page = write_folder_gallery(house.parent, tmp_path / "gallery").read_text()
    assert "../motorcycle/targets/front/completed/page" in page
    assert page.count("motorcycle-back") >= 1
    assert set(Collection(house).albums()) == {"motorcycle-front", "motorcycle-back"}
    assert set(Collection(house / "targets" / "front").albums()) == {"motorcycle-front", "motorcycle-back"}
    journal = Collection(house).journal
    seen = Collection(house).albums()["motorcycle-front"].seen.model_dump()
    journal.append("motorcycle-front", "verdict", {"verdict": "approved", "seen": seen})
    assert run("deliver", tmp_path / "out", house).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("motorcycle*")) == [
        "motorcycle-front.authenticity.png",
        "motorcycle-front.json",
        "motorcycle-front.png",
    ]
    assert run("pick", house / "targets" / "back", 2).exit_code == 0
    assert "candidate: 2" in (house / "targets" / "back" / "album.yaml").read_text()
    assert not (house / "targets" / "front" / "album.yaml").exists()


def test_what_is_chosen_in_the_review_is_made_again_for_its_target_alone(house: Path) -> None:
    for name, format_ in (("front", "tiff"), ("back", "same")):
        (house / "targets" / name / "album.yaml").write_text(f"export: {{format: {format_}}}\n")
        finish(house / "targets" / name)
    for album in open_targets(house):
        params = load_params(overrides=album.settings.overrides, assignments=["rank.matcher=sift"])
        export.run(album, params)
    finished = Collection(house).albums()["motorcycle-front"]
    former = _former_params(finished)
    assert former["rank"]["matcher"] == "sift"
    assert former["export"]["format"] == "same", "front's own format stays in its album.yaml"


def test_results_go_elsewhere_with_out(house: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for path in (house / "targets" / "front", house / "targets" / "back"):
        assert run("validate", path, "--out", out).exit_code == 0
    assert sorted(path.name for path in (out / "motorcycle" / "targets").iterdir()) == ["back", "front"]
    assert not (house / "targets" / "front" / "work").exists()
    other = shutil.copytree(house, tmp_path / "other" / "motorcycle")
    assert "another album" in str(run("validate", other / "targets" / "front", "--out", out).exception)


def test_commands_for_one_target_ask_which(house: Path) -> None:
    with pytest.raises(AlbumError, match="has 2 targets. Name one of them, e.g. motorcycle/targets/back"):
        open_album(house)
    assert "has 2 targets" in str(run("masks", house).exception)


def test_one_run_at_a_time_works_on_the_targets_of_an_album(house: Path) -> None:
    front, back = open_targets(house)
    with album_lock(front), pytest.raises(AlbumError, match="Another run"), album_lock(back):
        pass


def break_two_layouts(house: Path) -> None:
    (house / "target").mkdir()


def break_reference(house: Path) -> None:
    (house / "targets" / "front" / "ref").mkdir()


def break_link(house: Path) -> None:
    (house / "targets" / "other").symlink_to(house / "targets" / "front")


def break_flat(house: Path) -> None:
    (house / "targets" / "front" / "target").rename(house / "targets" / "front" / "photos")


def break_namesake(house: Path) -> None:
    shutil.copytree(house / "targets" / "front", house.parent / "motorcycle-front")


def break_hole(house: Path) -> None:
    (house / "album.yaml").write_text("aspect: 16:9\n")


def break_tuning(house: Path) -> None:
    (house / "targets" / "front" / "album.yaml").write_text("finetune: {steps: 3}\n")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (break_two_layouts, "both target/ and targets/"),
        (break_reference, "share its references"),
        (break_link, "cannot be a link"),
        (break_flat, "There is no target photo"),
        (break_namesake, "both called motorcycle-front"),
        (break_hole, "aspect cannot be set here"),
        (break_tuning, "finetune cannot be set for one"),
    ],
)
def test_what_is_wrong_with_the_layout_is_told(house: Path, spoil: Callable[[Path], None], problem: str) -> None:
    spoil(house)
    with pytest.raises(RealFillError, match=problem):
        open_targets(house)
    result = run("complete", house)
    assert (result.exit_code, problem in result.stderr) == (1, True)


def test_parameters_of_the_album_hold_for_all_targets(house: Path) -> None:
    (house / "album.yaml").write_text("export: {quality: 97, format: png}\nfinetune: {steps: 3}\n")
    (house / "targets" / "front" / "album.yaml").write_text("export: {format: tiff}\n")
    back, front = (load_params(overrides=album.settings.overrides) for album in open_targets(house))
    assert (back.export.quality, back.export.format, back.finetune.steps) == (97, "png", 3)
    assert (front.export.quality, front.export.format, front.finetune.steps) == (97, "tiff", 3)


def test_a_stray_photo_beside_the_targets_is_told(house: Path) -> None:
    shutil.copy(house / "ref" / "0.png", house / "targets" / "0.png")
    strays = dict(open_album(house / "targets" / "front").stray_files)
    assert "folder of its own" in strays[house / "targets" / "0.png"]


def test_a_folder_called_targets_that_holds_photos_is_no_album_of_several(album_folder: Path) -> None:
    (album_folder / "targets").mkdir()
    shutil.copy(album_folder / "ref" / "0.png", album_folder / "targets" / "0.png")
    album = open_album(album_folder)
    assert (album.name, album.siblings, album.around) == ("motorcycle", (), None)
    assert dict(album.stray_files)[album_folder / "targets"].startswith("This folder is not read")
