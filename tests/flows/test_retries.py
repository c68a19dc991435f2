"""Which errors are worth another attempt."""

from prefect.client.schemas.objects import TaskRun
from prefect.states import Failed

from realfill.core.errors import PhotoError, RemoteError
from realfill.flows.complete_album import complete_stage
from realfill.flows.retries import is_retryable

RUN = TaskRun(task_key="stage", dynamic_key="0")


def test_only_errors_that_may_pass_are_tried_again_and_soon() -> None:
    assert is_retryable(complete_stage, RUN, Failed(data=OSError("the disk went away")))
    assert is_retryable(complete_stage, RUN, Failed(data=RemoteError("Away.", "Wait.")))
    assert not is_retryable(complete_stage, RUN, Failed(data=PhotoError("Broken.", "Replace it.", "a.jpg")))
    delays = complete_stage.retry_delay_seconds
    assert isinstance(delays, list)
    assert len(delays) == complete_stage.retries
    assert max(delays) < 300
