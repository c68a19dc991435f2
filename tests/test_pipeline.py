"""From an album folder to a finished photo."""

import errno
import json
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.album.lock import album_lock
from realfill.album.schemas import Candidate
from realfill.album.store import accepted_references, read_rows
from realfill.core.atomic_io import MARK
from realfill.core.errors import AlbumError, ModelError, OutputError, SpaceError, StageError
from realfill.core.hashing import digest
from realfill.core.params import Params, load_params
from realfill.photo_io.working_files import read_png, write_png
from realfill.pipeline import STAGES, Stage, complete, run_stage


def watched(album: Album, params: Params) -> list[str]:
    ran: list[str] = []

    def on_stage(stage: Stage, _: Album, skipped: bool) -> None:
        if not skipped:
            ran.append(stage.name)

    complete(album, params, on_stage=on_stage)
    return ran


def with_section(params: Params, section: str, **values: object) -> Params:
    return params.model_copy(update={section: getattr(params, section).model_copy(update=values)})


def test_an_album_is_completed_and_a_second_run_does_nothing(completed_folder: Path, quick_params: Params) -> None:
    album = open_album(completed_folder)
    photo = complete(album, quick_params)
    target, completed, mask = (read_png(path) for path in (album.target, photo, album.root / "target" / "mask.png"))
    assert completed.shape == target.shape
    assert not (completed[mask > 0] == 255).all(), "the hole, painted white, is filled"
    changed = (completed != target).any(axis=2)
    assert not changed[:20].any(), "far from the hole nothing is changed"
    assert watched(album, quick_params) == []


def test_a_change_reruns_what_depends_on_it_and_nothing_else(completed_folder: Path, quick_params: Params) -> None:
    album = open_album(completed_folder)
    complete(album, quick_params)
    assert watched(album, with_section(quick_params, "blend", feather=2.0)) == ["blend", "export"]
    assert watched(album, with_section(quick_params, "blend", feather=2.0)) == []
    write_png(album.references[0], np.ascontiguousarray(read_png(album.references[0])[:, ::-1]))
    assert watched(album, quick_params) == [stage.name for stage in STAGES]


def test_a_renamed_album_is_delivered_under_its_new_name(completed_folder: Path, quick_params: Params) -> None:
    complete(open_album(completed_folder), quick_params)
    renamed = open_album(completed_folder.rename(completed_folder.with_name("attic")))
    assert watched(renamed, quick_params) == ["export"]
    assert complete(renamed, quick_params) == renamed.completed / "attic.png"
    assert sorted(path.name for path in renamed.completed.glob("*.*")) == [
        ".realfill",
        "attic.json",
        "attic.png",
        "authenticity.png",
    ]


def test_nothing_is_computed_where_the_result_cannot_be_written(album_folder: Path, quick_params: Params) -> None:
    (album_folder / "work" / "finetune").mkdir(parents=True)
    (album_folder / "work" / "finetune" / "notes.txt").write_text("precious")
    album = open_album(album_folder)
    before = digest(album.root)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        complete(album, quick_params)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        run_stage("finetune", album, quick_params)
    assert digest(album.root) == before


def test_a_model_that_is_not_here_is_told_before_anything_is_computed(
    album_folder: Path, quick_params: Params
) -> None:
    album, before = open_album(album_folder), digest(album_folder)
    for model, told in (("/nowhere", "not there"), ("sd2-inpainting", "realfill fetch sd2-inpainting")):
        with pytest.raises(ModelError, match=told):
            complete(album, with_section(quick_params, "base", model=model))
    assert digest(album_folder) == before


def test_the_same_inputs_give_the_same_bytes(completed_folder: Path, quick_params: Params, tmp_path: Path) -> None:
    first, second = open_album(completed_folder), open_album(completed_folder, tmp_path / "second")
    assert watched(second, quick_params) == [stage.name for stage in STAGES]
    for stage in STAGES:
        assert digest(stage.output(first)) == digest(stage.output(second)), stage.name


