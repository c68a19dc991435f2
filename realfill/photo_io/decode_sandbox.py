"""Looking at untrusted photos in a process of its own, which may crash, hang or run out of memory.

`Prober` keeps one such process for many photos and starts another when it dies. The process knows only the image
decoders; its memory and the time for each photo are limited by the operating system.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2

from realfill.core.errors import PhotoError, StageError
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import profile_name, profile_problem, to_srgb
from realfill.photo_io.decode import Photo, read_photo

BYTES_A_PIXEL = 24  # 16-bit RGBA: the decoder's copy, ours, and the sRGB picture
BYTES_BESIDES = 512 * 2**20
SHARPNESS_SIDE = 512
_LEAVE_OUT = "Open it in an image editor and save it anew, or leave it out."


@dataclass(frozen=True)
class PhotoInfo:
    """What there is to know of a photo; fields as in `artifacts.Input`.

    Attributes:
        content: SHA-256 of the decoded samples and their shape, hex.
        warning: Why its colour profile is not used, or empty.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int
    icc: str
    exif: bool
    sharpness: float
    content: str
    warning: str


def inspect_photo(path: Path, max_megapixels: float) -> PhotoInfo:
    """Decode a photo in this process and describe it.

    Raises:
        PhotoError: As `images.read`.
    """
    photo = read_photo(path, max_megapixels=max_megapixels)
    return PhotoInfo(
        format=photo.format,
        width=photo.width,
        height=photo.height,
        mode=photo.mode,
        bits=photo.bits,
        orientation=photo.orientation,
        icc=profile_name(photo),
        exif=photo.exif,
        sharpness=sharpness(photo),
        content=_content(photo),
        warning=profile_problem(photo),
    )


def sharpness(photo: Photo) -> float:
    """Variance of the Laplacian of a photo's luminance (8-bit sRGB), shrunk to 512 px at its longer side."""
    scale = min(SHARPNESS_SIDE / max(photo.width, photo.height), 1.0)
    width, height = max(round(photo.width * scale), 1), max(round(photo.height * scale), 1)
    small = replace(photo, pixels=resize(photo.pixels, width, height), alpha=None)
    luminance = cv2.cvtColor(to_srgb(small), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(luminance, cv2.CV_64F).var())


def _content(photo: Photo) -> str:
    digest = hashlib.sha256(f"{photo.pixels.shape} {photo.pixels.dtype}".encode())
    digest.update(photo.pixels.data)
    return digest.hexdigest()


class DecodeSandbox:
    """Describes photos as `find` does, but survives whatever their decoders do. A context manager.

    Args:
        max_megapixels: Larger photos are refused, in 10^6 pixels; memory is limited accordingly.
        timeout: Seconds for one photo.
    """

    def __init__(self, max_megapixels: float, timeout: float) -> None:
        self._max_megapixels = max_megapixels
        self._timeout = timeout
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.kill()
            self._bury(self._child)

    def find(self, path: Path) -> PhotoInfo:
        """Describe a photo.

        Raises:
            PhotoError: It cannot be used, or its decoder crashed or took too long.
            StageError: The process does not start.
        """
        child = self._child = self._child or self._started()
        answer = self._asked(child, json.dumps(str(path)))
        if answer is None:
            raise self._cause_of_death(self._bury(child), path)
        if "problem" in answer:
            raise PhotoError(answer["problem"], answer["remedy"], path)
        return PhotoInfo(**answer)

    def _started(self) -> subprocess.Popen[str]:
        limits = [str(self._max_megapixels), str(self._timeout)]
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "realfill.photo_io.decode_sandbox", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        if self._asked(child, json.dumps("")) is None:
            self._bury(child)
            raise StageError("The process that decodes photos does not start.", "Run `realfill doctor`.")
        return child

    def _asked(self, child: subprocess.Popen[str], line: str) -> dict[str, Any] | None:
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(line + "\n")
            child.stdin.flush()
        except BrokenPipeError:
            return None
        reply = child.stdout.readline()
        answer: dict[str, Any] | None = json.loads(reply) if reply.endswith("\n") else None
        return answer

    def _bury(self, child: subprocess.Popen[str]) -> int:
        self._child = None
        with child:
            return child.wait()

    def _cause_of_death(self, status: int, path: Path) -> PhotoError:
        if status == -signal.SIGALRM:
            return PhotoError(f"Decoding it takes longer than {self._timeout:g} s.", _LEAVE_OUT, path)
        return PhotoError(f"Decoding it crashes the decoder (status {status}).", _LEAVE_OUT, path)


def _main() -> None:
    max_megapixels, timeout = float(sys.argv[1]), float(sys.argv[2])
    memory = BYTES_BESIDES + int(max_megapixels * 1e6) * BYTES_A_PIXEL
    for kind, limit in ((resource.RLIMIT_DATA, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(kind, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever decoders print must not mix with the replies
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, timeout)
        reply = _answer(json.loads(line), max_megapixels)
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def _answer(name: str, max_megapixels: float) -> dict[str, Any]:
    if not name:
        return {}
    try:
        return asdict(inspect_photo(Path(name), max_megapixels))
    except PhotoError as error:
        return {"problem": error.problem, "remedy": error.remedy}
    except Exception as error:  # such as a colour transform that fails
        return {"problem": f"It cannot be decoded ({type(error).__name__}).", "remedy": _LEAVE_OUT}


if __name__ == "__main__":
    _main()
