"""The server of the review app, on the loopback address."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from realfill.core.errors import TransientError
from realfill.review.app import make_app
from realfill.review.collection import Collection
from realfill.review.security import Guard


def serve(folder: Path, *, port: int = 0, read_only: bool = False, on_ready: Callable[[str], None]) -> None:
    """Serve the review app until it is interrupted.

    Args:
        folder: A library or a folder in it, a folder of albums, or an album.
        port: Port on the loopback address; 0 takes a free one.
        read_only: Show the albums only.
        on_ready: Called with the address, which bears the token, when requests are taken.

    Raises:
        LibraryError: There is no such folder, or no album in it.
        TransientError: The port is in use.
    """
    app = make_app(Collection(folder), read_only=read_only)
    with _listen(port) as listener:
        guard = Guard(app, listener.getsockname()[1], read_only=read_only)
        config = uvicorn.Config(
            guard,
            access_log=False,  # addresses bear the token
            log_config=None,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        on_ready(guard.address)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        problem = f"The port {port} of 127.0.0.1 cannot be used ({error.strerror})."
        raise TransientError(problem, "Choose another --port, or leave it out.") from error
    return listener