def test_the_papers_profile_runs(album_folder: Path, quick_params: Params) -> None:
    shortened = ["finetune.steps=2", "finetune.bank=8", "sample.candidates=1", "rank.matcher=sift"]
    model = [f"base.model={quick_params.base.model}", "base.device=cpu", "align.enabled=false"]
    params = load_params(profile="paper", assignments=shortened + model)
    album = open_album(album_folder)
    complete(album, params)
    (row,) = read_rows(album.work("sample") / "candidates.parquet", Candidate)
    assert (row.scheduler, row.steps) == ("ddpm", 200)


def test_a_bad_reference_is_left_out_with_a_warning(
    album_folder: Path, quick_params: Params, caplog: pytest.LogCaptureFixture
) -> None:
    (album_folder / "ref" / "3.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    complete(open_album(album_folder), quick_params)
    assert "3.jpg" in caplog.text


def test_a_stage_alone_says_what_must_run_before_it(album_folder: Path, quick_params: Params) -> None:
    album = open_album(album_folder)
    for stage in STAGES[1:]:
        with pytest.raises(StageError, match="Run `realfill "):
            run_stage(stage.name, album, quick_params)
    assert not (album.out / "completed").exists()


def test_a_disk_that_takes_no_more_is_told_and_what_was_there_stays(
    completed_folder: Path, quick_params: Params
) -> None:
    album = open_album(completed_folder)
    complete(album, quick_params)
    before = digest(album.root)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for stage in STAGES:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(SpaceError, match=f"disk is full.*{stage.name}"):
                run_stage(stage.name, album, quick_params)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert digest(album.root) == before, stage.name
    run_stage("export", album, quick_params)
    assert digest(album.root) == before


def test_two_runs_do_not_work_on_one_album(album_folder: Path, quick_params: Params) -> None:
    album = open_album(album_folder)
    with album_lock(album), pytest.raises(AlbumError, match="Another run"):
        complete(album, quick_params)


def test_provenance_tells_how_the_photo_came_about(completed_folder: Path, quick_params: Params) -> None:
    album = open_album(completed_folder)
    photo = complete(album, quick_params)
    told = json.loads((album.completed / "motorcycle.json").read_text())
    assert told["photo"] == photo.name
    assert told["params"]["finetune"]["steps"] == quick_params.finetune.steps
    assert str(completed_folder) not in json.dumps(told)


def test_results_of_a_version_that_wrote_no_mark_are_taken_over(completed_folder: Path, quick_params: Params) -> None:
    album = open_album(completed_folder)
    complete(album, quick_params)
    for stage in STAGES:
        (stage.output(album) / MARK).unlink()
        record = album.out / "work" / ".done" / f"{stage.name}.json"
        document = json.loads(record.read_text()) | {
            "outputs": digest(stage.output(album)),
            "inputs": "of other code",
        }
        record.write_text(json.dumps(document))
    assert watched(album, quick_params)[0] == "validate"
    assert (album.completed / MARK).is_file()
    (album.completed / MARK).unlink()
    (album.completed / "own.txt").write_text("a file of the user's")
    with pytest.raises(OutputError, match=r"own\.txt|did not write"):
        complete(album, quick_params, force=True)
    assert (album.completed / "own.txt").is_file()


def test_stages_run_one_by_one_are_up_to_date_afterwards(completed_folder: Path, quick_params: Params) -> None:
    album = open_album(completed_folder)
    shutil.rmtree(album.out / "work" / ".done")
    for stage in STAGES:
        run_stage(stage.name, album, quick_params)
    assert watched(album, quick_params) == []


class _Stop(Exception):
    """Ends a run before a stage."""


def test_a_reference_that_may_not_be_read_is_left_out(
    album_folder: Path, quick_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    album, open_file = open_album(album_folder), Path.open
    unreadable = album.references[0]
    unreadable.write_bytes(b"")

    def refuse(path: Path, *arguments: Any, **more: Any) -> Any:
        if path == unreadable:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *arguments, **more)

    def stop(stage: Stage, _: Album, skipped: bool) -> None:
        if stage.name == "masks":
            raise _Stop

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(_Stop):
        complete(album, quick_params, on_stage=stop)
    assert [path.name for path in accepted_references(album)] == ["1.png", "2.png"]
