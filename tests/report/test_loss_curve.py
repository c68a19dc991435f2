"""The drawing of the tuning loss."""

from pathlib import Path

import numpy as np
import pytest

from realfill.report.loss_curve import LossCurveSettings, read_loss_curve


def write_log(path: Path, losses: np.ndarray) -> Path:
    path.write_text("step,loss,lr\n" + "".join(f"{i + 1},{loss},0.001\n" for i, loss in enumerate(losses)))
    return path


def test_fewer_than_two_steps_are_not_drawn(tmp_path: Path) -> None:
    log = tmp_path / "loss.csv"
    assert read_loss_curve(log) is None
    write_log(log, np.array([0.5]))
    assert read_loss_curve(log) is None


def test_the_curve_stays_inside_its_frame(tmp_path: Path) -> None:
    curve = read_loss_curve(write_log(tmp_path / "loss.csv", 1 / (1 + np.arange(1000) / 50)))
    assert curve is not None
    assert (curve.steps, curve.first) == (1000, "1")
    for line in (curve.step_points, curve.mean_points):
        points = np.array([point.split(",") for point in line.split()], float)
        assert len(points) <= 400
        assert (points[:, 0].min(), points[:, 0].max()) == (50, 790)
        assert points[:, 1].min() >= 10
        assert points[:, 1].max() <= 210
        assert points[-1, 1] > points[0, 1], "a falling loss falls in the drawing"


def test_steps_without_a_finite_loss_are_left_out(tmp_path: Path) -> None:
    curve = read_loss_curve(write_log(tmp_path / "loss.csv", np.array([4.0, np.nan, np.inf, 2.0])))
    assert curve is not None
    assert (curve.steps, curve.first, curve.last) == (2, "4", "2")
    assert [tick.label for tick in curve.ticks] == ["0", "2", "4"]


def test_the_mean_runs_over_the_steps_before(tmp_path: Path) -> None:
    settings = LossCurveSettings(mean_window=0.5, left=0, right=3, top=0, bottom=10)
    curve = read_loss_curve(write_log(tmp_path / "loss.csv", np.array([10.0, 0.0, 10.0, 0.0])), settings)
    assert curve is not None
    heights = [float(point.split(",")[1]) for point in curve.mean_points.split()]
    assert heights == pytest.approx([0, 5, 5, 5])
