"""Film grain: noise like that in the flat parts of the canvas; `detail_transfer` adds it to the fill.

Gaussian noise with the measured power spectrum, after Galerne, Gousseau and Morel, "Random Phase Textures: Theory and
Synthesis", IEEE Transactions on Image Processing 2011; its strength depends on the brightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realfill.compositing.detail_sources import DetailSources, to_smooth_ycrcb
from realfill.core.failures import require_finite
from realfill.core.seeding import numpy_generator
from realfill.imaging.ops import resize, to_uint8


@dataclass(frozen=True)
class FilmGrainSettings:
    """Thresholds of `synthesize_film_grain`.

    Attributes:
        tile: Side of the tiles that grain is measured in, pixels of the canvas. Set by hand.
        levels: Number of equal brightness intervals for each of which a strength is measured. Set by hand.
        min_tiles: Fewest known tiles, and fewest flat tiles in a brightness interval, that suffice. Set by hand.
        flat_share: Share of the known tiles, those of least contrast, that count as flat. Set by hand.
        quiet_quantile: Quantile of the flat tiles' noise that is taken for the grain's strength: noisier ones may
            show texture. Set by hand.
        quiet_tolerance: Tiles up to this many times as noisy as the quantile give the spectrum. Set by hand.
        max_strength: Largest standard deviation of the grain, where 1 is the range of the pixel values. Set by hand.
    """

    tile: int = 16
    levels: int = 8
    min_tiles: int = 3
    flat_share: float = 0.25
    quiet_quantile: float = 0.1
    quiet_tolerance: float = 1.5
    max_strength: float = 0.03


@dataclass(frozen=True)
class _GrainModel:
    """Measured grain.

    Attributes:
        brightness: Where its strength was measured, [L] in 0..1, increasing.
        strength: Standard deviation there, [L, 3].
        kernel: Filter that gives white noise its spectrum, [15, 15] float32 of norm 1.
        mixing: Matrix that gives three independent channels its correlations, [3, 3] float32.
    """

    brightness: np.ndarray
    strength: np.ndarray
    kernel: np.ndarray
    mixing: np.ndarray

    def draw(self, height: int, width: int) -> np.ndarray:
        """Draw noise [h, w, 3] float32 of standard deviation 1; the same for the same size."""
        noise = numpy_generator("grain").standard_normal((height, width, 3), np.float32)
        filtered: np.ndarray = cv2.filter2D(noise, -1, self.kernel, borderType=cv2.BORDER_REFLECT) @ self.mixing
        return filtered


def synthesize_film_grain(
    fill: np.ndarray,
    box: tuple[slice, slice],
    sources: DetailSources,
    settings: FilmGrainSettings = FilmGrainSettings(),
) -> np.ndarray:
    """Draw noise like that in the flat parts of the canvas.

    Args:
        fill: [R, R, 3] float32 RGB in 0..1; its brightness decides the strength.
        box: Rows and columns of the window.
        sources: The canvas in the window.
        settings: Thresholds.

    Returns:
        [h, w, 3] float32, over the box; zero where the canvas shows too little to measure the grain.

    Raises:
        NumericalError: The measured spectrum or strength is not finite.
        np.linalg.LinAlgError: The correlations of the channels have no Cholesky factor.
    """
    height, width = (span.stop - span.start for span in box)
    model = _measure_grain(sources, settings)
    if model is None:
        return np.zeros((height, width, 3), np.float32)
    noise = model.draw(height, width)
    brightness = to_smooth_ycrcb(to_uint8(fill), sources.settings)[..., 0] / np.float32(255)  # [R, R]
    side = sources.window.side
    for channel in range(3):
        strength = np.interp(brightness, model.brightness, model.strength[:, channel]).astype(np.float32)
        noise[..., channel] *= resize(strength, side, side)[box]
    require_finite(grain=noise)
    return np.asarray(noise)


def _measure_grain(sources: DetailSources, settings: FilmGrainSettings) -> _GrainModel | None:
    """Measure the grain of the canvas in the window; None where it shows too little."""
    fine, brightness = _flat_tiles(sources, settings)  # [T, 16, 16, 3], [T]
    fine = fine - fine.mean(axis=(1, 2), keepdims=True)
    strength = fine.std(axis=(1, 2))  # [T, 3]
    level = np.minimum(brightness * settings.levels, settings.levels - 1).astype(int)  # [T]
    measured = [k for k in range(settings.levels) if (level == k).sum() >= settings.min_tiles]
    if not measured:
        return None
    strengths = [np.quantile(strength[level == k], settings.quiet_quantile, axis=0) for k in measured]
    total = strength.sum(axis=1)
    quiet = total <= settings.quiet_tolerance * np.quantile(total, settings.quiet_quantile)
    unit = fine[quiet] / np.maximum(strength[quiet], 1e-6)[:, None, None]
    return _GrainModel(
        (np.array(measured) + 0.5) / settings.levels,
        np.minimum(strengths, settings.max_strength),
        _spectrum_kernel(unit),
        _color_mixing(unit),
    )


def _flat_tiles(sources: DetailSources, settings: FilmGrainSettings) -> tuple[np.ndarray, np.ndarray]:
    """Cut the flattest known tiles from the canvas: their detail [T, 16, 16, 3] and mean brightness [T], in 0..1."""
    reach = 2 * int(np.ceil(sources.scale)) + 1  # pixels whose detail depends on the hole
    unknown = cv2.dilate(sources.unknown.astype(np.uint8), np.ones((reach, reach)))
    known = _cut_tiles(unknown, settings.tile).max(axis=(1, 2)) == 0
    if known.sum() < settings.min_tiles:
        return np.zeros((0, settings.tile, settings.tile, 3), np.float32), np.zeros(0, np.float32)
    fine = _cut_tiles(sources.extract_detail(sources.canvas), settings.tile)[known]
    gray = cv2.cvtColor(sources.canvas, cv2.COLOR_RGB2GRAY)
    gray = _cut_tiles(gray, settings.tile)[known] / np.float32(255)  # [T, 16, 16]
    contrast = (gray - fine.mean(axis=3)).std(axis=(1, 2))  # [T], of what is coarser than a cell
    flat = contrast <= np.quantile(contrast, settings.flat_share)
    return fine[flat], gray[flat].mean(axis=(1, 2))


def _spectrum_kernel(tiles: np.ndarray) -> np.ndarray:
    """Make the filter that gives white noise the tiles' spectrum, the same along rows and columns.

    Args:
        tiles: [T, 16, 16, 3].

    Returns:
        [15, 15] float32 of norm 1, so that it keeps the noise's standard deviation.
    """
    side = tiles.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = (np.abs(np.fft.fft2(tiles * window[..., None], axes=(1, 2))) ** 2).mean(axis=(0, 3))  # [16, 16]
    kernel = np.fft.fftshift(np.fft.ifft2(np.sqrt(power + power.T)).real)[1:, 1:]
    kernel *= np.hanning(side + 1)[1:-1, None] * np.hanning(side + 1)[1:-1]
    return np.asarray(kernel / np.maximum(np.linalg.norm(kernel), 1e-9), np.float32)


def _color_mixing(tiles: np.ndarray) -> np.ndarray:
    """Make the matrix that gives three independent channels the correlations of tiles [T, 16, 16, 3], [3, 3] float32.

    It is the Cholesky factor of the correlation matrix.
    """
    values = tiles.reshape(-1, 3).astype(np.float64)
    covariance = values.T @ values + 1e-6 * np.eye(3)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    return np.asarray(np.linalg.cholesky(correlation + 1e-6 * np.eye(3)).T, np.float32)


def _cut_tiles(image: np.ndarray, tile: int) -> np.ndarray:
    """Cut [h, w, ...] into [T, tile, tile, ...]; the rest at the right and at the bottom is dropped."""
    rows, columns = (side // tile for side in image.shape[:2])
    blocks = image[: rows * tile, : columns * tile].reshape(rows, tile, columns, tile, *image.shape[2:])
    return np.moveaxis(blocks, 2, 1).reshape(rows * columns, tile, tile, *image.shape[2:])
