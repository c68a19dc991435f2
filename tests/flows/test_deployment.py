"""Setting up a Prefect server, and what it has then."""

from datetime import timedelta
from typing import Any

from prefect.events.actions import DoNothing, RunDeployment
from prefect.events.schemas.automations import EventTrigger

from realfill.flows import deployment
from realfill.flows.deployment import AutomationSettings
from support.fleets import Fleet


def test_setting_up_again_changes_nothing(night: Fleet) -> None:
    def state() -> list[Any]:
        kinds = ("work_pools", "deployments", "automations")
        return [sorted((entry["id"], entry["name"]) for entry in night.query(kind)) for kind in kinds]

    before = state()
    night.call("realfill", "fleet", "up")
    assert state() == before
    assert [name for _, name in before[0]] != []


def test_the_library_is_completed_every_night_one_run_at_a_time(night: Fleet) -> None:
    (library,) = (entry for entry in night.query("deployments") if entry["name"] == "library")
    (schedule,) = library["schedules"]
    assert schedule["slug"] == "nightly"
    assert (library["global_concurrency_limit"]["limit"], library["concurrency_options"]["collision_strategy"]) == (
        1,
        "ENQUEUE",
    )
    properties = library["parameter_openapi_schema"]["properties"]
    assert all(entry.get("description") for entry in properties.values())


def test_every_deployment_finds_its_flow(night: Fleet) -> None:
    flows = {flow["id"]: flow["name"] for flow in night.query("flows")}
    names = {f"{flows[entry['flow_id']]}/{entry['name']}" for entry in night.query("deployments")}
    assert names == {"complete-album/album", "complete-shard/shard", "complete-library/library"}


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
