"""Opening an album folder, and what is said if it does not follow the layout."""

from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.core.errors import AlbumError


def test_an_album_in_the_layout_is_opened(album_folder: Path) -> None:
    album = open_album(album_folder)
    assert (album.name, album.target.name) == ("motorcycle", "target.png")
    assert [path.name for path in album.references] == ["0.png", "1.png", "2.png"]
    assert album.mask is not None
    assert album.ground_truth is not None


@pytest.mark.parametrize("missing", ["target", "ref"])
def test_what_is_missing_is_told_with_where_to_put_it(album_folder: Path, missing: str) -> None:
    for path in (album_folder / missing).iterdir():
        path.unlink()
    with pytest.raises(AlbumError, match=f"Put .*{missing}/"):
        open_album(album_folder)


def test_two_targets_are_an_error(album_folder: Path) -> None:
    (album_folder / "target" / "target.jpg").write_bytes(b"")
    with pytest.raises(AlbumError, match=r"target.jpg, target.png"):
        open_album(album_folder)


def test_a_link_out_of_the_album_is_refused(album_folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (album_folder / "ref" / "x.png").symlink_to(secret)
    with pytest.raises(AlbumError, match="copy of the photo"):
        open_album(album_folder)


@pytest.mark.parametrize("name", ["a\nb", "a<b>", 'a"b', "a|b"])
def test_names_that_cannot_be_used_everywhere_are_refused(album_folder: Path, name: str) -> None:
    renamed = album_folder.rename(album_folder.with_name(name))
    with pytest.raises(AlbumError, match="Rename it"):
        open_album(renamed)


def test_a_name_that_is_too_long_is_refused(album_folder: Path) -> None:
    with pytest.raises(AlbumError, match="Rename it"):
        open_album(album_folder.rename(album_folder.with_name("a" * 201)))


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlbumError, match="no such folder"):
        open_album(tmp_path / "missing")


def test_other_files_among_the_references_are_listed(album_folder: Path) -> None:
    ref = album_folder / "ref"
    for name in ("notes.txt", "scan.GIF", "Thumbs.db", "desktop.ini", ".hidden", ".hidden.jpg"):
        (ref / name).write_bytes(b"")
    album = open_album(album_folder)
    assert [path.name for path in album.unrecognized_files] == ["notes.txt", "scan.GIF"]
    assert [path.name for path in album.references] == ["0.png", "1.png", "2.png"]


def test_suffixes_in_capitals_are_those_of_photos(album_folder: Path) -> None:
    (album_folder / "ref" / "0.png").rename(album_folder / "ref" / "0.PNG")
    assert open_album(album_folder).references[0].name == "0.PNG"
