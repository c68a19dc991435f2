"""How far the authenticity map can be believed, from the pictures that `bench/placed.py` left in a folder.

Every pixel that was placed has a class: reference pixel, likely, or other. It is right where it lies within 25 levels
of the ground truth, root mean square over the channels; all at the size of the scores. The last rows pool the pixels
of the views. The expected calibration error is that of the classes on the reporting albums, where each class promises
the share of right pixels that it has on the others. The sparsification error is that of the squared error, when
pixels are left out in the order of the confidence instead of that of the error, as a share of what a random order
has (Ilg et al., Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow, ECCV 2018).

usage: python bench/authenticity.py FOLDER ALBUM...
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from placed import draw_reporting_albums

from realfill.album.placement import CERTAIN, LIKELY
from realfill.photo_io.working_files import read_png

MAX_ERROR = 25.0  # levels; of what counts as right
MIN_AREA = 0.01  # of the placed pixels; classes with less are not ordered
HEADINGS = ("view", "right: reference pixel / likely / other", "area", "in this order", "sparsification error")


@dataclass(frozen=True)
class View:
    """The pixels of one view that were placed.

    Attributes:
        name: Of the view.
        confidence: 1 to 255, [N].
        error: Root mean square over the channels, levels, [N].
    """

    name: str
    confidence: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class Reliability:
    """How the classes fare: reference pixel, likely, other.

    Attributes:
        right: Share of right pixels in each class; not a number where it is empty.
        area: Share of each class.
    """

    right: np.ndarray
    area: np.ndarray

    @property
    def is_ordered(self) -> bool:
        """Whether each class is right at least as often as the next one."""
        right = self.right[self.area > MIN_AREA]
        return bool((np.diff(right) <= 0).all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("albums", type=Path, nargs="+")
    arguments = parser.parse_args()
    names = [path.resolve().name for path in arguments.albums]
    reporting = draw_reporting_albums(names)
    parts: dict[str, list[View]] = {"choosing": [], "reporting": []}
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for picture in sorted(arguments.folder.glob("*.png")):
        album = album_of(picture.stem, names)
        view = read_view(picture)
        if album is not None and view.error.size:
            parts["reporting" if album in reporting else "choosing"].append(view)
            print(format_row(view.name, [view]))
    for name, views in [*parts.items(), ("all", [*parts["choosing"], *parts["reporting"]])]:
        if views:
            print(format_row(name, views))
    if all(parts.values()):
        error = measure_calibration_error(parts["choosing"], parts["reporting"])
        print(f"Expected calibration error on the reporting albums: {error:.3f}")


def album_of(view: str, albums: Sequence[str]) -> str | None:
    """The album of a view, which is named like it, or like it and one of its references."""
    return max((name for name in albums if view == name or view.startswith(f"{name}-")), key=len, default=None)


def read_view(picture: Path) -> View:
    """Read what was filled, the truth and the confidence, which lie side by side."""
    filled, truth, confidence = np.split(read_png(picture), 3, axis=1)  # [h, w, 3] uint8 each
    placed = confidence[..., 0] > 0
    difference = filled[placed].astype(np.float32) - truth[placed]
    return View(picture.stem, confidence[..., 0][placed], np.sqrt((difference**2).mean(axis=-1)))


def measure_reliability(views: Sequence[View]) -> Reliability:
    """Pool the pixels of the views."""
    confidence = np.concatenate([view.confidence for view in views])
    is_right = np.concatenate([view.error for view in views]) <= MAX_ERROR
    classes = [confidence >= CERTAIN, (confidence >= LIKELY) & (confidence < CERTAIN), confidence < LIKELY]
    right = [is_right[pixels].mean() if pixels.any() else np.nan for pixels in classes]
    return Reliability(np.array(right), np.array([pixels.mean() for pixels in classes]))


def measure_calibration_error(choosing: Sequence[View], reporting: Sequence[View]) -> float:
    """How far the classes on the reporting views are from what they promise, on average over the pixels."""
    promised, measured = measure_reliability(choosing), measure_reliability(reporting)
    return float(np.nansum(measured.area * np.abs(measured.right - promised.right)))


def measure_sparsification_error(view: View) -> float:
    """Area between the sparsification curves by confidence and by error, over that of a random order."""
    squared = view.error**2
    shuffled = np.random.default_rng(0).permutation(squared.size)  # ties of the confidence in no order
    by_confidence = shuffled[np.argsort(view.confidence[shuffled], kind="stable")]
    oracle = average_remaining(squared[np.argsort(-squared)])
    excess = average_remaining(squared[by_confidence]) - oracle
    return float(excess.mean() / max((squared.mean() - oracle).mean(), 1e-9))


def average_remaining(squared: np.ndarray) -> np.ndarray:
    """Mean of what remains when the first 0, 1, ... are left out."""
    return np.cumsum(squared[::-1], dtype=np.float64)[::-1] / np.arange(squared.size, 0, -1)


def format_row(name: str, views: Sequence[View]) -> str:
    pooled = measure_reliability(views)
    ordered = sum(measure_reliability([view]).is_ordered for view in views)
    right = " / ".join("-" if np.isnan(share) else f"{share:.0%}" for share in pooled.right)
    area = " / ".join(f"{share:.0%}" for share in pooled.area)
    error = np.mean([measure_sparsification_error(view) for view in views])
    return f"| {name} | {right} | {area} | {ordered} of {len(views)} | {error:.2f} |"


if __name__ == "__main__":
    main()
