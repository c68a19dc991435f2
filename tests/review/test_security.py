"""The review app is answered to the user's own browser, from the app's own pages, alone."""

import json
import shutil
import socket
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from realfill.review.journal import load_decisions
from support.finished_album import add_position
from support.reviews import SAME_ORIGIN, log_in, review, write_finished_albums

TILE = "/tiles/{}/after/0/{}/0/0/0"


@pytest.fixture(scope="module")
def albums(tmp_path_factory: pytest.TempPathFactory, _small_album: Path) -> Path:
    """An album whose photo bears a position."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(_small_album, source / "album")
    add_position(source / "album" / "target" / "target.png")
    return write_finished_albums(source / "albums", source / "album", ["roof"])


@pytest.fixture(scope="module")
def address(albums: Path) -> Iterator[str]:
    with review(albums) as (address, _):
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with log_in(address) as client:
        yield client


@pytest.fixture(scope="module")
def anonymous() -> Iterator[httpx.Client]:
    """A client without any header that the app wants; it keeps no cookie."""
    with httpx.Client(cookies=None) as client:
        yield client


@pytest.fixture
def decision(client: httpx.Client) -> dict[str, object]:
    photo = client.get("/api/albums").json()["albums"][0]["photo"]
    value = {"verdict": "approved"}
    return {"id": uuid.uuid4().hex, "album": "roof", "photo": photo, "subject": "verdict", "value": value}


def base_of(address: str) -> str:
    return address.partition("/?")[0]


def raw(address: str, request: str) -> str:
    """The first line of the answer to bytes that a client library would not send."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode("latin-1"))
        return connection.recv(4096).split(b"\r\n")[0].decode()


