"""Work beside the requests: candidates are blended ahead, and decisions are applied."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

from realfill.core.errors import RealFillError
from realfill.core.failures import NUMERICAL_ERRORS
from realfill.review.application import apply_decisions
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision
from realfill.review.layers import Layers

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BackgroundSettings:
    """What is done ahead.

    Attributes:
        candidates: Number of the best candidates of an album that are blended ahead, where the run that finished it
            did not. Set by hand.
        albums: Number of the albums opened last for which that is done. Set by hand: the one that is shown, and
            those that the page loads ahead.
    """

    candidates: int = 3
    albums: int = 3


class Background:
    """Two threads: one that blends ahead, one that applies.

    Args:
        collection: The albums.
        layers: Their layers.
        settings: What is done ahead.
    """

    def __init__(
        self, collection: Collection, layers: Layers, settings: BackgroundSettings = BackgroundSettings()
    ) -> None:
        self._collection, self._layers, self._settings = collection, layers, settings
        self._opened: deque[tuple[FinishedAlbum, Decision]] = deque(maxlen=settings.albums)  # the last one is first
        self._is_opened = threading.Event()
        self._mutex = threading.Lock()
        self._state: dict[str, Any] = {"running": False, "album": "", "outcomes": {}}
        threading.Thread(target=self._blend_ahead, daemon=True).start()

    def prepare(self, album: FinishedAlbum, decision: Decision) -> None:
        """Blend the best candidates of an album soon."""
        self._opened.append((album, decision))
        self._is_opened.set()

    def apply(self) -> None:
        """Begin to apply all decisions that are pending, unless that goes on already."""
        with self._mutex:
            if self._state["running"]:
                return
            self._state = {"running": True, "album": "", "outcomes": {}}
            threading.Thread(target=self._apply, daemon=True).start()

    def state(self) -> dict[str, Any]:
        """How the application stands: whether it runs, on which album, and what became of those before."""
        with self._mutex:
            return dict(self._state)

    def _apply(self) -> None:
        outcomes: dict[str, str] = {}
        try:
            errors = apply_decisions(self._collection, self._note_album)
            outcomes = {name: str(error or "") for name, error in errors.items()}
        except Exception as error:  # the app goes on
            logger.exception("The decisions could not be applied")
            outcomes = {"": str(error)}
        with self._mutex:
            self._state = {"running": False, "album": "", "outcomes": outcomes}

    def _note_album(self, name: str) -> None:
        with self._mutex:
            self._state = {**self._state, "album": name}

    def _blend_ahead(self) -> None:
        while True:
            self._is_opened.wait()
            self._is_opened.clear()
            while self._opened:
                self._blend_candidates(*self._opened.pop())

    def _blend_candidates(self, album: FinishedAlbum, decision: Decision) -> None:
        try:
            self._layers.prepare(album, decision, self._settings.candidates)
        except (RealFillError, OSError, *NUMERICAL_ERRORS) as error:  # it is shown where the candidate is
            logger.info("%s: a candidate cannot be blended: %s", album.name, error)
