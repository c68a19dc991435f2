"""Completing albums by one machine: what becomes of those over which a process dies."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from realfill.flows import complete_here as module
from realfill.flows.complete_here import complete_here
from realfill.library.repository import Library


def test_an_album_over_which_its_process_dies_is_tried_once_more_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[tuple[list[str], int]] = []
    deaths = {"torn": 1, "huge": 2}

    def answer(
        shards: list[Any],
        _prepare: Any,
        _arguments: Any,
        on_death: Callable[..., Any],
        *,
        jobs: int,
        environment: Any,
    ) -> Iterator[Any]:
        assert environment["PREFECT_API_URL"] == "http://127.0.0.1:9/api"
        rounds.append(([order["album"] for (order,) in shards], jobs))
        for (order,) in shards:
            name = order["album"]
            deaths[name] = deaths.get(name, 0) - 1
            died = deaths[name] >= 0
            yield (
                on_death([order], "signal 9", 1.0) if died else [{"album": name, "error": "", "outcome": "completed"}]
            )

    monkeypatch.setattr(module, "answer_side_by_side", answer)
    orders = [{"album": name} for name in ("torn", "roof", "huge")]
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        outcomes = list(complete_here(Library(tmp_path), orders, {}, False, 2))
    assert rounds == [(["torn", "roof", "huge"], 2), (["torn", "huge"], 1)]
    assert [(entry["album"], entry["outcome"]) for entry in outcomes] == [
        ("roof", "completed"),
        ("torn", "completed"),
        ("huge", "failed"),
    ]
    assert "signal 9" in outcomes[-1]["reason"]
