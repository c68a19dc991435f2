"""Opening an album folder, and what is said if it does not follow the layout."""

import errno
import os
from pathlib import Path

import pytest

from realfill.album.discovery import open_album
from realfill.core.errors import AlbumError, OutputError, ParamsError, RealFillError, TransientError


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
    with pytest.raises(AlbumError, match=f"Put .*{missing}/") as caught:
        open_album(album_folder)
    assert (".dng" in str(caught.value)) == (missing == "ref"), "a camera raw file can only be a reference"


def test_a_folder_of_albums_is_told_from_an_album(album_folder: Path) -> None:
    with pytest.raises(AlbumError, match=f"folder of albums.*{album_folder.parent.name}/\\*"):
        open_album(album_folder.parent)
    nested = album_folder / "target"
    nested.rename(album_folder / "photos")
    nested.mkdir()
    (album_folder / "photos").rename(nested / "target")
    with pytest.raises(AlbumError, match=r"no target photo"):
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
    for name in ("a" * 221, "日" * 74):
        album_folder = album_folder.rename(album_folder.with_name(name))
        with pytest.raises(AlbumError, match="Rename it"):
            open_album(album_folder)


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


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".HIF", ".heif", ".AVIF", ".PNG", ".dng", ".NEF", ".CR3"])
def test_cameras_and_programs_have_many_suffixes_for_photos(album_folder: Path, suffix: str) -> None:
    for name in ("ref/0", "target/target", "target/mask", "target/gt"):
        (album_folder / f"{name}.png").rename(album_folder / f"{name}{suffix}")
    album = open_album(album_folder)
    suffixes = [path and path.suffix for path in (album.target, album.mask, album.ground_truth, album.references[0])]
    assert suffixes == [suffix] * 4


@pytest.mark.parametrize("name", [b"M\xf6bel", b"\xff", b"a\x1b[2Jb", b"a\nb"])
def test_a_name_that_cannot_be_printed_is_refused_in_printable_words(album_folder: Path, name: bytes) -> None:
    renamed = album_folder.rename(album_folder.with_name(os.fsdecode(name)))
    with pytest.raises(AlbumError, match="Rename it") as caught:
        open_album(renamed)
    assert str(caught.value).encode().decode().isprintable()
    inner = renamed.parent / os.fsdecode(name) / "roof"
    renamed.rename(renamed.with_name("roof"))
    inner.parent.mkdir()
    (renamed.parent / "roof").rename(inner)
    with pytest.raises(AlbumError, match="rename the folders above it") as caught:
        open_album(inner)
    assert str(caught.value).encode().decode().isprintable()


@pytest.mark.parametrize(
    "link", ["work", "completed", "work/validate", "work/.done", "work/.lock", "work/.done/x.json"]
)
def test_results_are_never_written_through_a_link(album_folder: Path, tmp_path: Path, link: str) -> None:
    (album_folder / link).parent.mkdir(parents=True, exist_ok=True)
    (album_folder / link).symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="symbolic link") as caught:
        open_album(album_folder)
    assert caught.value.path == album_folder / link
    assert not (tmp_path / "victim").exists()
    assert open_album(album_folder, tmp_path / "out").out == tmp_path / "out"


def test_a_place_for_results_inside_the_album_does_not_lead_out_of_it(album_folder: Path, tmp_path: Path) -> None:
    (album_folder / "results").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="leads out of the album"):
        open_album(album_folder, album_folder / "results" / "motorcycle")
    assert open_album(album_folder, album_folder / ".." / "out").out == tmp_path / "out"


@pytest.mark.parametrize("kind", ["pipe", "device", "link out", "dangling link", "folder", "large"])
def test_settings_that_are_no_small_file_of_the_album_are_refused_at_once(
    album_folder: Path, tmp_path: Path, kind: str
) -> None:
    path = album_folder / "album.yaml"
    (tmp_path / "secret.yaml").write_text("export: {gps: keep}")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "large":
            path.write_text("#" * 1_000_001)
        case _:
            targets: dict[str, str | Path] = {
                "device": "/dev/zero",
                "link out": tmp_path / "secret.yaml",
                "dangling link": "nowhere",
            }
            path.symlink_to(str(targets[kind]))
    with pytest.raises(ParamsError) as caught:
        open_album(album_folder)
    assert caught.value.path == path


