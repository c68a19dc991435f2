from pathlib import Path

from realfill.album.discovery import open_album


def test_results_go_where_they_are_asked_to(album_folder: Path, tmp_path: Path) -> None:
    album = open_album(album_folder, tmp_path / "elsewhere")
    assert album.work("masks") == tmp_path / "elsewhere" / "work" / "masks"
    assert album.completed == tmp_path / "elsewhere" / "completed"


def test_results_lie_in_the_album_by_default(album_folder: Path) -> None:
    album = open_album(album_folder)
    assert album.work("masks") == album_folder / "work" / "masks"
    assert album.provenance == album_folder / "completed" / "motorcycle.json"
