"""Work orders between the library's own clone and an agent's."""

import shutil
from pathlib import Path

import pytest

from realfill.core.errors import LibraryError, ParamsError, TransientError
from realfill.core.hashing import digest
from realfill.library import work_orders
from realfill.library.dvc_state import open_dvc_state
from realfill.library.repository import PIPELINE, Library
from support.libraries import call, change_yaml, pretend_completed


def test_an_agent_without_a_shared_disk_pulls_the_photos_and_returns_the_results(
    library: Library, agent: Library
) -> None:
    (library.folder("first") / "dvc.lock").unlink()
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context)
    with open_dvc_state(library.root, *library.dvc_files("first")) as state:
        state.push()
    assert work_orders.apply_work_order(agent, order, context)
    with agent.album_state("first") as state:
        state.pull()
    target = Path("target") / "target.png"
    assert digest(agent.folder("first") / target) == digest(library.folder("first") / target)
    pretend_completed(agent, "first")
    with agent.album_state("first") as state:
        state.push()
    shutil.rmtree(library.folder("first") / "completed")
    work_orders.pull_results(library, "first", (agent.folder("first") / "dvc.lock").read_text())
    assert (library.folder("first") / "completed" / "first.png").read_bytes() == b"first"
    assert "up to date" in call(library.root, "dvc", "status", "data/albums/first/dvc.yaml")
    assert list((agent.root.parent / "remote" / "runs").rglob("*"))  # the run-cache was pushed too


def test_the_same_order_is_answered_with_its_stored_outcome_and_another_one_is_not(
    library: Library, agent: Library
) -> None:
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context)
    assert work_orders.apply_work_order(agent, order, context)
    assert work_orders.read_outcome(agent, order) is None
    assert not work_orders.apply_work_order(agent, order, context)
    work_orders.write_outcome(agent, order, {"album": "first"})
    assert work_orders.read_outcome(agent, order) == {"album": "first"}
    again = work_orders.make_work_order(library, "first", context, attempt=2)
    assert work_orders.read_outcome(agent, again) is None
    change_yaml(library.root / "params.yaml", "blend", feather=3)
    changed = work_orders.make_work_order(library, "first", work_orders.shared_context(library))
    assert work_orders.read_outcome(agent, changed) is None


def test_an_agent_gets_the_parameters_of_the_library(library: Library, agent: Library) -> None:
    change_yaml(library.root / "params.yaml", "blend", feather=3)
    context = work_orders.shared_context(library)
    work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", context), context)
    assert (agent.root / "params.yaml").read_text() == (library.root / "params.yaml").read_text()


def test_an_interrupted_order_keeps_what_the_agent_has_done(library: Library, agent: Library) -> None:
    (library.folder("first") / "dvc.lock").unlink()
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context)
    work_orders.apply_work_order(agent, order, context)
    (agent.folder("first") / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    work_orders.apply_work_order(agent, order, context)
    assert (agent.folder("first") / "dvc.lock").is_file()


def test_a_clone_with_another_pipeline_refuses_the_order_and_changes_nothing(
    library: Library, agent: Library
) -> None:
    with (agent.root / PIPELINE).open("a") as file:
        file.write("# changed\n")
    context = work_orders.shared_context(library)
    with pytest.raises(TransientError, match="same version of realfill"):
        work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", context), context)
    assert agent.album_names == []


def test_a_clone_with_other_code_refuses_the_order_and_changes_nothing(library: Library, agent: Library) -> None:
    context = work_orders.shared_context(library) | {"engine": "that of another version"}
    with pytest.raises(TransientError, match="same version of realfill"):
        work_orders.apply_work_order(agent, work_orders.make_work_order(library, "first", context), context)
    assert agent.album_names == []


@pytest.mark.parametrize("name", ["../../escape", "..", "/etc/passwd", "a/b"])
def test_an_order_cannot_lead_out_of_the_library(library: Library, agent: Library, name: str) -> None:
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context) | {"album": name}
    with pytest.raises(LibraryError, match="cannot be the name"):
        work_orders.apply_work_order(agent, order, context)


def test_the_clone_that_made_the_order_changes_nothing_of_its_own(library: Library) -> None:
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context)
    (library.folder("first") / "album.yaml").write_text("{}\n")
    assert work_orders.is_own_clone(library, context)
    assert not work_orders.apply_work_order(library, order, context)
    assert (library.folder("first") / "album.yaml").read_text() == "{}\n"


def test_settings_that_are_not_text_are_the_albums_own_fault(library: Library) -> None:
    (library.folder("first") / "album.yaml").write_bytes(b"blend: {feather: 3} # M\xf6bel\n")
    with pytest.raises(ParamsError, match="UTF-8"):
        work_orders.make_work_order(library, "first", work_orders.shared_context(library))


def test_results_come_with_photos_that_are_not_here(library: Library) -> None:
    with library.album_state("first") as state:
        state.push()
        state.remove_outputs()
    work_orders.pull_results(library, "first", (library.folder("first") / "dvc.lock").read_text())
    with library.album_state("first") as state:
        assert state.all_up_to_date()
