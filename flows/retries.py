"""Which errors are worth another attempt, and when it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from realfill.core.errors import RealFillError, TransientError


@dataclass(frozen=True)
class RetrySettings:
    """Seconds to wait before each further attempt; an entry for each attempt. All are set by hand.

    Attributes:
        stage_delays: For a stage of an album. Short, because the album's run holds its worker meanwhile.
        library_delays: For tasks that need the DVC remote or write to the library.
        outcome_delays: For leaving an outcome with the server. About eleven minutes in all, in which a server that
            was restarted comes back: an outcome that is lost means that the album is completed twice.
    """

    stage_delays: tuple[float, ...] = (10.0, 60.0)
    library_delays: tuple[float, ...] = (5.0, 20.0, 60.0, 120.0)
    outcome_delays: tuple[float, ...] = (5.0, 20.0, 60.0, 120.0, 240.0, 240.0)


STAGE_DELAYS = list(RetrySettings().stage_delays)
LIBRARY_DELAYS = list(RetrySettings().library_delays)
OUTCOME_DELAYS = list(RetrySettings().outcome_delays)


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt of a stage can help: not after an error that only the user can correct.

    The signature is that of Prefect's `retry_condition_fn`.
    """
    error = state.result(raise_on_failure=False)
    return isinstance(error, TransientError) or not isinstance(error, RealFillError)
