from pathlib import Path

import numpy as np

from realfill.geometry.camera import IntrinsicsPrior
from realfill.geometry.correspondence_graph import CorrespondenceGraph
from realfill.matching.correspondences import Matches

PRIORS = [
    IntrinsicsPrior(640, 480, (320, 240), focal=500.0, camera="a"),
    IntrinsicsPrior(1280, 960, (640, 480)),
    IntrinsicsPrior(640, 480, (320, 240)),
]


def matches(points0: list[list[float]], points1: list[list[float]]) -> Matches:
    return Matches(np.array(points0, np.float32), np.array(points1, np.float32), np.ones(len(points0), np.float32))


def build() -> CorrespondenceGraph:
    pairs = {
        (0, 1): matches([[10, 20], [30, 40]], [[20, 40], [60, 80]]),
        (1, 2): matches([[60, 80], [100, 100], [60, 80]], [[1, 2], [3, 4], [5, 6]]),
    }
    return CorrespondenceGraph.build(PRIORS, pairs, [1.0, 0.5, 1.0])


def test_a_point_that_occurs_in_several_matches_is_one_keypoint() -> None:
    graph = build()
    assert {photo: len(points) for photo, points in graph.keypoints.items()} == {0: 2, 1: 3, 2: 3}
    shared = graph.pairs[0, 1][1, 1]
    assert graph.pairs[1, 2][:, 0].tolist() == [shared, graph.pairs[1, 2][1, 0], shared]


def test_keypoints_are_counted_as_colmap_does_at_the_size_of_the_graph() -> None:
    graph = build()
    assert graph.keypoints[0][graph.pairs[0, 1][:, 0]].tolist() == [[10.5, 20.5], [30.5, 40.5]]
    assert graph.keypoints[1][graph.pairs[0, 1][:, 1]].tolist() == [[10.25, 20.25], [30.25, 40.25]]
    assert graph.priors[1] == IntrinsicsPrior(640, 480, (320, 240))


def test_a_graph_is_read_as_it_was_written(tmp_path: Path) -> None:
    graph = build()
    graph.write(tmp_path)
    read = CorrespondenceGraph.read(tmp_path)
    assert list(read.priors) == list(graph.priors)
    assert list(read.keypoints) == list(graph.keypoints)
    assert list(read.pairs) == list(graph.pairs)
    for photo, points in graph.keypoints.items():
        np.testing.assert_array_equal(read.keypoints[photo], points, strict=True)
    for pair, indices in graph.pairs.items():
        np.testing.assert_array_equal(read.pairs[pair], indices, strict=True)
