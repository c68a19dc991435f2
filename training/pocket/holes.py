"""Random holes and random regions, batches of them at a time on the device of the generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from networks import IMAGE_SIZE

KINDS = (0.4, 0.2, 0.2, 0.15, 0.05)  # shares of boxes, bands at the borders, brush strokes, many small boxes, all
MAX_STROKES, MAX_SEGMENTS = 4, 8


def draw_holes(count: int, generator: torch.Generator) -> Tensor:
    """Holes [B, 1, 256, 256] float32, 1 = hole: boxes, bands at the borders, strokes, many small boxes, or all."""
    device = generator.device
    scattered = draw_boxes(count, (5, 29), (0.03, 0.25), generator)
    inverted = draw_events(count, 0.5, generator)
    holes = torch.stack(
        [
            draw_boxes(count, (1, 3), (0.15, 0.6), generator),
            _draw_bands(count, generator),
            _draw_strokes(count, generator),
            torch.where(inverted, ~scattered, scattered),
            torch.ones(count, 1, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.bool, device=device),
        ]
    )  # [5, B, 1, 256, 256]
    kinds = torch.multinomial(torch.tensor(KINDS, device=device), count, True, generator=generator)  # [B]
    chosen = holes[kinds, torch.arange(count, device=device)]
    is_empty = ~chosen.flatten(1).any(1)  # scattered boxes may cover everything, so that their inverse is empty
    return (chosen | is_empty[:, None, None, None]).float()


def draw_boxes(count: int, number: tuple[int, int], sides: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Unions of boxes, [B, 1, 256, 256] bool.

    Args:
        count: B.
        number: Fewest and most boxes of a union.
        sides: Shortest and longest side, as a share of the picture's.
        generator: Source of the draws.
    """
    fewest, most = number
    device = generator.device
    active = torch.randint(fewest, most + 1, (count, 1, 1), generator=generator, device=device)  # [B, 1, 1]
    size = draw_uniform((count, most, 2), *sides, generator)  # [B, N, 2]
    start = torch.rand(size.shape, generator=generator, device=device) * (1 - size)
    position = _positions(device)
    inside = (position >= start[..., None]) & (position < (start + size)[..., None])  # [B, N, 2, 256]
    inside = inside & (torch.arange(most, device=device)[:, None, None] < active[..., None])
    rows, columns = inside.float().unbind(2)  # [B, N, 256] each
    return (torch.einsum("bny,bnx->byx", rows, columns) > 0)[:, None]


def _draw_bands(count: int, generator: torch.Generator) -> Tensor:
    """Bands at one or two of the four borders, [B, 1, 256, 256] bool."""
    device = generator.device
    ranks = torch.rand(count, 4, generator=generator, device=device).argsort(1)
    active = ranks < torch.randint(1, 3, (count, 1), generator=generator, device=device)  # [B, 4]
    depths = draw_uniform((count, 4), 0.15, 0.45, generator) * active
    top, bottom, left, right = depths[..., None].unbind(1)  # [B, 1] each
    position = _positions(device)
    rows = (position < top) | (position >= 1 - bottom)  # [B, 256]
    columns = (position < left) | (position >= 1 - right)
    return (rows[:, :, None] | columns[:, None, :])[:, None]


def _draw_strokes(count: int, generator: torch.Generator) -> Tensor:
    """One to four brush strokes, [B, 1, 256, 256] bool."""
    device, shape = generator.device, (count, MAX_STROKES, MAX_SEGMENTS)
    turns = 0.8 * torch.randn(shape, generator=generator, device=device)
    turns[..., 0] += draw_uniform(shape[:2], 0, 2 * torch.pi, generator)
    angles = turns.cumsum(2)
    steps = draw_uniform(shape, 15, 60, generator)[..., None] / IMAGE_SIZE
    path = (steps * torch.stack([angles.cos(), angles.sin()], -1)).cumsum(2)
    path = path + torch.rand(count, MAX_STROKES, 1, 2, generator=generator, device=device)  # [B, S, K, 2] (x, y)
    radii = draw_uniform(shape[:2], 6, 25, generator) / IMAGE_SIZE  # [B, S]
    strokes = torch.randint(1, MAX_STROKES + 1, (count,), generator=generator, device=device)
    corners = torch.randint(3, MAX_SEGMENTS + 1, shape[:2], generator=generator, device=device)
    covered = torch.zeros(count, IMAGE_SIZE, IMAGE_SIZE, dtype=torch.bool, device=device)
    for stroke in range(MAX_STROKES):
        for corner in range(1, MAX_SEGMENTS):
            distance = _distance(path[:, stroke, corner - 1], path[:, stroke, corner])
            active = (stroke < strokes) & (corner < corners[:, stroke])
            covered |= (distance < radii[:, stroke, None, None]) & active[:, None, None]
    return covered[:, None]


def _distance(start: Tensor, end: Tensor) -> Tensor:
    """Distance [B, 256, 256] of all pixels to segments from [B, 2] to [B, 2], as a share of the picture's side."""
    position = _positions(start.device)
    x, y = position[None, None, :] - start[:, 0, None, None], position[None, :, None] - start[:, 1, None, None]
    dx, dy = (end - start)[..., None, None].unbind(1)  # [B, 1, 1] each
    along = ((x * dx + y * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return torch.hypot(x - along * dx, y - along * dy)


def depth_in_hole(holes: Tensor, limit: int) -> Tensor:
    """Chessboard distance to the rim, [B, 1, 256, 256] pixels, up to a limit, in steps of 4; 0 outside of holes."""
    known = F.max_pool2d(1 - holes, 4)  # [B, 1, 64, 64]
    depth = torch.zeros_like(known)
    for _ in range(limit // 4):
        depth += 4 * (1 - known)
        known = F.max_pool2d(known, 3, 1, 1)
    return F.interpolate(depth, scale_factor=4, mode="bilinear") * holes


def draw_noise(count: int, channels: int, nodes: int, generator: torch.Generator) -> Tensor:
    """Smooth noise [B, C, 256, 256] of about unit variance: Gaussian on nodes x nodes points, interpolated."""
    coarse = torch.randn(count, channels, nodes, nodes, generator=generator, device=generator.device)
    noise = F.interpolate(coarse, (IMAGE_SIZE, IMAGE_SIZE), mode="bicubic", align_corners=True)
    return noise / noise.std((2, 3), keepdim=True)


def draw_blobs(count: int, nodes: int, max_share: float, probability: float, generator: torch.Generator) -> Tensor:
    """Blobs that cover up to a share of the picture, in some of the pictures, [B, 1, 256, 256] bool."""
    noise = draw_noise(count, 1, nodes, generator)
    noise = noise - noise.mean((2, 3), keepdim=True)
    share = draw_uniform((count, 1, 1, 1), 1e-3, max_share, generator)
    return (noise > torch.special.ndtri(1 - share)) & draw_events(count, probability, generator)


def draw_uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform numbers between two bounds."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def draw_events(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """Whether something happens to each picture, [B, 1, 1, 1] bool."""
    return torch.rand(count, 1, 1, 1, generator=generator, device=generator.device) < probability


def _positions(device: torch.device) -> Tensor:
    """Centers of the pixels along a side of the picture, [256], 0 to 1."""
    return (torch.arange(IMAGE_SIZE, device=device) + 0.5) / IMAGE_SIZE
