"""FIXME DOCSTRING."""

from __future__ import annotations

import cv2
import numpy as np

from realfill.compositing.detail_sources import DetailSources, luma_chroma
from realfill.core.seeding import numpy_generator
from realfill.imaging.ops import resize, to_uint8

_TILE = 16  # pixels, in which the grain is measured
_LEVELS = 8  # brightnesses at which the grain's strength is measured
_TILES = 3  # fewest tiles that tell it
_FLATTEST = 0.25  # share of the tiles that count as flat
_QUIET = 0.1  # share of the flat ones that show no texture
_GRAINIEST = 0.03  # no photo's grain is taken to be stronger, 0 to 1


def film_grain(fill: np.ndarray, box: tuple[slice, slice], album: DetailSources) -> np.ndarray:
    """Noise like that in the flat parts of the canvas, over a box of the window, [h, w, 3] float32."""
    height, width = (side.stop - side.start for side in box)
    reach = 2 * int(np.ceil(album.scale)) + 1
    known = _tiles(cv2.dilate(album.unknown.astype(np.uint8), np.ones((reach, reach)))).max(axis=(1, 2)) == 0
    if known.sum() < _TILES:
        return np.zeros((height, width, 3), np.float32)
    fine = _tiles(album.fine(album.own))[known]  # [T, 16, 16, 3]
    plain = _tiles(cv2.cvtColor(album.own, cv2.COLOR_RGB2GRAY))[known] / np.float32(255)  # [T, 16, 16]
    structure = (plain - fine.mean(axis=3)).std(axis=(1, 2))
    flat = structure <= np.quantile(structure, _FLATTEST)
    fine, light = fine[flat], plain[flat].mean(axis=(1, 2))
    fine = fine - fine.mean(axis=(1, 2), keepdims=True)
    strength = fine.std(axis=(1, 2))  # [T, 3]
    level = np.minimum(light * _LEVELS, _LEVELS - 1).astype(int)
    measured = [k for k in range(_LEVELS) if (level == k).sum() >= _TILES]
    if not measured:
        return np.zeros((height, width, 3), np.float32)
    told = [np.quantile(strength[level == k], _QUIET, axis=0) for k in measured]
    centres, strengths = (np.array(measured) + 0.5) / _LEVELS, np.minimum(told, _GRAINIEST)  # [L], [L, 3]
    brightness = luma_chroma(to_uint8(fill))[..., 0] / np.float32(255)
    quiet = strength.sum(axis=1) <= 1.5 * np.quantile(strength.sum(axis=1), _QUIET)
    unit = fine[quiet] / np.maximum(strength[quiet], 1e-6)[:, None, None]
    noise = numpy_generator("grain").standard_normal((height, width, 3), np.float32)
    noise = cv2.filter2D(noise, -1, _kernel(unit), borderType=cv2.BORDER_REFLECT) @ _mixing(unit)
    side = album.window.side
    for colour in range(3):
        strong = np.interp(brightness, centres, strengths[:, colour]).astype(np.float32)
        noise[..., colour] *= resize(strong, side, side)[box]
    return np.asarray(noise)


def _kernel(tiles: np.ndarray) -> np.ndarray:
    """What gives white noise the tiles' spectrum, alike across and down, [15, 15] float32; keeps its strength."""
    window = np.hanning(_TILE)[:, None] * np.hanning(_TILE)
    power = (np.abs(np.fft.fft2(tiles * window[..., None], axes=(1, 2))) ** 2).mean(axis=(0, 3))
    kernel = np.fft.fftshift(np.fft.ifft2(np.sqrt(power + power.T)).real)[1:, 1:]
    kernel *= np.hanning(_TILE + 1)[1:-1, None] * np.hanning(_TILE + 1)[1:-1]
    return np.asarray(kernel / np.maximum(np.linalg.norm(kernel), 1e-9), np.float32)


def _mixing(tiles: np.ndarray) -> np.ndarray:
    """What gives three independent colours the tiles' correlations, [3, 3] float32."""
    values = tiles.reshape(-1, 3).astype(np.float64)
    shared = values.T @ values + 1e-6 * np.eye(3)
    spread = np.sqrt(np.diag(shared))
    return np.asarray(np.linalg.cholesky(shared / np.outer(spread, spread) + 1e-6 * np.eye(3)).T, np.float32)


def _tiles(picture: np.ndarray) -> np.ndarray:
    """[h, w, ...] cut into [T, 16, 16, ...], what is left over at the right and below dropped."""
    down, across = (side // _TILE for side in picture.shape[:2])
    cut = picture[: down * _TILE, : across * _TILE].reshape(down, _TILE, across, _TILE, *picture.shape[2:])
    return np.moveaxis(cut, 2, 1).reshape(down * across, _TILE, _TILE, *picture.shape[2:])
