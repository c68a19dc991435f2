"""The server that PREFECT_API_URL names, and Prefect's temporary one: those that answer and those that do not."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from realfill.cli.application import app
from realfill.core.errors import LibraryError, TransientError
from realfill.flows.deployment import set_up_server
from realfill.flows.server import PAGE_SIZE, ServerSettings, read_pages, require_server
from support.libraries import environment, make_library

ANSWERS = {
    "nonsense": b"\0nonsense\r\n\r\n",
    "page": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "another API": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue",
    "older": b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"2.19.1"',
    "unavailable": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "refused": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    "version alone": b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"3.8.8"',
}


@contextmanager
def serve(answer: bytes | None) -> Iterator[str]:
    """A server that gives every request the same answer, or none; yields the address of its API."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if answer is not None:
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(answer)

        threading.Thread(target=answer_all, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        listener.shutdown(socket.SHUT_RDWR)


def run_failing(root: Path, *command: str, **more: str) -> str:
    """What a command in a library says on stderr; it must fail as a user's mistake does."""
    process = subprocess.run(
        command, cwd=root, env=environment(root, **more), capture_output=True, text=True, check=False, timeout=120
    )
    assert process.returncode == 1
    return process.stderr


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies are set by the tests alone, and each test's changes of the environment end with it."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


def test_a_missing_server_is_told_with_what_to_do() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(LibraryError, match="set PREFECT_API_URL"),
    ):
        require_server()


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("nonsense", TransientError, "does not answer"),
        ("page", LibraryError, "not a Prefect server"),
        ("another API", LibraryError, "not a Prefect server"),
        ("older", LibraryError, "has version 2.19.1"),
        ("unavailable", LibraryError, "HTTP 503"),
        ("refused", LibraryError, "PREFECT_API_AUTH_STRING"),
    ],
)
def test_what_answers_but_cannot_be_used_is_told_at_once(kind: str, error: type[Exception], message: str) -> None:
    started = time.monotonic()
    with (
        serve(ANSWERS[kind]) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(error, match=message),
    ):
        require_server()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "http://host.invalid/api", "nonsense"])
def test_a_server_that_is_not_there_is_told_without_a_password(url: str) -> None:
    with (
        temporary_settings({PREFECT_API_URL: url.replace("//", "//user:secret@")}),
        pytest.raises((LibraryError, TransientError), match="PREFECT_API_URL") as caught,
    ):
        require_server()
    assert "secret" not in str(caught.value)


def test_a_server_that_accepts_and_says_nothing_is_not_waited_for_long() -> None:
    with (
        serve(None) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(TransientError, match="does not answer"),
    ):
        require_server(ServerSettings(answer_seconds=0.5))


def test_a_server_that_turns_out_to_be_none_ends_setting_up_in_one_error(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library")
    with (
        serve(ANSWERS["version alone"]) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(LibraryError, match="not a Prefect server"),
    ):
        set_up_server(root)


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "socks://127.0.0.1:9")  # as desktops set it; Prefect's client does not know it
    monkeypatch.setenv("no_proxy", "example.org")
    with (
        serve(ANSWERS["older"]) as url,
        temporary_settings({PREFECT_API_URL: url}),
        pytest.raises(LibraryError, match=r"2\.19\.1"),
    ):
        require_server()
    assert os.environ["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert "all_proxy" not in os.environ
    assert set(os.environ["no_proxy"].split(",")) >= {"example.org", "127.0.0.1", "localhost"}


def test_the_proxy_to_a_server_elsewhere_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with temporary_settings({PREFECT_API_URL: "http://host.invalid/api"}), pytest.raises(TransientError):
        require_server()
    assert os.environ["no_proxy"] == ""


def test_a_database_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    root = make_library(tmp_path / "library", "roof")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "prefect.db").write_text("not a database")
    message = run_failing(root, "realfill", "fleet", "night", PREFECT_HOME=str(tmp_path / "home"))
    assert "Prefect's database cannot be used" in message
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:9/api", "error: The Prefect server at http://127.0.0.1:9/api does not answer"),
        ("http://[::1/api", "settings cannot be used: 1 validation error for Settings Value error, Invalid IPv6 URL"),
    ],
)
def test_a_night_tells_that_its_server_is_away(tmp_path: Path, url: str, told: str) -> None:
    root = make_library(tmp_path / "library", "roof")
    message = run_failing(root, "realfill", "fleet", "night", PREFECT_API_URL=url)
    assert told in " ".join(message.split())
    assert "Traceback" not in message


def test_an_album_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    message = run_failing(make_library(tmp_path / "library", "roof"), "realfill", "fleet", "night", "rof")
    assert "There is no album 'rof' here" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("command", ["up", "work"])
def test_a_fleet_needs_its_server(tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(make_library(tmp_path / "library"))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        result = CliRunner().invoke(app, ["fleet", command])
    assert isinstance(result.exception, TransientError)
    assert "The Prefect server at http://127.0.0.1:9/api does not answer" in str(result.exception)


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE + 1])
def test_all_pages_are_read_once(count: int) -> None:
    offsets: list[int] = []

    def read(offset: int) -> Sequence[int]:
        offsets.append(offset)
        return range(count)[offset : offset + PAGE_SIZE]

    assert list(read_pages(read)) == list(range(count))
    assert offsets == list(range(0, count + 1, PAGE_SIZE))
