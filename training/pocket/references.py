"""What aligned references show of a photo when they are placed on it: mostly the photo, with typical errors.

The errors are those that `align` makes (wrong depths, seams between references, things in the way, other light), and
flat patches as in GeoComplete (arXiv 2510.03110), so that a model learns both to trust references and to mend them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from holes import draw_blobs, draw_boxes, draw_events, draw_noise, draw_uniform
from networks import IMAGE_SIZE

SHIFT = 6.0  # pixels, root mean square of the largest smooth displacement; most are much smaller
SECOND_SHIFT = 1.5  # pixels, of a second reference against the first
STEREO_ERROR = (2.0, 12.0)  # pixels by which a patch of wrong depth is off
FITTING_SHARE = (
    0.4  # of the references, has the photo's light and place, as where they are shown around the hole, too
)
ERROR_SHARE = 0.7  # of the references, have wrong depths, flat patches or something in the way
EDGE = 0.9  # quantile of the gradient from which a pixel is at an edge
KNOWN_SAMPLES = 4096  # pixels that a quantile is taken of


@dataclass(frozen=True)
class PlacedReferences:
    """Placed references of a batch of photos.

    Attributes:
        images: [B, 3, 256, 256] in [-1, 1]; 0, middle gray, where no reference shows anything.
        known: [B, 1, 256, 256] bool, where one does.
        shift: [B, 2, 256, 256] (x, y) pixels, the smooth displacement, which can be seen only at the rim of a hole.
    """

    images: Tensor
    known: Tensor
    shift: Tensor


def place_references(images: Tensor, generator: torch.Generator) -> PlacedReferences:
    """Draw what references show of photos [B, 3, 256, 256] in [-1, 1]."""
    count = len(images)
    fits = draw_events(count, FITTING_SHARE, generator)
    shift = torch.where(fits, 0, _draw_shift(count, SHIFT, generator))
    second = draw_blobs(count, 4, 0.7, 0.4, generator)
    has_errors = draw_events(count, ERROR_SHARE, generator)
    offset = torch.where(second, _draw_shift(count, SECOND_SHIFT, generator), 0)
    offset = offset + has_errors * _draw_stereo_errors(images, generator)
    shown = warp(images, shift + offset)
    shown = torch.where(has_errors & draw_blobs(count, 6, 0.15, 0.3, generator), shown.roll(1, 0), shown)
    shown = torch.where(second, _change_light(shown, 0.3, generator), shown)
    shown = _degrade(torch.where(fits, shown, _change_light(shown, 1.0, generator)), generator)
    patches = has_errors & draw_boxes(count, (1, 3), (0.03, 0.2), generator) & draw_events(count, 0.25, generator)
    shown = torch.where(patches, _draw_flat(count, generator), shown)
    missing = draw_blobs(count, 10, 0.3, 0.7, generator) | draw_blobs(count, 4, 0.8, 0.2, generator)
    return PlacedReferences(torch.where(missing, 0, shown), ~missing, shift)


def warp(images: Tensor, shift: Tensor) -> Tensor:
    """Sample images [B, 3, 256, 256] at each pixel's position plus a shift [B, 2, 256, 256] (x, y) in pixels."""
    axis = torch.arange(IMAGE_SIZE, device=images.device) + 0.5
    position = torch.stack(torch.meshgrid(axis, axis, indexing="xy")) + shift  # [B, 2, 256, 256]
    grid = (position * (2 / IMAGE_SIZE) - 1).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, "bicubic", "reflection", align_corners=False).clamp(-1, 1)


def fill_gaps(references: PlacedReferences, images: Tensor, generator: torch.Generator) -> Tensor:
    """References [B, 3, 256, 256] without gaps, as sampling starts from them: filled smoothly, or with other content.

    Args:
        references: The references.
        images: The photos, whose other places fill half of the gaps, as patches of the album do.
        generator: Source of the draws.
    """
    known = references.known.float()
    weights, colors = F.avg_pool2d(known, 16), F.avg_pool2d(references.images * known, 16)
    for _ in range(8):  # so that gaps of up to 256 pixels are reached
        weights, colors = (values + 1e-2 * F.avg_pool2d(values, 3, 1, 1) for values in (weights, colors))
    smooth = F.interpolate(colors / weights.clamp(min=1e-30), scale_factor=16, mode="bilinear").clamp(-1, 1)
    rows, columns = torch.randint(16, 80, (2,), generator=generator, device=generator.device).tolist()
    other = images.roll((rows, columns), (2, 3))
    filled = torch.where(draw_events(len(images), 0.5, generator), smooth, other)
    return torch.where(references.known, references.images, filled)


