"""Setting up a Prefect server for the library: pools, queues, deployments and automations."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, DoNothing, RunDeployment, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from realfill.core.errors import LibraryError
from realfill.flows.server import require_server, server_errors
from realfill.library.repository import Library

POOLS = {
    "realfill": "GPU machines: albums are tuned, sampled and finished here.",
    "realfill-library": "The library's own clone: finds stale albums and records their outcomes.",
}
QUEUES = {"urgent": 1, "nightly": 2}  # queues of the pool realfill with their priorities; 1 goes first
_FINAL_EVENTS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


@dataclass(frozen=True)
class AutomationSettings:
    """When automations act. Both values are set by hand.

    Attributes:
        silence_seconds: A run without a heartbeat for so long has crashed. Heartbeats come every 30 s
            (`flows.heartbeat_frequency` in prefect.toml), so that three are missing by then.
        restart_seconds: A crashed run of the library's flow is started again after so long.
    """

    silence_seconds: float = 100.0
    restart_seconds: float = 60.0


def set_up_server(
    root: Path, report_to: str | None = None, settings: AutomationSettings = AutomationSettings()
) -> list[str]:
    """Set up the server that PREFECT_API_URL names. Doing it again changes nothing.

    Args:
        root: The library's own clone.
        report_to: Address of a webhook to which every failed album is reported.
        settings: When automations act.

    Returns:
        What the server has now, one line for each item.

    Raises:
        LibraryError: No server is named, it cannot be used, or it rejects the deployments.
        TransientError: The server does not answer.
    """
    library = Library.open(root)
    require_server()
    with server_errors():
        with get_client(sync_client=True) as client:
            lines = [_save_pool(client, name, description) for name, description in POOLS.items()]
            lines += [_save_queue(client, name, priority) for name, priority in QUEUES.items()]
        lines += _deploy_all(library.root)
        automations = (_dead_runs(settings), _library_again(settings), _failed_albums(report_to))
        return lines + [_save_automation(automation) for automation in automations]


def _save_pool(client: SyncPrefectClient, name: str, description: str) -> str:
    try:
        client.read_work_pool(name)
        client.update_work_pool(name, WorkPoolUpdate(description=description))
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", description=description))
    return f"pool {name}"


def _save_queue(client: SyncPrefectClient, name: str, priority: int) -> str:
    try:
        queue = client.read_work_queue_by_name(name, work_pool_name="realfill")
        client.update_work_queue(queue.id, priority=priority)
    except ObjectNotFound:
        client.create_work_queue(name, work_pool_name="realfill", priority=priority)
    return f"queue {name} of realfill, priority {priority}"


def _deploy_all(root: Path) -> list[str]:
    """Create or update the deployments of the library's `prefect.yaml`."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    process = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        output = process.stderr[-500:] or process.stdout[-500:]
        raise LibraryError(f"Prefect rejects the deployments: {output}", "Correct prefect.yaml.")
    return [f"deployments of {root / 'prefect.yaml'}"]


def _dead_runs(settings: AutomationSettings) -> Automation:
    """A run whose process or machine went away without a word is marked as crashed."""
    return Automation(
        name="realfill: dead runs",
        description="A run that sends no heartbeat any more is marked as crashed.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *_FINAL_EVENTS},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=settings.silence_seconds),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat: its machine or process went away.")
        ],
    )


def _library_again(settings: AutomationSettings) -> Automation:
    """A crashed run of the library's flow is started again; it continues where it stopped."""
    return Automation(
        name="realfill: library again",
        description="A run of complete-library that crashed is started again.",
        trigger=_on_flow_run("complete-library", "prefect.flow-run.Crashed"),
        actions=[RunDeployment(source="inferred", schedule_after=timedelta(seconds=settings.restart_seconds))],
    )


def _failed_albums(report_to: str | None) -> Automation:
    """Failed albums are reported: always in the server's event feed, and to a webhook if there is one."""
    return Automation(
        name="realfill: failed albums",
        description="A run of complete-album that fails is reported.",
        trigger=_on_flow_run("complete-album", "prefect.flow-run.Failed", "prefect.flow-run.Crashed"),
        actions=[_make_notification(report_to) if report_to else DoNothing()],
    )


def _on_flow_run(flow: str, *events: str) -> EventTrigger:
    """Make a trigger that fires at once when one of these events happens to a run of a flow."""
    return EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        match_related=ResourceSpecification({"prefect.resource.role": ["flow"], "prefect.resource.name": [flow]}),
        for_each={"prefect.resource.id"},
        expect=set(events),
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _make_notification(address: str) -> SendNotification:
    """Save a webhook with the server and make the action that calls it."""
    block = CustomWebhookNotificationBlock(
        name="realfill", url=address, json_data={"title": "{{subject}}", "text": "{{body}}"}
    )
    return SendNotification(
        block_document_id=block.save("realfill-failed-albums", overwrite=True),
        subject="Album {{ flow_run.name }} failed",
        body="{{ flow_run.state.message }}",
    )


def _save_automation(automation: Automation) -> str:
    try:
        known = Automation.read(name=automation.name)
    except ValueError:
        automation.create()
    else:
        automation.id = known.id  # type: ignore[attr-defined]
        automation.update()
    return f"automation {automation.name}"
