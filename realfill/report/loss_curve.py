"""The curve of the tuning loss, as coordinates of an SVG drawing."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class LossCurveSettings:
    """Size and detail of the drawing.

    Attributes:
        width: Of the drawing, SVG units. This and the other lengths were set by hand.
        height: Of the drawing.
        left: Left edge of the plot; the labels of the loss lie left of it.
        right: Right edge of the plot.
        top: Upper edge of the plot.
        bottom: Lower edge of the plot; the labels of the steps lie below it.
        max_points: Upper limit of points in a line: about two units each. Set by hand.
        mean_window: Steps that the running mean covers, as a share of all. Set by hand.
        ticks: Labeled heights, as shares of the greatest loss. Set by hand.
    """

    width: int = 800
    height: int = 240
    left: int = 50
    right: int = 790
    top: int = 10
    bottom: int = 210
    max_points: int = 400
    mean_window: float = 0.05
    ticks: tuple[float, ...] = (0, 0.5, 1)


@dataclass(frozen=True)
class Tick:
    """A labeled height of the plot.

    Attributes:
        y: Its height, SVG units.
        label: The loss.
    """

    y: float
    label: str


@dataclass(frozen=True)
class LossCurve:
    """A drawing of the loss.

    Attributes:
        steps: Number of steps with a finite loss.
        first: Loss of the first step, as text.
        last: Loss of the last step, as text.
        step_points: Loss of each step, as `points` of an SVG polyline.
        mean_points: Running mean of the loss, as `points` of an SVG polyline.
        ticks: The labeled heights.
        frame: Size of the drawing and of the plot.
    """

    steps: int
    first: str
    last: str
    step_points: str
    mean_points: str
    ticks: tuple[Tick, ...]
    frame: LossCurveSettings


def read_loss_curve(path: Path, settings: LossCurveSettings = LossCurveSettings()) -> LossCurve | None:
    """Read a log of the loss and draw it.

    Args:
        path: CSV file with the columns step, loss and lr.
        settings: Size and detail of the drawing.

    Returns:
        The drawing; None if there are fewer than two steps with a finite loss.
    """
    losses = _read_losses(path)
    if len(losses) < 2:
        return None
    last = len(losses) - 1
    steps = np.linspace(0, last, min(len(losses), settings.max_points)).round().astype(int)  # [N]
    greatest = max(float(losses.max()), 1e-9)
    plot_width, plot_height = settings.right - settings.left, settings.bottom - settings.top

    def points(values: np.ndarray) -> str:
        x = settings.left + plot_width * steps / last
        y = settings.bottom - plot_height * values[steps] / greatest
        return " ".join(f"{column:.1f},{row:.1f}" for column, row in zip(x, y, strict=True))

    return LossCurve(
        steps=len(losses),
        first=f"{losses[0]:.3g}",
        last=f"{losses[-1]:.3g}",
        step_points=points(losses),
        mean_points=points(_running_mean(losses, max(1, int(settings.mean_window * len(losses))))),
        ticks=tuple(
            Tick(settings.bottom - plot_height * share, f"{greatest * share:.2g}") for share in settings.ticks
        ),
        frame=settings,
    )


def _read_losses(path: Path) -> np.ndarray:
    """The finite losses in a log, [N] float64; empty without a log."""
    if not path.is_file():
        return np.empty(0)
    with path.open(encoding="utf-8", newline="") as file:
        losses = np.array([float(row["loss"]) for row in csv.DictReader(file)], np.float64)
    return losses[np.isfinite(losses)]


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of each value and up to `window - 1` values before it, [N]."""
    sums = np.cumsum(np.concatenate([[0.0], values]))  # [N + 1]
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    mean: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return mean
