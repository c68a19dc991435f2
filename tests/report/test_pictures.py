"""Pictures of holes and authenticity maps, and how pictures are saved."""

import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from realfill.album.schemas import AuthenticityClass
from realfill.report.pictures import (
    AUTHENTICITY_COLORS,
    OverlaySettings,
    colorize_authenticity,
    draw_hatched,
    save_picture,
)


def test_the_hole_is_hatched_and_nothing_else() -> None:
    canvas = np.full((200, 300, 3), 77, np.uint8)
    mask = np.zeros((200, 300), np.uint8)
    mask[50:150, 100:200] = 255
    shown = draw_hatched(canvas, mask)
    assert (shown[mask == 0] == 77).all()
    assert len(np.unique(shown[mask > 0], axis=0)) == 2


def test_stripes_are_wider_in_large_photos() -> None:
    def stripe(width: int) -> int:
        row = draw_hatched(np.zeros((1, width, 3), np.uint8), np.full((1, width), 255, np.uint8))[0, :, 0]
        return int(np.flatnonzero(row != row[0])[0])

    assert (stripe(300), stripe(3000)) == (8, 30)


def test_the_layer_is_transparent_outside_the_hole_and_has_a_color_for_each_class() -> None:
    classes = np.array([[0, *AuthenticityClass]], np.uint8)
    layer = colorize_authenticity(classes, np.array([[0, 255, 255, 255]], np.uint8))
    assert layer.shape == (1, 4, 4)
    assert (layer[0, :, 3] > 0).tolist() == [False, True, True, True]
    assert [tuple(color) for color in layer[0, 1:, :3].tolist()] == list(AUTHENTICITY_COLORS.values())
    assert len(set(AUTHENTICITY_COLORS.values())) == len(AuthenticityClass)


def test_the_legend_has_the_colors_of_the_map() -> None:
    style = (files("realfill.report") / "templates" / "style.css").read_text(encoding="utf-8")
    for entry, color in AUTHENTICITY_COLORS.items():
        match = re.search(rf"^\.{entry.key} {{ --swatch: rgb\((\d+) (\d+) (\d+)\); }}$", style, re.MULTILINE)
        assert match is not None, entry.key
        assert tuple(int(value) for value in match.groups()) == color


@pytest.mark.parametrize(("name", "channels"), [("a.jpg", 3), ("a.png", 4)])
def test_pictures_are_shrunk_and_never_enlarged(tmp_path: Path, name: str, channels: int) -> None:
    pixels = np.zeros((30, 60, channels), np.uint8)
    for max_side, expected in ((20, (20, 10)), (60, (60, 30)), (100, (60, 30))):
        picture = save_picture(pixels, tmp_path / name, max_side=max_side, jpeg_quality=85)
        assert (picture.source, picture.width, picture.height) == (name, *expected)
        with Image.open(tmp_path / name) as image:
            assert image.size == expected


def test_the_opacity_of_the_map_is_a_setting() -> None:
    filled = np.full((1, 1), 255, np.uint8)
    layer = colorize_authenticity(filled, filled, OverlaySettings(opacity=9))
    assert layer[0, 0, 3] == 9
