"""The Prefect server that PREFECT_API_URL names."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from packaging.version import Version
from prefect import __version__ as prefect_version
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings
from pydantic import ValidationError

from realfill.core.errors import LibraryError, TransientError

PAGE_SIZE = 100  # entries to ask for in one request; a Prefect server returns at most 200
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PROXY_VARIABLES = ("all_proxy", "http_proxy", "https_proxy")
_MAX_ERROR_LENGTH = 300  # characters of a message that are quoted; some quote whole HTTP responses
_REMEDY = "See that it runs (`prefect server start`) and that PREFECT_API_URL names it, then run again."
_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class ServerSettings:
    """How long a server is waited for before anything is begun.

    Attributes:
        answer_seconds: A server that does not connect, or does not answer, for so long is told to be away. Set by
            hand; a busy server on a small machine has taken up to 5 s.
    """

    answer_seconds: float = 15.0


def has_server() -> bool:
    """Whether a server is named. Without one, a night has a server of its own; see `temporary_server`."""
    return bool(get_current_settings().api.url)


def require_server(settings: ServerSettings = ServerSettings()) -> None:
    """Check that a server is named, and that it answers as a Prefect server of the same major version does.

    Raises:
        LibraryError: None is named, it refuses this client, or what answers is something else.
        TransientError: It does not answer.
    """
    if not has_server():
        remedy = "Start one (`prefect server start`), then set PREFECT_API_URL, e.g. http://127.0.0.1:4200/api."
        raise LibraryError("No Prefect server is named.", remedy)
    reach_loopback_directly()
    try:
        version = Version(str(_ask_version(settings)))
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        problem = f"What PREFECT_API_URL names is not a Prefect server: {_server_name()} ({describe(error)})."
        raise LibraryError(problem, _REMEDY) from error
    if version.major != Version(prefect_version).major:
        problem = f"The Prefect server at {_server_name()} has version {version}, and {prefect_version} is installed."
        raise LibraryError(problem, "Install the same version for both.")


@contextmanager
def server_errors() -> Iterator[None]:
    """Raise errors by which a server shows in the block that it cannot be used as errors that say what to do.

    Raises:
        LibraryError: It refuses this client, or what answers is not a Prefect server.
        TransientError: It does not answer.
    """
    try:
        yield
    except ValidationError as error:
        raise LibraryError(f"What answers at {_server_name()} is not a Prefect server.", _REMEDY) from error
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in (401, 403):
            problem = f"The Prefect server at {_server_name()} refuses this client (HTTP {status})."
            raise LibraryError(problem, "Set PREFECT_API_AUTH_STRING to user:password, then run again.") from error
        problem = f"What answers at {_server_name()} does not do a Prefect server's work (HTTP {status})."
        raise LibraryError(problem, _REMEDY) from error
    except (httpx.HTTPError, PrefectException) as error:
        problem = f"The Prefect server at {_server_name()} does not answer ({describe(error)})."
        raise TransientError(problem, _REMEDY) from error


def read_pages(read: Callable[[int], Sequence[_Entry]]) -> Iterator[_Entry]:
    """Read all entries of a query, page by page.

    Args:
        read: Returns the entries from an offset on, at most `PAGE_SIZE` of them.
    """
    offset = 0
    while True:
        page = read(offset)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        offset += PAGE_SIZE


def _ask_version(settings: ServerSettings) -> object:
    """What the server says its version is, asked once."""
    timeout = {"timeout": httpx.Timeout(settings.answer_seconds)}
    with (
        server_errors(),
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings=timeout, sync_client=True) as client,
    ):
        return client.api_version()


def reach_loopback_directly() -> None:
    """Keep proxies out of the way to a server on this machine, for this process and those that it starts.

    Without PREFECT_API_URL that is Prefect's temporary server. Other addresses, such as those of a DVC remote, keep
    their proxy. Only a proxy that Prefect's client cannot use at all is no longer named in the environment.
    """
    url = get_current_settings().api.url
    host = urlsplit(url).hostname if url else "localhost"
    if not _is_loopback(host or ""):
        return
    for variable in ("no_proxy", "NO_PROXY"):
        hosts = [entry.strip() for entry in os.environ.get(variable, "").split(",") if entry.strip()]
        os.environ[variable] = ",".join(dict.fromkeys([*hosts, *_LOOPBACK, str(host)]))
    for variable in [name for name in os.environ if name.lower() in _PROXY_VARIABLES]:
        if not _is_usable_proxy(os.environ[variable]):
            del os.environ[variable]


def _server_name() -> str:
    """The server's address without a password."""
    return re.sub(r"//[^/@]*@", "//", get_current_settings().api.url or "this machine")


def describe(error: Exception) -> str:
    """A long error in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_MAX_ERROR_LENGTH]}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_usable_proxy(address: str) -> bool:
    """Whether Prefect's client can use a proxy; it raises an error as soon as one that it cannot use is named."""
    if not address:
        return True
    try:
        httpx.HTTPTransport(proxy=address if "://" in address else f"http://{address}").close()
    except (ValueError, ImportError, httpx.InvalidURL):
        return False
    return True
