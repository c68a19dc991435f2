"""What Prefect's UI shows of an album: the progress of its stages, its ranking, and the photo before and after."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.utilities.slugify import slugify

from realfill.album.layout import Album
from realfill.album.schemas import RankedCandidate
from realfill.album.store import canvas_path, mask_path, read_rows
from realfill.core.progress import ProgressCallback, ProgressUpdate
from realfill.imaging.ops import resize
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png


@dataclass(frozen=True)
class ArtifactSettings:
    """How much is sent to the server. All values are set by hand.

    Attributes:
        picture_side: Longer side of each of the two pictures of a result, in pixels.
        jpeg_quality: JPEG quality of the pictures, 1 to 95.
        update_seconds: Shortest time between two updates of a progress bar.
    """

    picture_side: int = 480
    jpeg_quality: int = 85
    update_seconds: float = 2.0


@contextmanager
def ignore_server_errors() -> Iterator[None]:
    """Log errors of a block that only shows something; a server that is away for a while stops no work."""
    try:
        yield
    except Exception as error:
        get_run_logger().warning("Could not be shown: %s", error)


def show_ranking(album: Album) -> None:
    """Show the ranking of the candidates as a table."""
    rows = read_rows(album.work("rank") / "ranking.parquet", RankedCandidate)
    table = [asdict(row) for row in rows]
    create_table_artifact(table, key=f"{slugify(album.name)}-ranking", description=f"Candidates of {album.name}")


def show_result(album: Album, photo: Path, settings: ArtifactSettings = ArtifactSettings()) -> None:
    """Show the photo with its hole in white, beside the finished photo.

    Args:
        album: A finished album.
        photo: Its finished photo.
        settings: Size and quality of the pictures.
    """
    canvas = read_srgb(canvas_path(album))  # [H, W, 3] uint8
    hole = read_png(mask_path(album))[..., None] > 127  # [H, W, 1] bool
    before = _shrink(np.where(hole, np.uint8(255), canvas), settings.picture_side)
    after = _shrink(read_srgb(photo), settings.picture_side)
    file = io.BytesIO()
    Image.fromarray(np.hstack([before, after])).save(file, format="JPEG", quality=settings.jpeg_quality)
    url = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    create_image_artifact(url, key=f"{slugify(album.name)}-result", description=f"Before and after: {album.name}")


def make_progress_callback(album: Album, settings: ArtifactSettings = ArtifactSettings()) -> ProgressCallback:
    """Make a callback that shows a progress bar for each stage of an album that reports its steps."""
    artifacts: dict[str, Any] = {}
    updated: dict[str, float] = {}
    created = time.monotonic()

    def show(update: ProgressUpdate) -> None:
        artifact = artifacts.get(update.stage)
        is_last = artifact is not None and update.done == update.total
        if not is_last and time.monotonic() - updated.get(update.stage, created) < settings.update_seconds:
            return
        percent = 100 * update.done / update.total
        with ignore_server_errors():
            if artifact is None:
                key = f"{slugify(album.name)}-{update.stage}"
                artifacts[update.stage] = create_progress_artifact(percent, key=key, description=_describe(update))
            else:
                update_progress_artifact(artifact, percent, description=_describe(update))
        updated[update.stage] = time.monotonic()

    return show


def _describe(update: ProgressUpdate) -> str:
    loss = "" if update.loss is None else f", loss {update.loss:.4f}"
    return f"{update.stage}: {update.done} of {update.total} steps{loss}, {update.seconds_left:.0f} s left"


def _shrink(image: np.ndarray, side: int) -> np.ndarray:
    """Resize [H, W, 3] uint8 so that its longer side is `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    return resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
