"""Work beside the requests: candidates are blended ahead, decisions are applied, photos are delivered."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from realfill.core.errors import RealFillError, printable
from realfill.core.failures import NUMERICAL_ERRORS
from realfill.core.params import load_params
from realfill.delivery.passphrase import read_passphrase
from realfill.review.application import apply_decisions
from realfill.review.collection import Collection, FinishedAlbum
from realfill.review.decisions import Decision
from realfill.review.layers import Layers
from realfill.review.mask_edits import make_private

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


class Job:
    """Work that a request begins, and that goes on beside others; it does not run twice at once.

    Args:
        work: Gets a function to call with the name of each album that it works on; gives its report, and what failed
            by name of the album.
    """

    def __init__(self, work: Callable[[Callable[[str], None]], tuple[str, dict[str, str]]]) -> None:
        self._work = work
        self._mutex = threading.Lock()
        self._state: dict[str, Any] = {"running": False, "album": "", "report": "", "problems": {}}

    def begin(self) -> None:
        """Begin, unless it runs already."""
        with self._mutex:
            if self._state["running"]:
                return
            self._state = {"running": True, "album": "", "report": "", "problems": {}}
            threading.Thread(target=self._run, daemon=True).start()

    def state(self) -> dict[str, Any]:
        """How it stands: whether it runs, on which album, its report and problems when it has ended; JSON types."""
        with self._mutex:
            return dict(self._state)

    def _run(self) -> None:
        try:
            report, problems = self._work(self._note_album)
        except RealFillError as error:
            report, problems = str(error), {}
        except Exception as error:  # the app goes on
            logger.exception("Work beside the app failed")
            report, problems = f"It failed: {error}", {}
        with self._mutex:
            self._state = {"running": False, "album": "", "report": report, "problems": problems}

    def _note_album(self, name: str) -> None:
        with self._mutex:
            self._state = {**self._state, "album": name}


class Background:
    """What is done in threads: candidates are blended ahead, decisions are applied, photos are delivered.

    Args:
        collection: The albums.
        layers: Their layers.
        settings: What is done ahead.

    Attributes:
        applying: Applies all decisions that are pending.
        delivering: Delivers the approved photos into a new folder.
    """

    def __init__(
        self, collection: Collection, layers: Layers, settings: BackgroundSettings = BackgroundSettings()
    ) -> None:
        self._collection, self._layers, self._settings = collection, layers, settings
        self._opened: deque[tuple[FinishedAlbum, Decision]] = deque(maxlen=settings.albums)  # the last one is first
        self._is_opened = threading.Event()
        self.applying, self.delivering = Job(self._apply), Job(self._deliver)
        threading.Thread(target=self._blend_ahead, daemon=True).start()

    def prepare(self, album: FinishedAlbum, decision: Decision) -> None:
        """Blend the best candidates of an album soon."""
        self._opened.append((album, decision))
        self._is_opened.set()

    def _apply(self, on_album: Callable[[str], None]) -> tuple[str, dict[str, str]]:
        outcomes = apply_decisions(self._collection, on_album)
        problems = {name: str(error) for name, error in outcomes.items() if error}
        return f"{len(outcomes) - len(problems)} applied", problems

    def _deliver(self, on_album: Callable[[str], None]) -> tuple[str, dict[str, str]]:
        from realfill.review.approved import deliver_approved, find_params_file  # loads c2pa

        folder, out = self._collection.folder, self._collection.new_delivery()
        make_private(out.parent)
        settings = load_params(find_params_file(folder)).delivery
        decisions, problems = self._collection.journal.decisions(), {}

        def on_left_out(name: str, reason: str) -> None:
            if decisions.get(name, Decision()).verdict == "approved":
                problems[name] = reason

        try:
            delivery = deliver_approved(
                folder, out, settings, read_passphrase, on_left_out=on_left_out, on_album=on_album
            )
        except RealFillError as error:
            return str(error), problems
        problems |= {name: str(error) for name, error in delivery.problems.items()}
        report = f"{len(delivery.files)} delivered to {printable(str(out))}"
        return f"{report}. {delivery.warning}".removesuffix(". "), problems

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
