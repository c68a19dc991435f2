"""The pipelines in `dvc.yaml` and `pipelines/album.dvc.yaml` under `dvc repro`: what reruns and what does not."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageEnhance

from realfill.core.params import Params, load_params
from realfill.library.add_album import add_album
from realfill.pipeline import STAGES
from support.libraries import PROJECT, call, change_yaml, copy_library, parse_stages, write_tiny_album

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def finished(finished_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose two albums `dvc repro` has completed; only what the second does differently was run for it."""
    root = copy_library(finished_library, tmp_path_factory.mktemp("finished") / "library")
    second = add_album(write_tiny_album(root.parent / "second"), root)
    change_yaml(second / "album.yaml", "blend", feather=3)
    assert parse_stages(call(root, "dvc", "repro")) == ["second blend", "second export", "gallery"]
    return root


@pytest.fixture
def library(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished library."""
    return copy_library(finished, tmp_path / "library")


def test_a_bare_repro_delivers_every_album_and_the_page_that_lists_them(finished: Path) -> None:
    for name in ("roof", "second"):
        completed = finished / "data" / "albums" / name / "completed"
        photo = completed / json.loads((completed / f"{name}.json").read_text())["photo"]
        with Image.open(photo) as image:
            assert image.size == (185, 125)
    page = (finished / "data" / "gallery" / "index.html").read_text()
    assert "roof" in page
    assert "second" in page


def test_a_second_repro_does_nothing(library: Path) -> None:
    assert parse_stages(call(library, "dvc", "repro")) == []
    assert "up to date" in call(library, "dvc", "status")


def test_git_is_offered_the_pipelines_and_locks_but_no_photo_and_no_output(library: Path) -> None:
    offered = call(library, "git", "ls-files", "--others", "--exclude-standard", "data", "dvc.lock").split()
    files = ("album.yaml", "dvc.lock", "dvc.yaml", "ref.dvc", "target.dvc")
    albums = [f"data/albums/{album}/{file}" for album in ("roof", "second") for file in files]
    assert sorted(offered) == sorted(["dvc.lock", *albums])


def test_a_blend_parameter_reruns_blend_and_export_of_every_album(library: Path) -> None:
    change_yaml(library / "params.yaml", "blend", feather=2.5)
    assert sorted(parse_stages(call(library, "dvc", "repro"))) == [
        "gallery",
        "roof blend",
        "roof export",
        "second blend",
        "second export",
    ]


def test_whether_anything_is_generated_decides_all_stages_from_tuning_on(library: Path) -> None:
    change_yaml(library / "params.yaml", "blend", generate="never")
    stale = {target.removeprefix("data/albums/") for target in json.loads(call(library, "dvc", "status", "--json"))}
    stages = ("finetune", "sample", "rank", "blend", "export")
    assert stale == {f"{album}/dvc.yaml:{name}" for album in ("roof", "second") for name in stages}
    call(library, "dvc", "repro", "data/albums/roof/dvc.yaml:finetune")
    told = json.loads((library / "data" / "albums" / "roof" / "work" / "finetune" / "metrics.json").read_text())
    assert told["left_out"] == "blend.generate is never"


def test_an_override_reruns_that_albums_stages_alone(library: Path) -> None:
    change_yaml(library / "data" / "albums" / "second" / "album.yaml", "blend", feather=2.5)
    assert parse_stages(call(library, "dvc", "repro")) == ["second blend", "second export", "gallery"]


def test_a_changed_photo_reruns_its_album_alone(library: Path) -> None:
    path = library / "data" / "albums" / "roof" / "ref" / "left.png"
    with Image.open(path) as image:
        darker = ImageEnhance.Brightness(image).enhance(0.9)
    darker.save(path)
    stale = {target.removeprefix("data/albums/") for target in json.loads(call(library, "dvc", "status", "--json"))}
    stages = ("validate", "align", "finetune", "rank", "blend", "export")
    assert stale == {"gallery", "roof/ref.dvc", *(f"roof/dvc.yaml:{name}" for name in stages)}
    assert parse_stages(call(library, "dvc", "repro", "data/albums/roof/dvc.yaml:validate")) == ["roof validate"]
    assert "up to date" in call(library, "dvc", "status", "data/albums/roof/ref.dvc")


def test_new_code_of_a_stage_makes_it_stale_in_every_album(library: Path) -> None:
    engine = yaml.safe_load((library / "engine.yaml").read_text())
    (library / "engine.yaml").write_text(yaml.safe_dump(engine | {"finetune": "another", "sample": "another"}))
    stale = json.loads(call(library, "dvc", "status", "--json"))
    assert {target.removeprefix("data/albums/") for target in stale} == {
        f"{album}/dvc.yaml:{stage}" for album in ("roof", "second") for stage in ("finetune", "sample")
    }


def test_albums_with_the_same_photos_share_the_work_but_not_the_names(library: Path, tmp_path: Path) -> None:
    add_album(write_tiny_album(tmp_path / "twin"), library)
    assert parse_stages(call(library, "dvc", "repro")) == ["twin export", "gallery"]
    completed = library / "data" / "albums" / "twin" / "completed"
    assert json.loads((completed / "twin.json").read_text())["album"] == "twin"


def test_metrics_and_the_loss_curve_are_shown(library: Path) -> None:
    shown = json.loads(call(library, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {
        f"data/albums/{album}/work/{stage}/metrics.json"
        for album in ("roof", "second")
        for stage in ("evaluate", "finetune", "rank")
    }
    plots = json.loads(call(library, "dvc", "plots", "show", "--json"))["data"]
    assert len(plots) == 2
    for (plot,) in plots.values():
        points = plot["content"]["data"]["values"]
        assert len({point["step"] for point in points}) == 2
        assert all(float(point["loss"]) > 0 for point in points)


def test_the_pipeline_watches_what_the_stages_declare() -> None:
    stages = yaml.safe_load((PROJECT / "pipelines" / "album.dvc.yaml").read_text())["stages"]
    assert list(stages) == NAMES
    for stage in STAGES:
        entry = stages[stage.name]
        params = {file: keys for group in entry["params"] for file, keys in group.items()}
        assert {f"work/{name}" for name in stage.reads} <= set(entry["deps"]), stage.name
        assert {"profile", *stage.sections} <= set(params["album.yaml"]), stage.name
        assert {"profile", *stage.sections} <= {key.split(".")[0] for key in params["../../../params.yaml"]}, (
            stage.name
        )
        assert set(stage.values) <= set(params["../../../params.yaml"]), stage.name
        assert params["../../../engine.yaml"] == [stage.name]


def test_params_yaml_states_every_parameter_with_its_default() -> None:
    path = PROJECT / "params.yaml"
    assert load_params(path) == Params()
    assert yaml.safe_load(path.read_text()) == Params().model_dump(mode="json", by_alias=True)
