from pathlib import Path

import pytest

from realfill.core.hashing import digest, digest_json

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing


def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert digest(tmp_path / "a") == EMPTY


def test_a_folders_digest_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = digest(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({before, renamed, digest(tmp_path)}) == 3


def test_a_folders_digest_does_not_follow_its_own_name_or_empty_folders(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "a").write_text("1")
    (tmp_path / "second" / "empty").mkdir()
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_a_values_digest_does_not_follow_the_order_of_keys() -> None:
    assert digest_json({"a": 1, "b": [2, None]}) == digest_json({"b": [2, None], "a": 1})
    assert digest_json({"a": 1}) != digest_json({"a": "1"})


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digest(tmp_path / "missing")
