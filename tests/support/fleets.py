"""A fleet for tests: a Prefect server, the library's own clone, and agents in clones of their own, on one machine."""

import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from support.libraries import call, environment, make_library

FINAL_STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PAGE_SIZE = 200  # a Prefect server returns at most 200 entries for one request


@dataclass
class Fleet:
    """A server, the library's own clone, agents' clones, and their processes.

    Attributes:
        root: Folder that contains all of them.
        remote: Address of the DVC remote.
        port: Port of the server.
        processes: The processes that were started, by name.
    """

    root: Path
    remote: str
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def library(self) -> Path:
        """The library's own clone."""
        return self.root / "library"

    def environment(self, clone: Path) -> dict[str, str]:
        """Environment variables of a process that works in a clone."""
        home = self.root / "home" / clone.name
        home.mkdir(parents=True, exist_ok=True)
        settings = {"PREFECT_API_URL": self.api, "PREFECT_HOME": str(home), "PREFECT_WORKER_QUERY_SECONDS": "2"}
        return environment(clone, **settings)

    def start_server(self) -> None:
        """Start the server and return as soon as it answers."""
        command = ["prefect", "server", "start", "--port", str(self.port)]
        self.start("server", self.library, *command)
        deadline = time.monotonic() + 600  # a busy machine has taken more than 120 s
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.api}/health").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError(self.api)

    def start_worker(self, name: str, clone: Path, pool: str = "realfill", limit: int = 1) -> None:
        """Start a worker in a clone, as a user does."""
        command = [sys.executable, "-m", "realfill", "fleet", "work", "--pool", pool, "--name", name]
        self.start(name, clone, *command, "--limit", str(limit))

    def start(self, name: str, clone: Path, *command: str) -> None:
        """Start a process in a clone; its output goes to a file."""
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=clone, env=self.environment(clone), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Kill a process and all that it started, as if its machine lost power."""
        started = self.processes.pop(name)
        if started.poll() is None:
            process = psutil.Process(started.pid)
            for member in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            started.wait()

    def call(self, *command: str) -> str:
        """Run a command in the library's own clone and return what it printed."""
        return call(self.library, *command, **self.environment(self.library))

    def make_agent(self, name: str) -> Path:
        """Make a clone with a DVC cache of its own, which has neither photos nor results."""
        clone = self.root / name
        subprocess.run(["git", "clone", "--quiet", str(self.library), str(clone)], check=True)
        use_remote(clone, self.remote)
        return clone

    def run(self, deployment: str, *params: str) -> str:
        """Start a deployment as a user does and return the run's id."""
        options = [word for param in params for word in ("--param", param)]
        output = self.call("prefect", "deployment", "run", deployment, *options)
        match = re.search(r"UUID: (\S+)", output)
        assert match, output
        return match[1]

    def wait(self, run: str, seconds: float = 600) -> dict[str, Any]:
        """Wait until a run has ended, and return it; the server may be away meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                flow_run = httpx.get(f"{self.api}/flow_runs/{run}", timeout=60).raise_for_status().json()
                if flow_run["state_type"] in FINAL_STATES:
                    return dict(flow_run)
            time.sleep(0.2)
        raise TimeoutError(run)

    def query(self, kind: str, **query: Any) -> list[dict[str, Any]]:
        """Ask the server for entries of a kind, e.g. "flow_runs"."""
        response = httpx.post(f"{self.api}/{kind}/filter", json=query, timeout=60).raise_for_status()
        return list(response.json())

    def tasks(self, run: str, count: int) -> list[dict[str, Any]]:
        """The tasks of a flow run, of which there are so many as soon as the server has recorded them all."""
        deadline = time.monotonic() + 60
        while True:
            tasks = self.query("task_runs", flow_runs={"id": {"any_": [run]}})
            ended = [task for task in tasks if task["state"] and task["state"]["type"] in FINAL_STATES]
            if len(ended) >= count or time.monotonic() > deadline:
                return sorted(tasks, key=lambda task: str(task["start_time"]))
            time.sleep(0.1)

    def count_album_runs(self) -> Counter[str]:
        """How often each album was worked on, by its name."""
        flows = {flow["id"]: flow["name"] for flow in self.query("flows")}
        pages = [self.query("flow_runs", limit=PAGE_SIZE, offset=offset) for offset in range(0, 1000, PAGE_SIZE)]
        runs = [run for page in pages for run in page]
        return Counter(run["name"] for run in runs if flows[run["flow_id"]] == "complete-album")

    def stop(self) -> None:
        """Kill every process."""
        for name in reversed(list(self.processes)):
            self.kill(name)


@contextmanager
def start_server(root: Path, *albums: str, remote: str = "") -> Iterator[Fleet]:
    """Make a library with these albums, and start a server in it that is not set up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fleet = Fleet(root, remote or str(root / "remote"), port)
    make_library(fleet.library, *albums)
    use_remote(fleet.library, fleet.remote)
    commit(fleet.library)
    try:
        fleet.start_server()
        yield fleet
    finally:
        fleet.stop()


@contextmanager
def start_fleet(root: Path, *albums: str, remote: str = "") -> Iterator[Fleet]:
    """Make a library with these albums and a server that `realfill fleet up` has set up; there are no workers yet."""
    with start_server(root, *albums, remote=remote) as fleet:
        fleet.call("realfill", "fleet", "up")
        yield fleet


def use_remote(clone: Path, address: str) -> None:
    """Let a clone use a DVC remote, and no cache but its own."""
    site = clone.parent / "site" / clone.name
    (clone / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = store\n    site_cache_dir = {site}\n['remote \"store\"']\n    url = {address}\n"
    )
    if "://" not in address:
        Path(address).mkdir(parents=True, exist_ok=True)


def commit(library: Path) -> None:
    """Commit all that git does not ignore, as the library's owner does."""
    committer = ("-c", "user.name=owner", "-c", "user.email=owner@localhost")
    subprocess.run(["git", "add", "--all"], cwd=library, check=True)
    subprocess.run(["git", *committer, "commit", "--quiet", "-m", "albums"], cwd=library, check=True)
