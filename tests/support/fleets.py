"""A fleet for tests: a Prefect server, a library's own clone, and agents in clones of their own, on one machine."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from support.libraries import call, environment, make_library

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class Fleet:
    """A server, the library's own clone, agents' clones, and their processes.

    Attributes:
        root: Folder of everything.
        remote: Address of the DVC remote.
        port: Port of the server.
        processes: What was started, by name.
    """

    root: Path
    remote: str
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def library(self) -> Path:
        return self.root / "library"

    def variables(self, clone: Path) -> dict[str, str]:
        home = self.root / "home" / clone.name
        home.mkdir(parents=True, exist_ok=True)
        return environment(clone, PREFECT_API_URL=self.api, PREFECT_HOME=str(home))

    def start_server(self) -> None:
        command = ["prefect", "server", "start", "--port", str(self.port)]
        self.start("server", self.library, *command)
        for _ in range(240):
            try:
                if httpx.get(f"{self.api}/health").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.5)
        raise TimeoutError(self.api)

    def start_worker(self, name: str, clone: Path, pool: str = "realfill", limit: int = 1) -> None:
        command = [sys.executable, "-m", "realfill", "fleet", "work", "--pool", pool, "--name", name]
        self.start(name, clone, *command, "--limit", str(limit))

    def start(self, name: str, clone: Path, *command: str) -> None:
        with (self.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=clone, env=self.variables(clone), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Pull a machine's plug: its worker and all that it started."""
        started = self.processes.pop(name)
        if started.poll() is None:
            process = psutil.Process(started.pid)
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            started.wait()

    def call(self, *command: str) -> str:
        """Run a command in the library's own clone."""
        return call(self.library, *command, **self.variables(self.library))

    def agent(self, name: str) -> Path:
        """Make a clone with a cache of its own, which has neither photos nor results."""
        clone = self.root / name
        subprocess.run(["git", "clone", "--quiet", str(self.library), str(clone)], check=True)
        use_remote(clone, self.remote)
        return clone

    def run(self, deployment: str, *params: str) -> str:
        """Start a deployment as a user does and return the run's id."""
        options = [word for param in params for word in ("--param", param)]
        told = self.call("prefect", "deployment", "run", deployment, *options)
        found = re.search(r"UUID: (\S+)", told)
        assert found, told
        return found[1]

    def wait(self, run: str, seconds: float = 600) -> dict[str, Any]:
        """Wait for a run to end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = httpx.get(f"{self.api}/flow_runs/{run}", timeout=60).raise_for_status().json()
            except httpx.HTTPError:
                found = {"state_type": "?"}
            if found["state_type"] in ENDED:
                return dict(found)
            time.sleep(1)
        raise TimeoutError(run)

    def find(self, kind: str, **query: Any) -> list[dict[str, Any]]:
        response = httpx.post(f"{self.api}/{kind}/filter", json=query, timeout=60).raise_for_status()
        return list(response.json())

    def stop(self) -> None:
        for name in reversed(list(self.processes)):
            self.kill(name)


@contextmanager
def fleet(root: Path, *albums: str, remote: str = "") -> Iterator[Fleet]:
    """A fleet whose library has these albums, set up by `realfill fleet up`, without workers yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Fleet(root, remote or str(root / "remote"), port)
    make_library(made.library, *albums)
    use_remote(made.library, made.remote)
    commit(made.library)
    try:
        made.start_server()
        made.call("realfill", "fleet", "up")
        yield made
    finally:
        made.stop()


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
    who = ("-c", "user.name=owner", "-c", "user.email=owner@localhost")
    subprocess.run(["git", "add", "--all"], cwd=library, check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "-m", "albums"], cwd=library, check=True)
