"""The server that PREFECT_API_URL names."""

from collections.abc import Sequence

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from realfill.core.errors import LibraryError
from realfill.flows import server
from realfill.flows.server import PAGE_SIZE, ServerSettings, read_pages, require_server, wait_for_server


def test_a_missing_server_is_told_with_what_to_do() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(LibraryError, match="set PREFECT_API_URL"),
    ):
        require_server()
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        require_server()


@pytest.mark.parametrize("count", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE + 1])
def test_all_pages_are_read_once(count: int) -> None:
    offsets: list[int] = []

    def read(offset: int) -> Sequence[int]:
        offsets.append(offset)
        return range(count)[offset : offset + PAGE_SIZE]

    assert list(read_pages(read)) == list(range(count))
    assert offsets == list(range(0, count + 1, PAGE_SIZE))


def test_a_server_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [OSError("away"), OSError("away"), None]

    class Client:
        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None: ...

        def api_healthcheck(self) -> Exception | None:
            return answers.pop(0)

    monkeypatch.setattr(server, "get_client", lambda sync_client: Client())
    wait_for_server(ServerSettings(retry_seconds=0))
    assert answers == []
