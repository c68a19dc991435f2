"""Black-and-white fills get the colors around them, and keep their structure."""

import cv2
import numpy as np
from skimage import data

from realfill.compositing.colorization import colorize


def luma(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)[..., 0], int)


def test_a_gray_fill_gets_the_colors_around_it_and_keeps_its_luma() -> None:
    truth = cv2.resize(data.coffee(), (300, 200), interpolation=cv2.INTER_AREA)
    hole = np.zeros((200, 300), bool)
    hole[80:120, 100:160] = True
    gray = np.repeat(cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    filled = np.where(hole[..., None], gray, truth)
    colored = colorize(filled, hole)
    assert np.array_equal(colored[~hole], truth[~hole])
    errors = [np.abs(picture.astype(int) - truth)[hole].mean() for picture in (colored, filled)]
    assert errors[0] < errors[1] / 3
    assert np.abs(luma(colored) - luma(filled))[hole].mean() < 2


def test_nothing_around_gives_no_colors() -> None:
    picture = np.full((20, 30, 3), 90, np.uint8)
    assert colorize(picture, np.ones((20, 30), bool)) is picture
    assert colorize(picture, np.zeros((20, 30), bool)) is picture
