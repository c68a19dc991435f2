"""Judge previews of candidates, so that those that look worst are not finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from realfill.album.layout import Album
from realfill.album.placement import read_proposal
from realfill.album.store import accepted_references, canvas_path, mask_path, read_window
from realfill.matching.matchers import load_matcher
from realfill.photo_io.color_management import read_srgb
from realfill.photo_io.working_files import read_png
from realfill.selection.candidate_scores import judge_candidate, prepare_references
from realfill.selection.hole_view import HoleView, scale_reference


def make_preview_judge(album: Album) -> Callable[[Sequence[np.ndarray]], list[float]]:
    """Prepare the score by which `rank` orders finished candidates, for previews from pure noise.

    Args:
        album: The album, after `validate`, `masks` and `align`.

    Returns:
        Takes pictures [R, R, 3] uint8 sRGB of the model's window to their scores, higher is better.

    Raises:
        StageError: `validate`, `masks` or `align` has not run.
    """
    matcher, window = load_matcher("auto"), read_window(album)
    view = HoleView.from_canvas(read_srgb(canvas_path(album)), read_png(mask_path(album)), window)
    images = {path.name: scale_reference(read_srgb(path), window) for path in accepted_references(album)}
    references = prepare_references(view, images, matcher)
    proposal = read_proposal(album, read_srgb)
    cropped = None if proposal is None else view.crop_proposal(proposal)

    def judge(pictures: Sequence[np.ndarray]) -> list[float]:
        completed = [view.complete(picture, "noise", cropped) for picture in pictures]
        return [judge_candidate(image, view, references, matcher, cropped).score for image in completed]

    return judge
