"""Strokes become exactly the pixels that they cover."""

from pathlib import Path

import numpy as np
import pytest

from realfill.core.errors import MaskError
from realfill.review.decisions import Stroke
from realfill.review.mask_edits import draw_strokes, is_kept, keep_mask, read_repainted

EMPTY = np.zeros((60, 80), np.uint8)
BASE = "0" * 64


def stroke(tool: str, *points: tuple[float, float], radius: float = 0, erase: bool = False) -> Stroke:
    return Stroke.model_validate({"tool": tool, "points": points, "radius": radius, "erase": erase, "base": BASE})


def test_a_brush_draws_a_line_of_round_ends() -> None:
    mask = draw_strokes(EMPTY, [stroke("brush", (20, 30), (40, 30), radius=5)])
    assert mask[30, 20:41].all()
    assert mask[30, 15] == 255
    assert mask[30, 14] == 0
    assert mask[25, 30] == mask[35, 30] == 255
    assert mask[37, 30] == 0
    dot = draw_strokes(EMPTY, [stroke("brush", (10, 10), radius=0.5)])
    assert 1 <= (dot > 0).sum() <= 5


def test_edges_are_reached_and_nothing_beyond_matters() -> None:
    mask = draw_strokes(EMPTY, [stroke("brush", (-50, 0), (500, 0), radius=3), stroke("brush", (79, 59), radius=0)])
    assert mask[0].all()
    assert mask[59, 79] == 255
    everything = draw_strokes(EMPTY, [stroke("polygon", (-9, -9), (900, -9), (900, 900), (-9, 900))])
    assert everything.all()


def test_erasing_growing_and_shrinking() -> None:
    square = stroke("polygon", (20, 20), (40, 20), (40, 40), (20, 40))
    grown = draw_strokes(EMPTY, [square, stroke("grow", radius=4)])
    assert (grown[30, 16], grown[30, 15]) == (255, 0)
    shrunk = draw_strokes(EMPTY, [square, stroke("grow", radius=4, erase=True)])
    assert (shrunk[30, 24], shrunk[30, 23]) == (255, 0)
    assert not draw_strokes(EMPTY, [square, stroke("brush", (30, 30), radius=40, erase=True)]).any()
    assert not EMPTY.any(), "the base stays"


def test_masks_are_kept_by_their_pixels(tmp_path: Path) -> None:
    mask = draw_strokes(EMPTY, [stroke("brush", (30, 30), radius=9)])
    name = keep_mask(mask, tmp_path)
    assert keep_mask(mask, tmp_path) == name
    assert is_kept(mask, tmp_path)
    assert not is_kept(EMPTY, tmp_path)
    assert (read_repainted(name, [], tmp_path) == mask).all()
    with pytest.raises(MaskError, match="not there any more"):
        read_repainted(BASE, [], tmp_path)
