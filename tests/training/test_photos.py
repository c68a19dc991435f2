from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import photos
from photos import cut_crops, random_windows, read_sources, to_images


def test_every_photo_has_an_author_and_a_license() -> None:
    sources = read_sources()
    assert len(sources) == 78
    assert all(source["author"] and source["license"] for source in sources)
    assert sum(bool(source.get("heldout")) for source in sources) == 5
    assert not any("motorcycle" in source["path"] for source in sources), "the demo is not trained on"


def test_photos_are_cut_from_details_to_whole_and_some_are_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package").mkdir()
    sources = [{"package": "package", "path": name} for name in ("a.png", "b.png")]
    for source in sources:
        Image.fromarray(data.astronaut()).save(tmp_path / "package" / source["path"])
    monkeypatch.setattr(photos, "read_sources", lambda: [sources[0], sources[1] | {"heldout": True}])
    training, heldout = cut_crops(tmp_path, crops_per_octave=6, seed=0)
    assert (len(training), len(heldout)) == (12, 8)
    assert {crop.shape for crop in training} == {(256, 256, 3)}
    np.testing.assert_array_equal(cut_crops(tmp_path, crops_per_octave=6, seed=0)[0][3], training[3])
    assert not np.array_equal(training[0], training[1])


def test_windows_are_parts_of_the_images() -> None:
    images = torch.arange(2 * 8 * 8).reshape(2, 8, 8, 1)
    generator = torch.Generator().manual_seed(0)
    windows = random_windows(images, batch=20, side=3, generator=generator)
    assert windows.shape == (20, 3, 3, 1)
    assert bool((windows.diff(dim=2) == 1).all())
    assert bool((windows.diff(dim=1) == 8).all())
    assert len(windows[:, 0, 0, 0].unique()) > 10


def test_pixels_become_images_between_minus_one_and_one() -> None:
    images = to_images(torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 2, 1).expand(1, 1, 2, 3))
    assert images.shape == (1, 3, 1, 2)
    assert images[0, 0, 0].tolist() == [-1, 1]