def test_an_album_that_cannot_be_read_is_told(album_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(TransientError, match=r"target: This cannot be read \(Permission denied\)"):
        open_album(album_folder)


@pytest.mark.parametrize(
    "name",
    [
        "Mo\u0308bel",
        "हिन्दी",
        "ไทยบ้าน",
        "می\u200cخواهم",
        "日本",
        "Ania’s roof",
        "roof #2",
        "100% real",
        "[summer] {2019}",
        "a;b & $HOME!",
    ],
)
def test_names_in_any_script_and_normal_form_are_allowed(album_folder: Path, name: str) -> None:
    assert open_album(album_folder.rename(album_folder.with_name(name))).name == name


@pytest.mark.parametrize("name", ["Mask.png", "MASK.PNG", "mask.PNG"])
def test_the_mask_is_known_in_letters_of_any_case(album_folder: Path, name: str) -> None:
    (album_folder / "target" / "mask.png").rename(album_folder / "target" / name)
    mask = open_album(album_folder).mask
    assert mask is not None and mask.name == name


@pytest.mark.parametrize("name", ["ref/loop.jpg", "target/mask.jpg", "album.yaml"])
def test_a_link_to_itself_is_refused(album_folder: Path, name: str) -> None:
    (album_folder / "target" / "mask.png").unlink()
    (album_folder / name).unlink(missing_ok=True)
    (album_folder / name).symlink_to(Path(name).name)
    with pytest.raises(RealFillError, match="not a regular file"):
        open_album(album_folder)


@pytest.mark.parametrize("name", ["album (1).yaml", "settings.yml", "params.yaml"])
def test_settings_under_another_name_are_told(album_folder: Path, name: str) -> None:
    (album_folder / name).write_text("export: {gps: strip}\n")
    ((path, reason),) = open_album(album_folder).stray_files
    assert path.name == name and "in album.yaml" in reason


def test_of_two_masks_the_newest_is_told(album_folder: Path) -> None:
    folder = album_folder / "target"
    for time, name in enumerate(("mask.png", "mask.jpg", "Mask.tif")):
        (folder / name).touch()
        os.utime(folder / name, (time, time if name != "mask.jpg" else 9))
    with pytest.raises(AlbumError, match=r"called mask: .*Keep one of them; mask\.jpg is the newest"):
        open_album(album_folder)


@pytest.mark.parametrize("name", ["mask.bmp", "Mask.gif", "mask.psd", "masks.bmp"])
def test_a_mask_that_cannot_be_read_is_not_passed_over(album_folder: Path, name: str) -> None:
    (album_folder / "target" / name).write_bytes(b"")
    with pytest.raises(AlbumError, match="Save it as target/mask.png"):
        open_album(album_folder)


def test_what_lies_where_nothing_is_read_is_told(album_folder: Path) -> None:
    strays = ("References", "refs", "album.txt", "scan.jpg", "target/mask (1).png", "target/old.psd")
    for name in strays:
        if "." in name:
            (album_folder / name).write_bytes(b"")
        else:
            (album_folder / name).mkdir()
    for name in ("dvc.yaml", "notes.txt", "target/target.png.xmp", ".hidden.jpg", "Thumbs.db"):
        (album_folder / name).write_bytes(b"")
    told = open_album(album_folder).stray_files
    assert {path.relative_to(album_folder).as_posix() for path, _ in told} == set(strays)
    assert all("read" in advice for _, advice in told)


def test_a_second_photo_to_complete_is_not_passed_over(album_folder: Path) -> None:
    (album_folder / "target" / "back.jpg").write_bytes(b"")
    with pytest.raises(
        AlbumError, match=r"another photo in target/.*move this one to targets/back/target/target\.jpg"
    ):
        open_album(album_folder)


@pytest.mark.parametrize(("folder", "other"), [("ref", "References"), ("ref", "Ref"), ("target", "Target")])
def test_a_folder_by_another_name_is_named_where_the_right_one_is_missing(
    album_folder: Path, folder: str, other: str
) -> None:
    (album_folder / folder).rename(album_folder / other)
    with pytest.raises(AlbumError, match=f"There is {other}, which is not read"):
        open_album(album_folder)


@pytest.mark.parametrize("name", ["album.yaml", "ref/0.png", "target/mask.png", "target/gt.png"])
def test_a_pipe_is_never_opened(album_folder: Path, name: str) -> None:
    (album_folder / name).unlink(missing_ok=True)
    os.mkfifo(album_folder / name)
    with pytest.raises(RealFillError, match="not a regular file"):
        open_album(album_folder)


def test_nothing_is_written_or_deleted_behind_a_link(album_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "victim" / "validate").mkdir(parents=True)
    (album_folder / "work").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="symbolic link"):
        open_album(album_folder)
