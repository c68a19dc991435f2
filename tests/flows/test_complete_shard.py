"""Completing the albums of a shard: what each outcome tells, whatever happens to an album."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from realfill.core.errors import PhotoError, RemoteError
from realfill.core.hashing import digest_json
from realfill.flows import complete_shard as module
from realfill.flows.complete_shard import ShardSettings, complete_order
from realfill.flows.outcomes import Outcome
from realfill.library import work_orders
from realfill.library.repository import Library
from support.libraries import make_library, pretend_completed

STAGES = [{"stage": "validate", "cached": True, "seconds": 0.0}, {"stage": "blend", "cached": False, "seconds": 1.5}]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A library whose album DVC finds up to date."""
    library = Library.open(make_library(tmp_path_factory.mktemp("shard") / "library", "first"))
    pretend_completed(library, "first")
    return library


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Outcome]]:
    """The outcomes that were left with the server."""
    outcomes: list[Outcome] = []
    monkeypatch.setattr(module, "publish_outcome", outcomes.append)
    with disable_run_logger():
        yield outcomes


def run(library: Library, **settings: Any) -> Outcome:
    context = work_orders.shared_context(library)
    order = work_orders.make_work_order(library, "first", context)
    outcome = complete_order(library, order, context, share_progress=False, settings=ShardSettings(**settings))
    assert outcome["order"] == digest_json(order)
    return outcome


def test_a_completed_album_tells_its_photo_and_what_its_stages_took(
    library: Library, published: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(name: str, root: str, gallery: bool, remote_folder: str) -> dict[str, Any]:
        assert (name, root, gallery, remote_folder) == ("first", str(library.root), False, "")
        logging.getLogger("realfill.stages.blend").info("Blended %d candidates.", 2)
        return {"stages": STAGES}

    monkeypatch.setattr(module, "complete_album", complete)
    outcome = run(library)
    assert published == [outcome]
    assert (outcome["outcome"], outcome["seconds"]) == ("completed", {"blend": 1.5})
    assert outcome["photo"] == "completed/first.png"
    assert outcome["lock"] == (library.folder("first") / "dvc.lock").read_text()
    assert outcome["log"] == ["INFO Blended 2 candidates."]
    assert outcome["began"] <= outcome["ended"]
    assert outcome["gigabytes"] > 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PhotoError("It is damaged.", "Replace it."), "quarantined"),
        (RemoteError("It is away.", "Wait."), "failed"),
    ],
    ids=["own fault", "may pass"],
)
def test_an_album_that_fails_tells_why_without_a_traceback(
    error: Exception,
    expected: str,
    library: Library,
    published: list[Outcome],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module, "complete_album", fail)
    outcome = run(library)
    assert published == [outcome]
    assert outcome["outcome"] == expected
    assert outcome["log"] == []


def test_an_unforeseen_error_keeps_the_end_of_its_traceback(
    library: Library, published: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError(f"odd: {library.root}/data")

    monkeypatch.setattr(module, "complete_album", fail)
    outcome = run(library, log_lines=2)
    assert (outcome["outcome"], outcome["error"]) == ("failed", "ValueError")
    assert len(outcome["log"]) == 2
    assert outcome["log"][-1] == "ValueError: odd: data"
    assert published == [outcome]


def test_an_agent_answers_the_same_order_without_work(
    library: Library, published: list[Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = work_orders.shared_context(library) | {"clone": "another clone"}
    order = work_orders.make_work_order(library, "first", context)
    kept = {"album": "first", "outcome": "completed"}
    work_orders.write_outcome(library, order, kept)
    assert complete_order(library, order, context, share_progress=False) == kept
    assert published == [kept]
