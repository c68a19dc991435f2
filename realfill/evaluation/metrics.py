"""How close a fill is to the ground truth, over the hole only: the metrics of the evaluation's protocol.

Everything is measured at 1024 px on the longer side (Lanczos), uint8 sRGB:

PSNR over all channels. SSIM (Wang et al., 2004) of the luma. Recall: share of the ground truth's XFeat keypoints in
the hole that the fill shows in the same place, see `keypoint_recall`. Blur raises PSNR but lowers recall, invented
content lowers both: read them together.

Beside them the metrics of `perceptual`, on the hole's bounding box with the ground truth outside the hole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from PIL import Image

from realfill.core.errors import AlbumError, ModelError
from realfill.core.failures import require_finite, skip_failing
from realfill.evaluation.keypoint_recall import RecallSettings, detect_keypoints, keypoint_recall, load_detector
from realfill.evaluation.perceptual import load_perceptual_metrics
from realfill.imaging.ops import Pixels

PROTOCOL = 2  # version of all that decides a score; scores of different versions cannot be compared
_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5  # pixels; Wang et al., IEEE Transactions on Image Processing 2004, section III.C
_SSIM_C1, _SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # the same
_MAX_PSNR = 100.0  # dB, reported for equal pictures, whose PSNR is infinite


@dataclass(frozen=True)
class ScorerSettings:
    """At what size pictures are compared. The values are part of the evaluation's protocol.

    Attributes:
        side: Longer side at which pictures are compared, pixels. Set by hand.
        min_box: Least side of the box that the networks see, pixels: small holes get some of their surroundings. Set
            by hand; the networks need 16.
        recall: How keypoints are detected and matched.
    """

    side: int = 1024
    min_box: int = 64
    recall: RecallSettings = RecallSettings()


@dataclass(frozen=True)
class Score:
    """How close one fill is to the ground truth.

    A metric is None where `unavailable_metrics` says why, and where its computation failed.

    Attributes:
        psnr: dB; higher is better.
        ssim: -1 to 1; higher is better.
        recall: 0 to 1; higher is better. None also where the ground truth has no keypoint in the hole.
        lpips: 0 upwards; lower is better.
        dists: 0 to 1; lower is better.
        dino: -1 to 1; higher is better.
        clip: -1 to 1; higher is better.
    """

    psnr: float
    ssim: float
    recall: float | None
    lpips: float | None = None
    dists: float | None = None
    dino: float | None = None
    clip: float | None = None

    def measured(self) -> dict[str, float]:
        """The metrics that are not None, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Scorer:
    """Scores pictures against one ground truth, over one hole.

    Attributes:
        ground_truth: [h, w, 3] uint8 sRGB, at the size at which pictures are compared.
        hole: [h, w] bool.

    Args:
        ground_truth: [H, W, 3] uint8 sRGB.
        mask: [H', W'] uint8, 255 = hole, of the same extent at any size.
        settings: Size at which pictures are compared.

    Raises:
        AlbumError: No pixel of the hole is left at that size.
    """

    def __init__(self, ground_truth: Pixels, mask: Pixels, settings: ScorerSettings = ScorerSettings()) -> None:
        self._settings = settings
        self.ground_truth = shrink_to_protocol(ground_truth, settings)
        self.hole = self.resize_labels(mask) > 127
        if not self.hole.any():
            raise AlbumError(f"The hole vanishes at {settings.side} pixels.", "There is nothing that can be scored.")
        self._box = _bounding_box(self.hole, settings.min_box)
        has_recall = "recall" not in unavailable_metrics(settings)
        self._keypoints = detect_keypoints(self.ground_truth, settings.recall) if has_recall else None

    def score(self, picture: Pixels) -> Score:
        """Score a picture of the same extent, [H, W, 3] uint8 sRGB of any size."""
        picture = self.resize(picture)
        filled_box = np.where(self.hole[..., None], picture, self.ground_truth)[self._box]
        measured: dict[str, float | None] = {"recall": None}
        with skip_failing("The metric recall"):
            measured["recall"] = self._recall(picture)
        for name, metric in load_perceptual_metrics()[0].items():
            with skip_failing(f"The metric {name}"):
                value = metric(filled_box, self.ground_truth[self._box], self.hole[self._box])
                require_finite(value=value)
                measured[name] = round(value, 3)
        return Score(
            psnr=round(psnr(picture[self.hole], self.ground_truth[self.hole]), 2),
            ssim=round(float(ssim_map(picture, self.ground_truth)[self.hole].mean()), 3),
            **measured,
        )

    def resize(self, picture: Pixels) -> Pixels:
        """Resize a picture [H, W, 3] uint8 of the same extent to the size at which pictures are compared."""
        height, width = self.ground_truth.shape[:2]
        picture = shrink_to_protocol(picture, self._settings)
        if picture.shape != self.ground_truth.shape:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return picture

    def resize_labels(self, labels: Pixels) -> Pixels:
        """Resize labels of pixels, [H, W] uint8, to the size at which pictures are compared, by the nearest pixel."""
        height, width = self.ground_truth.shape[:2]
        return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))

    def _recall(self, picture: Pixels) -> float | None:
        if self._keypoints is None:
            return None
        settings = self._settings.recall
        recall = keypoint_recall(self._keypoints, detect_keypoints(picture, settings), self.hole, settings)
        return None if recall is None else round(recall, 3)


