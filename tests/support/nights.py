"""Flows in this very process, on the server of a fleet: nothing that they need is loaded again for each of them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from typer.testing import CliRunner

from realfill.cli.application import app
from support.fleets import Fleet


@contextmanager
def flows_of_this_process(fleet: Fleet, clone: Path) -> Iterator[list[str]]:
    """Let flows work in a clone with the fleet's server inside the block; yields the lines that they log.

    No heartbeats are sent: each flow would wait a second for their thread to end.
    """
    home = clone.parent / "home" / clone.name
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("prefect", "realfill")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with (
            temporary_settings(
                {
                    PREFECT_API_URL: fleet.api,
                    PREFECT_HOME: home,
                    PREFECT_LOCAL_STORAGE_PATH: home / "storage",
                    PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                    PREFECT_LOGGING_TO_API_ENABLED: False,
                }
            ),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.chdir(clone)
            patch.setenv("REALFILL_MODELS", str(clone / "models"))
            yield lines
            EventsWorker.drain_all()
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def run_night(fleet: Fleet, root: Path, *arguments: str, status: int = 0) -> str:
    """Run `realfill fleet night` in a library, which ends with this exit status; what it logged and printed."""
    with flows_of_this_process(fleet, root) as lines:
        result = CliRunner().invoke(app, ["fleet", "night", *arguments])
    assert result.exit_code == status, (result.exception, result.output, lines)
    return "\n".join([*lines, result.output])
