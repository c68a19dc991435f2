"""The pipeline of an album of several targets."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from realfill.core.errors import LibraryError
from realfill.library.target_pipelines import make_target_pipeline, plain_stage_name, renew_target_pipeline
from realfill.pipeline import STAGES

PIPELINE = Path(__file__).parents[2] / "pipelines" / "album.dvc.yaml"


@pytest.fixture
def pipeline() -> dict[str, Any]:
    return make_target_pipeline(yaml.safe_load(PIPELINE.read_text()), ["back", "old front"])


def test_each_stage_is_there_for_each_target_and_tuning_once(pipeline: dict[str, Any]) -> None:
    names = list(pipeline["stages"])
    assert sorted(set(map(plain_stage_name, names))) == sorted(stage.name for stage in STAGES)
    assert len(names) == 15
    assert names.count("finetune") == 1
    tuning = pipeline["stages"]["finetune"]
    assert tuning["cmd"] == "${realfill} finetune targets/back --params ../../../params.yaml"
    assert tuning["deps"] == [
        "ref",
        *(
            f"targets/{name}/work/{stage}"
            for stage in ("align", "masks", "validate")
            for name in ("back", "old front")
        ),
    ]
    assert tuning["outs"] == ["work/finetune"]


def test_a_target_has_its_own_files_and_settings(pipeline: dict[str, Any]) -> None:
    sample = pipeline["stages"]["sample-old front"]
    assert sample["cmd"] == "${realfill} sample 'targets/old front' --params ../../../params.yaml"
    assert sample["deps"] == ["targets/old front/work/align", "work/finetune", "targets/old front/work/masks"]
    assert sample["outs"] == ["targets/old front/work/sample"]
    files = [file for entry in sample["params"] for file in entry]
    assert files == ["../../../params.yaml", "../../../engine.yaml", "album.yaml", "targets/old front/album.yaml"]
    export = pipeline["stages"]["export-back"]
    assert export["outs"] == [{"targets/back/completed": {"persist": True}}]


def test_references_are_checked_against_all_targets(pipeline: dict[str, Any]) -> None:
    validate = pipeline["stages"]["validate-back"]
    assert validate["deps"] == ["ref", "targets/back/target", "targets/old front/target"]
    watched = ["boxes", "polygons", "outpaint", "aspect", "transparency"]
    assert {"targets/old front/album.yaml": watched} in validate["params"]


def test_metrics_and_plots_are_those_of_all_targets(pipeline: dict[str, Any]) -> None:
    assert pipeline["metrics"].count("work/finetune/metrics.json") == 1
    assert "targets/back/work/rank/metrics.json" in pipeline["metrics"]
    assert pipeline["plots"] == yaml.safe_load(PIPELINE.read_text())["plots"]


def test_the_pipeline_follows_the_targets(tmp_path: Path) -> None:
    for name in ("ref", "targets/back/target"):
        (tmp_path / name).mkdir(parents=True)
    renew_target_pipeline(PIPELINE, tmp_path)
    assert "export-back" in (tmp_path / "dvc.yaml").read_text()
    assert (tmp_path / "targets" / "back" / "target.dvc").read_text() == "outs:\n- path: target\n"
    (tmp_path / "targets" / "front" / "target").mkdir(parents=True)
    renew_target_pipeline(PIPELINE, tmp_path)
    assert "export-front" in (tmp_path / "dvc.yaml").read_text()
    (tmp_path / "targets" / "a@b" / "target").mkdir(parents=True)
    with pytest.raises(LibraryError, match="cannot have this name"):
        renew_target_pipeline(PIPELINE, tmp_path)


def test_an_album_of_one_target_keeps_its_link(tmp_path: Path) -> None:
    for name in ("ref", "target"):
        (tmp_path / name).mkdir()
    renew_target_pipeline(PIPELINE, tmp_path)
    assert not (tmp_path / "dvc.yaml").exists()