def _draw_shift(count: int, largest: float, generator: torch.Generator) -> Tensor:
    """A smooth displacement [B, 2, 256, 256] in pixels; its size is a square of a uniform number."""
    size = largest * draw_uniform((count, 1, 1, 1), 0, 1, generator).square()
    mix = draw_uniform((count, 1, 1, 1), 0, 1, generator)
    noise = mix.sqrt() * draw_noise(count, 2, 3, generator) + (1 - mix).sqrt() * draw_noise(count, 2, 8, generator)
    return size * noise / 2**0.5


def _draw_stereo_errors(images: Tensor, generator: torch.Generator) -> Tensor:
    """Displacements [B, 2, 256, 256] in pixels of patches, and of strips along edges, whose depth is wrong."""
    count = len(images)
    gray = F.avg_pool2d(images.mean(1, keepdim=True), 5, 1, 2)
    gradient = F.pad(gray.diff(dim=2), (0, 0, 0, 1)).abs() + F.pad(gray.diff(dim=3), (0, 1)).abs()
    step = IMAGE_SIZE**2 // KNOWN_SAMPLES
    threshold = gradient.flatten(1)[:, ::step].quantile(EDGE, 1)[:, None, None, None]
    strips = F.max_pool2d((gradient > threshold).float(), 7, 1, 3) > 0
    regions = (
        draw_blobs(count, 9, 0.2, 0.5, generator),
        strips & draw_blobs(count, 5, 0.5, 0.5, generator),
        draw_boxes(count, (1, 4), (0.04, 0.15), generator) & draw_events(count, 0.3, generator),
    )
    offset = torch.zeros(count, 2, 1, 1, device=images.device)
    for region in regions:
        angle = draw_uniform((count, 1, 1, 1), 0, 2 * torch.pi, generator)
        length = draw_uniform((count, 1, 1, 1), *STEREO_ERROR, generator)
        offset = torch.where(region, length * torch.cat([angle.cos(), angle.sin()], 1), offset)
    return offset


def _change_light(images: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """Images [B, 3, 256, 256] with another gamma, gain, white balance, local light and haze.

    Args:
        images: In [-1, 1].
        most: The largest change; 1 = a deviation of 0.2 of gamma and gain. Most changes are much smaller.
        generator: Source of the draws.
    """
    count = len(images)
    size = most * draw_uniform((count, 1, 1, 1), 0, 1, generator)

    def draw(deviation: float, channels: int = 1) -> Tensor:
        normal = torch.randn(count, channels, 1, 1, generator=generator, device=generator.device)
        return size * deviation * normal

    local = size * 0.1 * draw_noise(count, 1, 4, generator)
    light = ((images + 1) / 2).clamp(1e-4, 1) ** draw(0.2).exp() * (draw(0.2) + draw(0.07, 3) + local).exp()
    veil = size * draw_uniform((count, 1, 1, 1), 0, 0.25, generator) * draw_events(count, 0.2, generator)
    return (torch.lerp(light, torch.full_like(light, 0.8), veil.expand_as(light)) * 2 - 1).clamp(-1, 1)


def _degrade(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images [B, 3, 256, 256] that are blurred by resampling, and noisy."""
    count = len(images)
    kernel = torch.tensor([0.06, 0.24, 0.4, 0.24, 0.06], device=images.device)  # Gaussian of sigma 1
    kernel = torch.outer(kernel, kernel).expand(3, 1, 5, 5)
    blurred = F.conv2d(F.pad(images, (2, 2, 2, 2), "reflect"), kernel, groups=3)
    blur = draw_uniform((count, 1, 1, 1), 0, 1, generator) * draw_events(count, 0.5, generator)
    deviation = 0.04 * draw_uniform((count, 1, 1, 1), 0, 1, generator).square()
    noise = deviation * torch.randn(images.shape, generator=generator, device=generator.device)
    return (torch.lerp(images, blurred, blur.expand_as(images)) + noise).clamp(-1, 1)


def _draw_flat(count: int, generator: torch.Generator) -> Tensor:
    """White, black or any color, [B, 3, 1, 1] in [-1, 1]."""
    color = draw_uniform((count, 3, 1, 1), -1, 1, generator)
    extreme = torch.where(draw_events(count, 0.7, generator), 1.0, -1.0)
    return torch.where(draw_events(count, 0.6, generator), extreme, color)
