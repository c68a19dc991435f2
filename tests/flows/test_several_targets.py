"""An album of several targets in a library: its flow, and what DVC knows of it, both real."""

import shutil
from pathlib import Path

import pytest

from realfill.cli.options import AlbumOptions
from realfill.flows.complete_album import complete_album
from realfill.library.add_album import add_album
from realfill.library.repository import Library
from realfill.library.run_history import read_photo_digest, summarize_results
from realfill.library.work_orders import apply_work_order, make_work_order, shared_context
from realfill.review.collection import Collection
from support.fleets import Fleet
from support.libraries import call, make_agent_clone, make_library, parse_stages, write_tiny_album
from support.nights import flows_of_this_process
from support.several_targets import make_several


@pytest.fixture
def library(tmp_path: Path) -> Library:
    source = write_tiny_album(tmp_path / "source" / "house")
    shutil.copy(source / "ref" / "left.png", source / "ref" / "2.png")
    root = make_library(tmp_path / "library")
    add_album(make_several(source), root)
    return Library.open(root)


def stale(library: Library) -> list[str]:
    """The stages that DVC does not find up to date."""
    library.prepare("house")
    with library.album_state("house") as state:
        return [name for file, name in state.stages if not state.is_up_to_date(file, name)]


def test_the_flow_completes_all_targets_for_dvc_too(
    library: Library, prefect_server: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(library.root)
    for name in ("house-front", "house/targets/front"):
        assert AlbumOptions().open(Path(name))[0].name == "house-front"
    with flows_of_this_process(prefect_server, library.root):
        summary = complete_album("house")
    assert summary["photo"] == [
        f"data/albums/house/targets/{name}/completed/house-{name}.png" for name in ("back", "front")
    ]
    ran = [stage["stage"] for stage in summary["stages"]]
    assert len(ran) == 15
    assert ran.count("finetune") == 1
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/house/dvc.yaml")
    assert stale(library) == []

    row = summarize_results(library.targets("house"))
    assert row["digest"] == read_photo_digest(library, "house")
    assert {"back.rank.score", "front.rank.score"} <= set(row["scores"])
    assert set(Collection(library.root).albums()) == {"house-back", "house-front"}
    gallery = (library.root / "data" / "gallery" / "index.html").read_text()
    assert "../albums/house/targets/front/completed/page" in gallery
    page = library.folder("house") / "targets" / "front" / "completed" / "page" / "index.html"
    assert (page.parent / "../../../../../../gallery/index.html").is_file()
    assert "../../../../../../gallery/index.html" in page.read_text()

    call(library.root, "realfill", "pick", "house/targets/front", "1")
    assert stale(library) == ["blend-front", "export-front"]
    repro = call(library.root, "dvc", "repro", "data/albums/house/dvc.yaml")
    assert parse_stages(repro) == ["house blend-front", "house export-front"]

    agent = make_agent_clone(library, tmp_path / "agent")
    context = shared_context(library)
    assert apply_work_order(agent, make_work_order(library, "house", context), context)
    assert agent.dvc_files("house") == [
        agent.folder("house") / file for file in ("ref.dvc", "targets/back/target.dvc", "targets/front/target.dvc")
    ]
    assert (agent.folder("house") / "dvc.yaml").read_text() == library.pipeline_file("house").read_text()
