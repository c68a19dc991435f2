"""The Prefect server that PREFECT_API_URL names."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from realfill.core.errors import LibraryError

logger = logging.getLogger("realfill.server")

PAGE_SIZE = 100  # entries to ask for in one request; a Prefect server returns at most 200
_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class ServerSettings:
    """How a worker waits for the server.

    Attributes:
        retry_seconds: Pause between two requests to a server that does not answer. Set by hand.
    """

    retry_seconds: float = 10.0


def has_server() -> bool:
    """Whether a server is named. Without one, Prefect starts a temporary server for each process."""
    return bool(get_current_settings().api.url)


def require_server() -> None:
    """Check that a server is named.

    Raises:
        LibraryError: It is not.
    """
    if not has_server():
        remedy = "Start one (`prefect server start`), then set PREFECT_API_URL, e.g. http://127.0.0.1:4200/api."
        raise LibraryError("No Prefect server is named.", remedy)


def wait_for_server(settings: ServerSettings = ServerSettings()) -> None:
    """Return as soon as the server answers."""
    with get_client(sync_client=True) as client:
        while error := client.api_healthcheck():
            logger.warning("The server does not answer (%s). It will be asked again.", error)
            time.sleep(settings.retry_seconds)


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
