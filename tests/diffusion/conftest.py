"""Fixtures of the tests of the diffusion model: the tiny model, a picture with a hole, an album ready for tuning."""

from pathlib import Path

import numpy as np
import pytest

from realfill.album.layout import Album
from realfill.core.params import FinetuneParams, Params
from realfill.diffusion.base_model import BaseModel, load_base_model
from support.finished_album import finish


@pytest.fixture
def model(quick_params: Params) -> BaseModel:
    """The tiny random model, 64 px."""
    return load_base_model(quick_params.base)


@pytest.fixture
def scene(model: BaseModel) -> tuple[np.ndarray, np.ndarray]:
    """A random picture and a square hole in its middle, at the model's resolution."""
    side = model.resolution
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), bool)
    mask[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4] = True
    return image, mask


@pytest.fixture
def album(album_folder: Path) -> Album:
    """The small album with everything that tuning reads; it has three references."""
    return finish(album_folder)


@pytest.fixture
def finetune(quick_params: Params) -> FinetuneParams:
    """Parameters of a tuning that takes a second."""
    return quick_params.finetune