def unavailable_metrics(settings: ScorerSettings = ScorerSettings()) -> dict[str, str]:
    """The metrics that cannot be computed on this machine, with the reason and the remedy."""
    reasons = dict(load_perceptual_metrics()[1])
    try:
        load_detector(settings.recall.max_keypoints)
    except ModelError as error:
        reasons["recall"] = str(error)
    return reasons


def shrink_to_protocol(picture: Pixels, settings: ScorerSettings = ScorerSettings()) -> Pixels:
    """Shrink a picture [H, W, 3] uint8 to the size at which pictures are compared; smaller ones stay as they are."""
    image = Image.fromarray(picture)
    image.thumbnail((settings.side, settings.side), Image.Resampling.LANCZOS)
    return np.array(image)


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of the same shape, dB; 100 where they are equal."""
    return min(_MAX_PSNR, 10 * float(np.log10(255**2 / max(squared_error(a, b), 1e-12))))


def squared_error(a: Pixels, b: Pixels) -> float:
    """Mean squared difference of two uint8 arrays of the same shape, squared 8-bit levels."""
    return float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))


def ssim_map(a: Pixels, b: Pixels) -> Pixels:
    """Structural similarity at every pixel (Wang et al., 2004, equation 13) of the luma of two pictures.

    Args:
        a: [H, W, 3] uint8 sRGB.
        b: The same.

    Returns:
        [H, W] float64, -1 to 1.
    """
    x, y = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (a, b))

    def blur(values: Pixels) -> Pixels:
        blurred: Pixels = cv2.GaussianBlur(values, (_SSIM_WINDOW, _SSIM_WINDOW), _SSIM_SIGMA)
        return blurred

    c1, c2 = _SSIM_C1, _SSIM_C2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similarity: Pixels = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similarity


def _bounding_box(hole: Pixels, min_side: int) -> tuple[slice, slice]:
    """Rows and columns of the hole's bounding box, `min_side` pixels or more each way where the picture has them."""
    left, top, width, height = cv2.boundingRect(hole.astype(np.uint8))
    return _widen(top, height, hole.shape[0], min_side), _widen(left, width, hole.shape[1], min_side)


def _widen(start: int, length: int, limit: int, min_length: int) -> slice:
    """An interval of at least the least length, around the given one, between 0 and the limit."""
    longer = min(max(length, min_length), limit)
    first = min(max(0, start - (longer - length) // 2), limit - longer)
    return slice(first, first + longer)
