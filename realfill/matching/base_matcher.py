"""What every matcher of two photos has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from realfill.matching.correspondences import Matches

if TYPE_CHECKING:
    import torch

Features = TypeVar("Features")


class Matcher(ABC, Generic[Features]):
    """Matches two photos by features that are extracted from each photo once.

    A matcher runs on the CPU and keeps no state between calls, so one instance serves a whole process. Equal photos
    give equal matches.

    Attributes:
        name: As in `rank.matcher`.
    """

    name: str

    @abstractmethod
    def extract_features(self, image: np.ndarray) -> Features:
        """Extract what matching needs to know of a photo [H, W, 3] uint8 sRGB."""

    @abstractmethod
    def match(self, features0: Features, features1: Features) -> Matches:
        """Match two photos by their features."""

    def match_images(self, image0: np.ndarray, image1: np.ndarray) -> Matches:
        """Match two photos, each [H, W, 3] uint8 sRGB."""
        return self.match(self.extract_features(image0), self.extract_features(image1))


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of a photo and their descriptors.

    Attributes:
        points: (x, y) in pixels, float32 [N, 2]; the center of the first pixel is at (0, 0).
        descriptors: float32 [N, D].
        size: Width and height of the photo, pixels.
    """

    points: torch.Tensor
    descriptors: torch.Tensor
    size: tuple[int, int]


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Give every operation of PyTorch one thread inside the block, where photos have a thread each.

    The results do not depend on the number of cores then.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def to_network_input(image: np.ndarray) -> torch.Tensor:
    """Convert a photo [H, W, 3] uint8 to [1, 3, H', W'] float32 in 0..1.

    Its right and lower edges are repeated until both sides are multiples of 32, which XFeat and ALIKED need: XFeat
    resamples pictures of other sizes.
    """
    import torch
    from torch.nn import functional

    height, width = image.shape[:2]
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255  # [1, 3, H, W]
    return functional.pad(pixels, (0, -width % 32, 0, -height % 32), mode="replicate")


def to_matches(points0: torch.Tensor, points1: torch.Tensor, confidence: torch.Tensor) -> Matches:
    """Convert points [N, 2], [N, 2] and confidences [N] to float32 arrays."""
    return Matches(*(tensor.detach().float().numpy().copy() for tensor in (points0, points1, confidence)))
