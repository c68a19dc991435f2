"""What became of an album, told by the worker to the library's flow through the Prefect server.

An outcome is a JSON document, kept by the server as an artifact of the run that worked on the album. Its keys:

==============  ===================================================================================================
album           name of the album
outcome         "completed", "quarantined" (the album's own fault) or "failed" (anything else)
error, reason   type of the error, and what is wrong and what to do about it; empty if it was completed
order           digest of the work order
lock            text of the album's `dvc.lock`; empty if it was not completed
log             the last lines that were logged
ended           when the work ended, ISO 8601 in UTC
==============  ===================================================================================================

The other keys are fields of `realfill.library.run_history.HistoryRow`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import task
from prefect.artifacts import Artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterType
from prefect.client.schemas.objects import Artifact as StoredArtifact

from realfill.core.errors import RealFillError
from realfill.flows.retries import OUTCOME_DELAYS
from realfill.flows.server import PAGE_SIZE, read_pages
from realfill.library.quarantine import is_own_fault

ARTIFACT_TYPE = "realfill-outcome"
Outcome = dict[str, Any]


@task(retries=len(OUTCOME_DELAYS), retry_delay_seconds=OUTCOME_DELAYS, cache_policy=NO_CACHE, persist_result=False)
def publish_outcome(outcome: Outcome) -> None:
    """Leave an album's outcome with the server."""
    Artifact(type=ARTIFACT_TYPE, description=outcome["album"], data=outcome).create()


def read_outcomes(client: SyncPrefectClient, runs: Sequence[UUID]) -> Iterator[Outcome]:
    """Read the outcomes that runs have left with the server so far.

    Args:
        client: The server.
        runs: Flow runs.

    Yields:
        Outcomes in the order in which the server returns them.
    """
    for begin in range(0, len(runs), PAGE_SIZE):
        query = ArtifactFilter(
            type=ArtifactFilterType(any_=[ARTIFACT_TYPE]),
            flow_run_id=ArtifactFilterFlowRunId(any_=list(runs[begin : begin + PAGE_SIZE])),
        )
        for artifact in read_pages(partial(_read_artifacts, client, query)):
            yield json.loads(str(artifact.data))


def make_error_outcome(error: Exception, root: Path) -> Outcome:
    """Make the part of an outcome that tells why an album was not completed.

    Args:
        error: What stopped it.
        root: Root of the clone; paths in the reason are made relative to it.
    """
    reason = str(error) if isinstance(error, RealFillError) else f"{type(error).__name__}: {error}"
    return {
        "outcome": "quarantined" if is_own_fault(error) else "failed",
        "error": type(error).__name__,
        "reason": reason.replace(f"{root}/", ""),
        "lock": "",
    }


def make_unfinished_outcome(album: str, error: str, reason: str) -> Outcome:
    """Make the outcome of an album from which no outcome came: it has failed.

    Args:
        album: Name of the album.
        error: What stands for the type of the error.
        reason: Why there is none.
    """
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return {"album": album, "outcome": "failed", "error": error, "reason": reason, "log": [], "ended": ended}


def _read_artifacts(client: SyncPrefectClient, query: ArtifactFilter, offset: int) -> list[StoredArtifact]:
    return client.read_artifacts(artifact_filter=query, limit=PAGE_SIZE, offset=offset)
