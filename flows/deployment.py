"""Setting up a Prefect server for the library, and working for it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
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
from prefect.settings import get_current_settings

from flows.gpu_lock import limit_gpu, worker
from realfill.core.errors import LibraryError
from realfill.library.repository import Library

logger = logging.getLogger("realfill.fleet")

SECONDS_TO_RESTART = 10.0
POOLS = {
    "realfill": "GPU machines: albums are tuned, sampled and finished here.",
    "realfill-library": "The library's own clone: finds what is to do, takes in what was done.",
}
QUEUES = {"urgent": 1, "nightly": 2}
SILENCE = timedelta(seconds=100)
_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


def enter_library() -> dict[str, str]:
    """Go to this machine's clone: the folder in REALFILL_LIBRARY, else the one the code lies in."""
    root = Path(os.environ.get("REALFILL_LIBRARY") or Path(__file__).resolve().parents[1])
    os.chdir(root)
    return {"directory": str(root)}


def up(root: Path, report_to: str | None = None) -> list[str]:
    """Set up the server that PREFECT_API_URL names: pools, queues, deployments, automations. Can be done again.

    Args:
        root: The library's own clone.
        report_to: Address of a webhook that is told of every album that fails.

    Returns:
        What there is now, a line each.

    Raises:
        LibraryError: No server is named, or it refuses.
    """
    library = Library.open(root)
    _require_server()
    with get_client(sync_client=True) as client:
        lines = [_pool(client, name, about) for name, about in POOLS.items()]
        lines += [_queue(client, name, priority) for name, priority in QUEUES.items()]
    lines += _deploy(library.root)
    return lines + [_automate(entry) for entry in (_dead_runs(), _library_again(), _failed_albums(report_to))]


def work(root: Path, pool: str, name: str | None = None, limit: int = 2) -> int:
    """Work for a pool in this clone until interrupted; a worker that dies, e.g. without a server, starts again.

    Args:
        root: This machine's clone.
        pool: The pool.
        name: Name of this worker, by which its GPU is known; the host's by default.
        limit: Runs at a time. Two keep a GPU busy: one tunes while the other decodes, ranks or exports.

    Returns:
        The worker's exit code.

    Raises:
        LibraryError: It is no clone of the library, or no server is named.
    """
    library = Library.open(root)
    _require_server()
    name = name or worker()
    _await_server()
    limit_gpu(name)
    environment = os.environ | {"REALFILL_LIBRARY": str(library.root), "REALFILL_WORKER": name}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", name]
    command += ["--limit", str(limit), "--type", "process"]
    while (code := _run(command, library.root, environment)) not in (0, -signal.SIGTERM, -signal.SIGINT):
        logger.warning("The worker ended with code %d; it is started again.", code)
        time.sleep(SECONDS_TO_RESTART)
    return code


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Run a command to its end and pass on to it the signal to stop."""
    process = subprocess.Popen(command, cwd=folder, env=environment)
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_server() -> None:
    if not get_current_settings().api.url:
        remedy = "Start one (`prefect server start`), then set PREFECT_API_URL, e.g. http://127.0.0.1:4200/api."
        raise LibraryError("No Prefect server is named.", remedy)


def _await_server() -> None:
    with get_client(sync_client=True) as client:
        while trouble := client.api_healthcheck():
            logger.warning("The server does not answer (%s); it is asked again.", trouble)
            time.sleep(SECONDS_TO_RESTART)


def _pool(client: SyncPrefectClient, name: str, about: str) -> str:
    try:
        client.read_work_pool(name)
        client.update_work_pool(name, WorkPoolUpdate(description=about))
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", description=about))
    return f"pool {name}"


def _queue(client: SyncPrefectClient, name: str, priority: int) -> str:
    try:
        queue = client.read_work_queue_by_name(name, work_pool_name="realfill")
        client.update_work_queue(queue.id, priority=priority)
    except ObjectNotFound:
        client.create_work_queue(name, work_pool_name="realfill", priority=priority)
    return f"queue {name} of realfill, priority {priority}"


def _deploy(root: Path) -> list[str]:
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LibraryError(
            f"Prefect refuses the deployments: {done.stderr[-500:] or done.stdout[-500:]}", "Mend prefect.yaml."
        )
    return [f"deployments of {root / 'prefect.yaml'}"]


def _dead_runs() -> Automation:
    """Runs whose process went away without a word are marked as crashed."""
    return Automation(
        name="realfill: dead runs",
        description="A run that sends no heartbeat any more is marked as crashed.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *_ENDS},
            posture=Posture.Proactive,
            threshold=1,
            within=SILENCE,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat: its machine or process went away.")
        ],
    )


def _library_again() -> Automation:
    """The library's own run is started again when it died; it goes on where it was."""
    return Automation(
        name="realfill: library again",
        description="A run of complete-library that crashed is started again.",
        trigger=_flow_run("complete-library", "prefect.flow-run.Crashed"),
        actions=[RunDeployment(source="inferred", schedule_after=timedelta(minutes=1))],
    )


def _failed_albums(report_to: str | None) -> Automation:
    """Albums that fail are reported: to a webhook if there is one, in any case in the feed of events."""
    return Automation(
        name="realfill: failed albums",
        description="A run of complete-album that fails is reported.",
        trigger=_flow_run("complete-album", "prefect.flow-run.Failed", "prefect.flow-run.Crashed"),
        actions=[_report(report_to) if report_to else DoNothing()],
    )


def _flow_run(flow: str, *events: str) -> EventTrigger:
    """What happens to a run of a flow."""
    return EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        match_related=ResourceSpecification({"prefect.resource.role": ["flow"], "prefect.resource.name": [flow]}),
        for_each={"prefect.resource.id"},
        expect=set(events),
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _report(address: str) -> SendNotification:
    block = CustomWebhookNotificationBlock(
        name="realfill", url=address, json_data={"title": "{{subject}}", "text": "{{body}}"}
    )
    return SendNotification(
        block_document_id=block.save("realfill-failed-albums", overwrite=True),
        subject="Album {{ flow_run.name }} failed",
        body="{{ flow_run.state.message }}",
    )


def _automate(automation: Automation) -> str:
    try:
        known = Automation.read(name=automation.name)
    except ValueError:
        automation.create()
    else:
        automation.id = known.id  # type: ignore[attr-defined]
        automation.update()
    return f"automation {automation.name}"
