"""Matches between references that are kept."""

from pathlib import Path

import numpy as np

from realfill.matching.correspondences import Matches
from realfill.matching.match_store import MatchStore

PHOTOS = (np.zeros((4, 6, 3), np.uint8), np.ones((4, 6, 3), np.uint8))
MATCHES = Matches(np.ones((3, 2), np.float32), np.zeros((3, 2), np.float32), np.ones(3, np.float32))


def test_what_was_matched_is_read(tmp_path: Path) -> None:
    MatchStore(tmp_path, "sift").keep(PHOTOS, (6, 6), MATCHES)
    read = MatchStore(tmp_path, "sift").read(PHOTOS, (6, 6))
    assert read is not None
    assert np.array_equal(read.points0, MATCHES.points0)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_photos_sides_and_methods_are_matched_anew(tmp_path: Path) -> None:
    MatchStore(tmp_path, "sift").keep(PHOTOS, (6, 6), MATCHES)
    for method, photos, sides in (
        ("aliked", PHOTOS, (6, 6)),
        ("sift", PHOTOS[::-1], (6, 6)),
        ("sift", PHOTOS, (6, 12)),
    ):
        assert MatchStore(tmp_path, method).read(photos, sides) is None


def test_a_damaged_file_is_made_again_and_no_matches_are_not_kept(tmp_path: Path) -> None:
    store = MatchStore(tmp_path, "sift")
    store.keep(PHOTOS, (6, 6), Matches.empty())
    assert not list(tmp_path.iterdir())
    store.keep(PHOTOS, (6, 6), MATCHES)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"half")
    assert store.read(PHOTOS, (6, 6)) is None
    store.keep(PHOTOS, (6, 6), MATCHES)
    assert store.read(PHOTOS, (6, 6)) is not None
