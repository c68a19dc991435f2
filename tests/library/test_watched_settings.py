"""The settings of a library's album: DVC finds every key that it watches in them."""

from pathlib import Path

import pytest
import yaml

from realfill.cli.options import AlbumOptions
from realfill.core.errors import ParamsError
from realfill.core.params import load_params
from realfill.library.repository import Library
from realfill.library.staleness import FreshnessCache
from realfill.library.watched_settings import (
    WATCHED_KEYS,
    complete_params,
    complete_settings,
    read_settings_values,
)


@pytest.mark.parametrize(
    "text", [None, "", "# only a comment", "# one\n\n---\n# two\n", "{}\n", "~ # nothing\n", "\ufeff"]
)
def test_a_file_without_keys_counts_as_no_settings(library: Library, text: str | None) -> None:
    path = library.folder("first") / "album.yaml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert FreshnessCache.read(library).is_up_to_date("first"), "DVC finds nothing to do"
    assert yaml.safe_load(path.read_text()) == dict.fromkeys(WATCHED_KEYS)
    comments = [line for line in (text or "").splitlines() if line.startswith("#")]
    assert all(comment in path.read_text() for comment in comments)
    assert library.album("first").settings.overrides == {}


def test_keys_that_are_missing_are_added_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "album.yaml"
    text = "profile: quick  # for now\nblend:\n  feather: 3"
    path.write_text(text)
    complete_settings(tmp_path)
    assert path.read_text().startswith(f"{text}\nboxes:\n")
    assert read_settings_values(tmp_path) == dict.fromkeys(WATCHED_KEYS) | {
        "profile": "quick",
        "blend": {"feather": 3},
    }
    before = path.stat().st_ino
    complete_settings(tmp_path)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("text", ["", "blend:\n", "blend:\n  feather: 3  # wide\n", "blend: {feather: 3}\n"])
def test_values_of_params_that_are_missing_are_added(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"# Ours.\n{text}rank: {{matcher: sift}}\n")
    complete_params(tmp_path)
    params = load_params(path)
    assert yaml.safe_load(path.read_text())["blend"]["generate"] == params.blend.generate == "auto"
    assert params.blend.feather == (3 if "feather" in text else 1)
    assert params.rank.matcher == "sift"
    before = path.read_text()
    assert "# Ours." in before
    assert ("# wide" in before) == ("# wide" in text)
    complete_params(tmp_path)
    assert path.read_text() == before


def test_what_holds_for_the_library_is_refused_in_an_album(library: Library) -> None:
    path = library.folder("first") / "album.yaml"
    path.write_text("blend: {generate: never}\n")
    album = library.album("first")
    for read in (lambda: library.params(album), lambda: AlbumOptions().open(album.root)):
        with pytest.raises(ParamsError, match=r"blend\.generate holds for all albums.*params\.yaml"):
            read()
    path.write_text("blend: {feather: 2}\n")
    assert library.params(library.album("first")).blend.feather == 2


@pytest.mark.parametrize(
    ("text", "told"), [("{profile: quick}\n", "Add them.*`boxes:`"), ("profile:\nprofile:\n", "Line 2.*second time")]
)
def test_a_file_that_cannot_be_edited_safely_is_left_alone(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "album.yaml").write_text(text)
    with pytest.raises(ParamsError, match=told):
        complete_settings(tmp_path)
    assert (tmp_path / "album.yaml").read_text() == text
