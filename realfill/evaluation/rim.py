"""How a fill joins up with the photo: the contrast across the rim of the hole, beside that along it."""

from __future__ import annotations

import numpy as np

from realfill.imaging.ops import Pixels, to_gray


def rim_contrast(picture: Pixels, hole: np.ndarray) -> float | None:
    """Compare how much neighbors differ across the rim of the hole and along it.

    Divided by the same of the ground truth it is 1 for a rim that cannot be seen, and more for a doubled edge, a cut
    outline or a rectangle of another tone.

    Args:
        picture: [H, W, 3] sRGB, uint8, or float32 in 0..1.
        hole: bool [H, W].

    Returns:
        Mean absolute difference of the luma across the rim / that along it; None where there is no rim or nothing
        varies along it.
    """
    across: list[np.ndarray] = []
    along: list[np.ndarray] = []
    for gray, inside in ((to_gray(picture), hole), (to_gray(picture).T, hole.T)):
        rim = inside[:, 1:] != inside[:, :-1]  # [h, w - 1]
        across.append(np.abs(np.diff(gray, axis=1))[rim])
        steps = np.abs(np.diff(gray, axis=0))  # [h - 1, w]
        straight = rim[1:] & rim[:-1]
        along += [steps[:, 1:][straight], steps[:, :-1][straight]]
    lengths = np.concatenate(along)
    if not lengths.size or not lengths.any():
        return None
    return float(np.concatenate(across).mean() / lengths.mean())
