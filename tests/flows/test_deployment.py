"""What a Prefect server is set up with; test_complete_library.py looks at one that was."""

from datetime import timedelta

from prefect.events.actions import DoNothing, RunDeployment
from prefect.events.schemas.automations import EventTrigger

from realfill.flows import deployment
from realfill.flows.deployment import AutomationSettings


def test_a_silent_run_is_marked_and_the_librarys_run_starts_again_in_time() -> None:
    settings = AutomationSettings(silence_seconds=90, restart_seconds=30)
    trigger = deployment._dead_runs(settings).trigger
    assert isinstance(trigger, EventTrigger)
    assert (trigger.within, trigger.after) == (timedelta(seconds=90), {"prefect.flow-run.heartbeat"})
    (action,) = deployment._library_again(settings).actions
    assert isinstance(action, RunDeployment)
    assert action.schedule_after == timedelta(seconds=30)


def test_failed_albums_need_no_webhook() -> None:
    (action,) = deployment._failed_albums(None).actions
    assert isinstance(action, DoNothing)
