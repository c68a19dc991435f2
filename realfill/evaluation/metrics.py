"""How close a fill is to the truth, over the hole only: the measures of the evaluation's protocol.

Everything is measured at 1024 px on the longer side (Lanczos), uint8 sRGB:

PSNR over all channels. SSIM (Wang et al., 2004) of the luma, 11 px Gaussian window. Recall: share of the truth's
XFeat keypoints (4096 a picture) inside the hole that the fill matches (mutual nearest neighbours, cosine above 0.7)
within 6 px. Blur gains PSNR but loses recall, invention loses both: read them together.

Beside them the measures of `realfill.perceptual`, of the hole's bounding box, in which what is known is the truth's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from realfill.core.errors import AlbumError, ModelError
from realfill.evaluation.perceptual import measures
from realfill.imaging.ops import Pixels
from realfill.matching.weights import load_xfeat

PROTOCOL = 2  # `realfill.perceptual` is part of it
SIDE = 1024
_KEYPOINTS = 4096
_COSINE = 0.7
_REACH = 6.0  # pixels
_SMALLEST = 64  # pixels, of the box that the networks see


@dataclass(frozen=True)
class Score:
    """How close one fill is to the truth; a measure is None where `absent` says why.

    Attributes:
        psnr: dB; higher is better.
        ssim: -1 to 1; higher is better.
        recall: 0 to 1; higher is better. None also where the truth has no keypoint in the hole.
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
        """The measures that there are, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Keypoints:
    """What XFeat finds in a picture.

    Attributes:
        points: float32 [N, 2], (x, y) pixels.
        descriptors: float32 [N, 64], of length 1.
    """

    points: Tensor
    descriptors: Tensor

    def lie_in(self, region: Pixels) -> Pixels:
        """Which of them lie in a region [H, W] bool, as bool [N]."""
        height, width = region.shape
        columns, rows = self.points.numpy().astype(int).clip(0, (width - 1, height - 1)).T
        return np.asarray(region[rows, columns])

    def match(self, other: Keypoints) -> tuple[Tensor, Tensor]:
        """For each the nearest one in `other`, int64 [N], and whether they are a mutual match, bool [N]."""
        if min(len(self.points), len(other.points)) == 0:
            return torch.zeros(len(self.points), dtype=torch.int64), torch.zeros(len(self.points), dtype=torch.bool)
        similarity = self.descriptors @ other.descriptors.T  # [N, M]
        nearest, back = similarity.argmax(1), similarity.argmax(0)
        each = torch.arange(len(nearest))
        return nearest, (back[nearest] == each) & (similarity[each, nearest] > _COSINE)


class Scorer:
    """The protocol for one truth and one hole.

    Args:
        truth: [H, W, 3] uint8 sRGB.
        mask: [h, w] uint8, 255 = hole, of the same extent at any size.

    Raises:
        AlbumError: The hole is too small to be seen at 1024 px.
    """

    def __init__(self, truth: Pixels, mask: Pixels) -> None:
        self.truth = shrink_to_protocol(truth)  # [h, w, 3]
        self.hole = self.nearest(mask) > 127  # [h, w]
        if not self.hole.any():
            raise AlbumError("The hole vanishes at 1024 pixels.", "There is nothing that can be scored.")
        self._box = _box(self.hole)
        self._wanted = None if "recall" in unavailable_metrics() else keypoints(self.truth)

    def score(self, picture: Pixels) -> Score:
        """Score a picture of the same extent, [H, W, 3] uint8 sRGB of any size."""
        picture = self.fitted(picture)
        seen = np.where(self.hole[..., None], picture, self.truth)[self._box]
        learned = {
            name: round(measure(seen, self.truth[self._box], self.hole[self._box]), 3)
            for name, measure in measures()[0].items()
        }
        return Score(
            psnr=round(psnr(picture[self.hole], self.truth[self.hole]), 2),
            ssim=round(float(ssim_map(picture, self.truth)[self.hole].mean()), 3),
            recall=self._recall(picture),
            **learned,
        )

    def fitted(self, picture: Pixels) -> Pixels:
        """A picture of the same extent at the size at which it is scored, [h, w, 3]."""
        height, width = self.truth.shape[:2]
        picture = shrink_to_protocol(picture)
        if picture.shape != self.truth.shape:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return picture

    def nearest(self, labels: Pixels) -> Pixels:
        """Labels of the pixels [H, W] uint8 of any size at the size at which pictures are scored, [h, w] uint8."""
        height, width = self.truth.shape[:2]
        return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))

    def _recall(self, picture: Pixels) -> float | None:
        if self._wanted is None:
            return None
        inside = self._wanted.lie_in(self.hole)
        if not inside.any():
            return None
        found = keypoints(picture)
        nearest, mutual = self._wanted.match(found)
        if not mutual.any():
            return 0.0
        apart = torch.linalg.vector_norm(self._wanted.points - found.points[nearest], dim=1)
        again = mutual & (apart <= _REACH)
        return round(float(again.numpy()[inside].mean()), 3)


def unavailable_metrics() -> dict[str, str]:
    """The measures that cannot be taken on this machine, with the reason and the remedy."""
    why = dict(measures()[1])
    try:
        _network()
    except ModelError as error:
        why["recall"] = str(error)
    return why


def shrink_to_protocol(picture: Pixels) -> Pixels:
    """A picture [H, W, 3] uint8 with at most 1024 px on its longer side."""
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.array(image)


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of the same shape, dB; 100 where they are equal."""
    return min(100.0, 10 * float(np.log10(255**2 / max(squared_error(a, b), 1e-12))))


def squared_error(a: Pixels, b: Pixels) -> float:
    """Mean squared difference of two uint8 arrays of the same shape, squared 8-bit levels."""
    return float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))


def ssim_map(a: Pixels, b: Pixels) -> Pixels:
    """Structural similarity at every pixel (Wang et al., 2004) of the luma of two [H, W, 3] uint8 pictures."""
    x, y = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) for image in (a, b))

    def blur(values: Pixels) -> Pixels:
        blurred: Pixels = cv2.GaussianBlur(values, (11, 11), 1.5)
        return blurred

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    similarity: Pixels = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similarity


def keypoints(picture: Pixels) -> Keypoints:
    """XFeat's keypoints of a picture [H, W, 3] uint8 sRGB.

    Raises:
        ModelError: XFeat's weights are not installed.
    """
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
    found = _network().detectAndCompute(pixels)[0]
    return Keypoints(found["keypoints"], found["descriptors"])


def _box(hole: Pixels) -> tuple[slice, slice]:
    """Rows and columns of the hole's bounding box, 64 px at least where the picture has them."""
    left, top, width, height = cv2.boundingRect(hole.astype(np.uint8))
    return _span(top, height, hole.shape[0]), _span(left, width, hole.shape[1])


def _span(start: int, length: int, limit: int) -> slice:
    longer = min(max(length, _SMALLEST), limit)
    first = min(max(0, start - (longer - length) // 2), limit - longer)
    return slice(first, first + longer)


@cache
def _network() -> Any:
    return load_xfeat(_KEYPOINTS)
