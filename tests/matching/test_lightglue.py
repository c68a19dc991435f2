import pytest
import torch
from kornia.feature import LightGlue

from realfill.matching.base_matcher import Keypoints
from realfill.matching.lightglue import load_lightglue, match_keypoints


@pytest.mark.parametrize("features", ["aliked", "xfeat"])
def test_matches_are_those_of_the_library(features: str) -> None:
    library = LightGlue(None, **{**LightGlue.features[features], "weights": None}).eval()
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(60, 2, generator=generator) * 100
    descriptors = torch.randn(60, LightGlue.features[features]["input_dim"], generator=generator)
    photo0 = Keypoints(points, descriptors, (100, 100))
    photo1 = Keypoints(points[:50].flip(0), descriptors[:50].flip(0), (100, 100))
    ours = load_lightglue(features, dict(library.state_dict()))
    data = {
        f"image{number}": {
            "keypoints": photo.points[None],
            "descriptors": photo.descriptors[None],
            "image_size": torch.tensor([[100.0, 100.0]]),
        }
        for number, photo in enumerate((photo0, photo1))
    }
    with torch.inference_mode():
        expected, fused = library(data), ours(data)
    torch.testing.assert_close(fused["matching_scores0"], expected["matching_scores0"], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(fused["matches"][0], expected["matches"][0])
    assert len(match_keypoints(ours, photo0, photo1)) == len(expected["matches"][0])
