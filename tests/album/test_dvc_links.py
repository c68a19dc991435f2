"""Photos that are links into DVC's cache, and links that only look like it."""

from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.album.dvc_links import is_cache_link
from realfill.core.errors import AlbumError
from support.libraries import write_tiny_album

OBJECT = Path("files", "md5", "01", "23456789abcdef0123456789abcdef")


def link_photo(album: Path, target: Path) -> Path:
    """Move an album's reference to another place, and put a link in its place."""
    photo = album / "ref" / "left.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    photo.rename(target)
    photo.symlink_to(target)
    return photo


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """An album in a DVC repository."""
    (tmp_path / "repository" / ".dvc").mkdir(parents=True)
    return write_tiny_album(tmp_path / "repository" / "albums" / "roof")


@pytest.mark.parametrize("prefix", ["files/md5", ""], ids=["DVC 3", "DVC 2"])
def test_a_photo_in_the_cache_of_its_repository_is_a_photo(album: Path, prefix: str) -> None:
    cache = album.parents[1] / ".dvc" / "cache"
    photo = link_photo(album, cache / prefix / Path(*OBJECT.parts[-2:]))
    assert open_album(album).references == (photo,)


def test_the_cache_may_lie_where_the_configuration_says(album: Path, tmp_path: Path) -> None:
    (album.parents[1] / ".dvc" / "config").write_text("[cache]\n    dir = ../../shared\n")
    photo = link_photo(album, tmp_path / "shared" / OBJECT)
    assert open_album(album).references == (photo,)


@pytest.mark.parametrize(
    "target",
    ["secret.png", ".dvc/cache/secret.png", ".dvc/tmp/files/md5/01/23456789abcdef0123456789abcdef", str(OBJECT)],
)
def test_any_other_link_out_of_the_album_is_refused(album: Path, target: str) -> None:
    link_photo(album, album.parents[1] / target)
    with pytest.raises(AlbumError, match="not a regular file inside the album"):
        open_album(album)


def test_an_album_cannot_bring_a_cache_of_its_own(album: Path, tmp_path: Path) -> None:
    (album / ".dvc").mkdir()
    (album / ".dvc" / "config").write_text(f"[cache]\n    dir = {tmp_path / 'elsewhere'}\n")
    link_photo(album, tmp_path / "elsewhere" / OBJECT)
    with pytest.raises(AlbumError, match="not a regular file inside the album"):
        open_album(album)


def test_an_object_that_is_a_link_itself_does_not_lead_out(album: Path, tmp_path: Path) -> None:
    cached = album.parents[1] / ".dvc" / "cache" / OBJECT
    photo = link_photo(album, cached)
    cached.rename(tmp_path / "secret.png")
    cached.symlink_to(tmp_path / "secret.png")
    with pytest.raises(AlbumError, match="not a regular file inside the album"):
        open_album(album)
    assert not is_cache_link(photo, album)


def test_a_link_whose_object_is_gone_is_still_one_of_the_cache(album: Path) -> None:
    cached = album.parents[1] / ".dvc" / "cache" / OBJECT
    photo = link_photo(album, cached)
    cached.unlink()
    assert is_cache_link(photo, album)
    assert not is_cache_link(album / "target" / "target.png", album)
