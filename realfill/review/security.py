"""What guards an app on the loopback address: from other web sites, other programs' pages, and other users.

Any page in the user's browser can send requests to 127.0.0.1, and any user of the machine can connect to it. A
request is therefore answered only if it names the address itself (no rebound DNS name), comes from the app's own
pages or from the address bar, and carries the cookie that the address with the token gives, once.
"""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The style element that OpenSeadragon 6.1.1 adds to the page itself.
_VIEWER_STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
CONTENT_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_VIEWER_STYLE}; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MAX_BODY = 2_000_000  # bytes; the longest stroke has fewer
_NO_TOKEN = "Open the address that `realfill review` printed in the terminal; it bears a token."


class Guard:
    """The app behind all checks.

    Args:
        app: The app.
        port: Port on which it is served.
        read_only: Refuse everything but GET.

    Attributes:
        token: Random; who has it may use the app.
    """

    def __init__(self, app: ASGIApp, port: int, *, read_only: bool = False) -> None:
        self.token = secrets.token_urlsafe(32)
        self._app = app
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie = f"realfill-review-{port}"
        self._methods = ("GET",) if read_only else ("GET", "POST")

    @property
    def address(self) -> str:
        """The address that gives the cookie."""
        return f"http://{self._hosts[0]}/?token={self.token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        response = self._refuse(scope) or self._log_in(scope)
        if response is not None:
            await response(scope, receive, _with_headers(send))
            return
        await self._app(scope, _limited(receive), _with_headers(send))

    def _refuse(self, scope: Scope) -> Response | None:
        """The answer to a request that does not come from the app's pages or the address bar; None lets it pass."""
        headers = Headers(scope=scope)
        host, method = headers.getlist("host"), scope["method"]
        if len(host) != 1 or host[0] not in self._hosts:
            return _error(HTTPStatus.MISDIRECTED_REQUEST, "This address is not served here.")
        if method not in self._methods:
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"Only {' and '.join(self._methods)} are answered.")
        if headers.getlist("sec-fetch-site") not in (["same-origin"], ["none"]):
            return _error(HTTPStatus.FORBIDDEN, "The request comes from another page, or from no current browser.")
        if method == "POST":
            return _refuse_post(headers, f"http://{host[0]}")
        return None

    def _log_in(self, scope: Scope) -> Response | None:
        """The answer to a request without the cookie; None lets it pass."""
        query = bytes(scope["query_string"])
        if scope["path"] == "/" and hmac.compare_digest(query, f"token={self.token}".encode()):
            response: Response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
            response.set_cookie(self._cookie, self.token, httponly=True, samesite="strict", path="/")
            return response
        if any(hmac.compare_digest(value.encode(), self.token.encode()) for value in self._cookies(scope)):
            return None
        return _error(HTTPStatus.FORBIDDEN, _NO_TOKEN)

    def _cookies(self, scope: Scope) -> list[str]:
        pairs = (
            pair.strip().partition("=")
            for header in Headers(scope=scope).getlist("cookie")
            for pair in header.split(";")
        )
        return [value for name, _, value in pairs if name == self._cookie]


def _refuse_post(headers: Headers, origin: str) -> Response | None:
    if headers.getlist("origin") != [origin]:
        return _error(HTTPStatus.FORBIDDEN, "The request comes from another origin.")
    if headers.getlist("content-type") != ["application/json"]:
        return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Only application/json is taken.")
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return _error(HTTPStatus.LENGTH_REQUIRED, "The length of the body has to be declared.")
    if len(length) > 12 or int(length) > _MAX_BODY:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {_MAX_BODY} bytes are taken.")
    return None


def _error(status: HTTPStatus, text: str) -> Response:
    return PlainTextResponse(text, status)


def _limited(receive: Receive) -> Receive:
    """Receive a body of the greatest size at most, whatever length was declared."""
    left = _MAX_BODY

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        return message if left >= 0 else {"type": "http.disconnect"}

    return limited


def _with_headers(send: Send) -> Send:
    """Add the headers of `_HEADERS` to a response that does not set them itself."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