def cookie_of(client: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


def test_only_this_machine_can_connect(address: str) -> None:
    port = urlsplit(address).port or 0
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    places = {fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")}
    assert places == {f"0100007F:{port:04X}"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:{port}.evil.example"]
)
def test_a_name_that_was_bound_to_the_address_is_not_answered(client: httpx.Client, address: str, host: str) -> None:
    name = host.format(port=urlsplit(address).port)
    for path in ("/", "/api/albums", "/static/review.js"):
        assert client.get(path, headers={"Host": name}).status_code == 421
    assert client.get("/api/albums", headers={"Host": f"localhost:{urlsplit(address).port}"}).status_code == 200


def test_two_hosts_or_none_are_not_answered(client: httpx.Client, address: str) -> None:
    host, cookie = urlsplit(address).netloc, cookie_of(client)
    good = f"Host: {host}\nSec-Fetch-Site: none\nCookie: {cookie}\n\n"
    assert " 200 " in raw(address, f"GET /api/albums HTTP/1.1\n{good}")
    assert " 40" in raw(address, f"GET /api/albums HTTP/1.1\nHost: evil.example\n{good}")
    assert " 4" in raw(address, f"GET /api/albums HTTP/1.0\nSec-Fetch-Site: none\nCookie: {cookie}\n\n")
    assert " 4" in raw(address, f"GET http://evil.example/api/albums HTTP/1.1\n{good}".replace(host, "evil.example"))


def test_the_host_header_is_not_taken_for_a_part_of_the_address(client: httpx.Client, address: str) -> None:
    """A Host with a path or a query must not let a request pass for another one."""
    for host in (f"{urlsplit(address).netloc}/?{urlsplit(address).query}&x=", f"{urlsplit(address).netloc}#"):
        assert client.get("/api/albums", headers={"Host": host}).status_code == 421


def test_the_token_gives_a_cookie_and_does_not_stay_in_the_address(anonymous: httpx.Client, address: str) -> None:
    answer = anonymous.get(address, headers={"Sec-Fetch-Site": "none"})
    anonymous.cookies.clear()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    port = urlsplit(address).port
    assert cookie.startswith(f"realfill-review-{port}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "query",
    ["", "token=", "token=wrong", "token={token}x", "token={token}&next=//evil.example", "next=/&token={token}"],
)
def test_nothing_is_answered_without_the_token(anonymous: httpx.Client, address: str, query: str) -> None:
    token = urlsplit(address).query.removeprefix("token=")
    base = base_of(address)
    answer = anonymous.get(f"{base}/?{query.format(token=token)}", headers={"Sec-Fetch-Site": "none"})
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert token not in answer.text
    for path in ("/api/albums", "/api/albums/roof", "/static/review.js", "/review/gallery/index.html"):
        assert anonymous.get(f"{base}{path}", headers=SAME_ORIGIN).status_code == 403
    for cookie in ("realfill-review=x", f"realfill-review-{urlsplit(address).port}=", "x"):
        assert anonymous.get(f"{base}/api/albums", headers=SAME_ORIGIN | {"Cookie": cookie}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, none", "Same-Origin"])
def test_other_sites_and_other_ports_of_this_machine_get_nothing(client: httpx.Client, site: str) -> None:
    for path in ("/", "/api/albums", "/static/review.js"):
        assert client.get(path, headers={"Sec-Fetch-Site": site}).status_code == 403
    del client.headers["Sec-Fetch-Site"]
    assert client.get("/api/albums").status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "http://evil.example",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}/",
    ],
)
def test_other_origins_decide_nothing(
    client: httpx.Client, address: str, albums: Path, decision: dict[str, object], origin: str | None
) -> None:
    del client.headers["Origin"]
    headers = {} if origin is None else {"Origin": origin.format(port=urlsplit(address).port)}
    assert client.post("/api/decisions", json=decision, headers=headers).status_code == 403
    assert not load_decisions(albums)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json;charset=utf-8"],
)
def test_forms_decide_nothing(client: httpx.Client, albums: Path, decision: dict[str, object], kind: str) -> None:
    answer = client.post("/api/decisions", content=json.dumps(decision), headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert not load_decisions(albums)


def test_bodies_are_limited_whatever_they_declare(client: httpx.Client, address: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/decisions", content=b" " * 2_000_001, headers=headers).status_code == 413
    assert client.post("/api/decisions", content=iter([b"{}"]), headers=headers).status_code == 411
    good = f"Host: {urlsplit(address).netloc}\nSec-Fetch-Site: same-origin\nOrigin: {base_of(address)}\n"
    post = f"POST /api/decisions HTTP/1.1\n{good}Content-Type: application/json\nCookie: {cookie_of(client)}\n"
    for length in ("-1", "+1", "9" * 30, "1, 1", "0x10"):
        assert " 4" in raw(address, f"{post}Content-Length: {length}\n\n{{}}")
    for body in (b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"album": 1}', b'{"album": "roof", "subject": ["x"]}'):
        assert client.post("/api/decisions", content=body, headers=headers).status_code in (400, 404, 409, 422), body[
            :40
        ]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/api/albums").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/api/albums/..%2f..%2fetc%2fpasswd",
        "/api/albums/%2e%2e",
        "/static/..%2freview.py",
        "/static/%2e%2e/__init__.py",
        "/static/..%5c..%5creview.py",
        "/static//etc/passwd",
        "/tiles/..%2froof/after/0/x/0/0/0",
        "/tiles/roof/original/0/x/0/0/0",
        "/tiles/roof/reference/9/x/0/0/0",
        "/tiles/absent/after/0/x/0/0/0",
        "/tiles/roof/reference/-1/x/0/0/0",
        "/review/albums/roof/completed/page/..%2froof.jpg",
        "/review/albums/roof/completed/roof.png",
        "/review/albums/roof/completed/roof.json",
        "/review/albums/roof/target/target.png",
        "/review/..%2falbums/roof/completed/page/index.html",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_of_a_request_reaches_a_file(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422), answer.text
    assert "root:" not in answer.text


def test_tiles_that_are_not_there_are_none(client: httpx.Client) -> None:
    layer = client.get("/api/albums/roof").json()["layers"][0]
    version = layer["version"]
    assert client.get(TILE.format("roof", version)).status_code == 200
    for rest in ("99/0/0", "-1/0/0", "0/1/0", "0/-1/0", "9/0/99999999999999999999", "9/x/0", "9/0"):
        path = f"/tiles/roof/after/0/{version}/{rest}"
        assert client.get(path).status_code in (404, 422), path


def test_every_answer_forbids_what_pages_do_not_need(client: httpx.Client) -> None:
    for path in ("/", "/api/albums", "/static/review.js", "/absent", "/api/albums/absent"):
        headers = client.get(path).headers
        assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_what_is_served_bears_no_metadata(albums: Path, client: httpx.Client) -> None:
    assert b"taken at home" in (albums / "roof" / "completed" / "roof.png").read_bytes()
    for layer in client.get("/api/albums/roof").json()["layers"]:
        answer = client.get(f"/tiles/roof/{layer['kind']}/{layer['number']}/{layer['version']}/9/0/0")
        assert answer.headers["content-type"] == "image/webp"
        assert not any(word in answer.content for word in (b"taken at home", b"Exif", b"EXIF", b"XMP "))


def test_a_review_that_is_read_only_decides_nothing(albums: Path) -> None:
    existed = (albums / ".review").exists()
    with review(albums, "--read-only") as (address, _), log_in(address) as client:
        assert client.get("/api/albums").json()["readOnly"]
        for path in ("/api/decisions", "/api/apply"):
            assert client.post(path, json={}).status_code == 405
        assert client.get("/api/albums/roof").status_code == 200
    assert (albums / ".review").exists() == existed


def test_the_log_has_no_token_and_the_journal_is_the_users_own(
    albums: Path, client: httpx.Client, decision: dict[str, object]
) -> None:
    assert client.post("/api/decisions", json=decision).status_code == 200
    journal = albums / ".review" / "journal.jsonl"
    assert load_decisions(albums)["roof"].verdict == "approved"
    assert not stat.S_IMODE(journal.stat().st_mode) & stat.S_IWOTH


def test_a_decision_about_a_photo_that_was_made_anew_is_refused(
    albums: Path, client: httpx.Client, decision: dict[str, object]
) -> None:
    answer = client.post("/api/decisions", json=decision | {"photo": "0" * 64})
    assert answer.status_code == 409
    assert "made anew" in answer.json()["detail"]
