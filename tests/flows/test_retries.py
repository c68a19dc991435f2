"""Which errors are worth another attempt."""

import httpx
import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Failed

from realfill.core.errors import AlbumError, PhotoError, RemoteError, SpaceError
from realfill.flows.complete_album import complete_stage
from realfill.flows.retries import is_retryable, is_transient

RUN = TaskRun(task_key="stage", dynamic_key="0")


def test_only_errors_that_may_pass_are_tried_again_and_soon() -> None:
    assert is_retryable(complete_stage, RUN, Failed(data=OSError("the disk went away")))
    assert is_retryable(complete_stage, RUN, Failed(data=RemoteError("Away.", "Wait.")))
    assert not is_retryable(complete_stage, RUN, Failed(data=PhotoError("Broken.", "Replace it.", "a.jpg")))
    delays = complete_stage.retry_delay_seconds
    assert isinstance(delays, list)
    assert len(delays) == complete_stage.retries
    assert max(delays) < 300


@pytest.mark.parametrize(
    "error",
    [OSError("full"), SpaceError("Full.", "Make room."), httpx.ConnectError("away"), PrefectHTTPStatusError],
    ids=["disk", "space", "network", "server"],
)
def test_what_lies_around_an_album_is_not_its_fault(error: Exception | type[PrefectHTTPStatusError]) -> None:
    if not isinstance(error, Exception):
        request = httpx.Request("GET", "http://127.0.0.1/api")
        error = error("away", request=request, response=httpx.Response(503, request=request))
    assert is_transient(error)


@pytest.mark.parametrize("error", [AlbumError("Empty.", "Add photos."), ValueError("x"), MemoryError()], ids=repr)
def test_an_albums_own_fault_and_an_unforeseen_error_do_not_pass(error: Exception) -> None:
    assert not is_transient(error)
