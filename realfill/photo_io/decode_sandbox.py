"""Decoding of untrusted photos in a process of its own, which may crash, hang or run out of memory.

The process imports nothing but the image decoders. The operating system limits its memory, the size of files that it
writes (none) and the time for each photo. It serves many photos; after it dies, another one is started.

The two processes exchange lines of JSON: a path goes in, a `PhotoInfo` or an error comes out. An empty path asks
whether the process is alive.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from realfill.core.errors import PhotoError, StageError
from realfill.photo_io.photo_info import InspectionSettings, PhotoInfo, inspect_photo

_LEAVE_OUT = "Open it in an image editor and save it again, or leave it out."


@dataclass(frozen=True)
class SandboxSettings:
    """Limits of the process.

    Attributes:
        bytes_per_pixel: Memory granted for each pixel of the largest photo allowed. An upper bound by count for
            16-bit RGBA: the decoder's copy, our copy, and the sRGB image.
        base_bytes: Memory granted besides, for the interpreter and the libraries; set by hand.
        inspection: How photos are described.
    """

    bytes_per_pixel: int = 24
    base_bytes: int = 512 * 2**20
    inspection: InspectionSettings = field(default_factory=InspectionSettings)


class DecodeSandbox:
    """Describes photos as `inspect_photo` does, but survives whatever their decoders do. A context manager.

    Args:
        max_megapixels: Larger photos are refused, in 10^6 pixels. The memory limit follows from it.
        timeout: Time limit for one photo, seconds.
        settings: Limits of the process.
    """

    def __init__(self, max_megapixels: float, timeout: float, settings: SandboxSettings = SandboxSettings()) -> None:
        self._timeout = timeout
        self._limits = json.dumps(
            {
                "max_megapixels": max_megapixels,
                "timeout": timeout,
                "memory": settings.base_bytes + int(max_megapixels * 1e6) * settings.bytes_per_pixel,
                "inspection": asdict(settings.inspection),
            }
        )
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.kill()
            self._reap(self._child)

    def inspect(self, path: Path) -> PhotoInfo:
        """Decode and describe a photo.

        Raises:
            PhotoError: The photo cannot be used, or its decoder crashed or took too long.
            StageError: The process does not start.
        """
        child = self._child = self._child or self._start()
        answer = self._ask(child, str(path))
        if answer is None:
            raise self._explain_exit(self._reap(child), path)
        if "problem" in answer:
            raise PhotoError(answer["problem"], answer["remedy"], path)
        return PhotoInfo(**answer)

    def _start(self) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "realfill.photo_io.decode_sandbox", self._limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        if self._ask(child, "") is None:
            self._reap(child)
            raise StageError("The process that decodes photos does not start.", "Run `realfill doctor`.")
        return child

    def _ask(self, child: subprocess.Popen[str], name: str) -> dict[str, Any] | None:
        """Send a path and wait for the answer; None if the process died."""
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(name) + "\n")
            child.stdin.flush()
        except BrokenPipeError:
            return None
        reply = child.stdout.readline()
        answer: dict[str, Any] | None = json.loads(reply) if reply.endswith("\n") else None
        return answer

    def _reap(self, child: subprocess.Popen[str]) -> int:
        """Wait for the process to end, close its pipes, and return its exit status."""
        self._child = None
        assert child.stdin is not None
        with child:
            with suppress(BrokenPipeError):  # a request that a dead process did not read is still in the buffer
                child.stdin.close()
            return child.wait()

    def _explain_exit(self, status: int, path: Path) -> PhotoError:
        if status == -signal.SIGALRM:
            return PhotoError(f"Decoding it takes longer than {self._timeout:g} s.", _LEAVE_OUT, path)
        return PhotoError(f"Decoding it crashes the decoder (status {status}).", _LEAVE_OUT, path)


def _main(arguments: str) -> None:
    """Answer requests from standard input; the main function of the process."""
    limits = json.loads(arguments)
    memory = limits["memory"]
    for kind, limit in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what decoders print must not mix with the replies
    settings = InspectionSettings(**limits["inspection"])
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, limits["timeout"])
        reply = _answer(json.loads(line), limits["max_megapixels"], settings)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _answer(name: str, max_megapixels: float, settings: InspectionSettings) -> dict[str, Any]:
    if not name:
        return {}
    try:
        return asdict(inspect_photo(Path(name), max_megapixels, settings))
    except PhotoError as error:
        return {"problem": error.problem, "remedy": error.remedy}
    except Exception as error:  # for example a color transform that fails
        return {"problem": f"It cannot be decoded ({type(error).__name__}).", "remedy": _LEAVE_OUT}


if __name__ == "__main__":
    _main(sys.argv[1])
