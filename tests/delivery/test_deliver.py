"""Deliveries appear whole or not at all, and replace nothing."""

import json
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from realfill.album.discovery import open_album
from realfill.album.layout import Album
from realfill.core.errors import ExportError, OutputError, RealFillError
from realfill.core.hashing import digest
from realfill.delivery.deliver import Wish, deliver
from support.deliveries import export_kind, read_provenance

SHEETS = {"contact-sheet.html", "contact-sheet.pdf", "delivery.csv"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished albums."""
    root = tmp_path_factory.mktemp("finished")
    export_kind(root / "roof", "jpeg")
    export_kind(root / "tower", "tiff-16")
    return root


@pytest.fixture
def albums(finished: Path, tmp_path: Path) -> list[Album]:
    """Copies of the albums of their own."""
    shutil.copytree(finished, tmp_path / "albums")
    return [open_album(tmp_path / "albums" / name) for name in ("roof", "tower")]


def read_files(path: Path) -> dict[str, bytes]:
    """The files of a delivery, in a folder or an archive."""
    if path.is_dir():
        return {file.name: file.read_bytes() for file in path.iterdir()}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_photos_are_copied_with_what_belongs_to_them(name: str, albums: list[Album], tmp_path: Path) -> None:
    delivery = deliver([Wish(album) for album in albums], tmp_path / name)
    assert delivery.files == ("roof.jpg", "tower.tif")
    files = read_files(tmp_path / name)
    sidecars = {f"{stem}{suffix}" for stem in ("roof", "tower") for suffix in (".json", ".authenticity.png")}
    assert set(files) == {*delivery.files, *sidecars} | SHEETS
    for album in albums:
        document = read_provenance(album)
        assert files[str(document["photo"])] == (album.completed / str(document["photo"])).read_bytes()
        assert files[f"{album.name}.json"] == album.provenance.read_bytes()
        assert files[f"{album.name}.authenticity.png"] == (album.completed / "authenticity.png").read_bytes()


def test_a_renamed_photo_is_named_in_its_provenance(albums: list[Album], tmp_path: Path) -> None:
    deliver([Wish(album) for album in albums], tmp_path / "out", "{number:03} {target}")
    files = read_files(tmp_path / "out")
    document = json.loads(files["002 tower.json"])
    assert document["photo"] == "002 tower.tif"
    assert document["digest"] == digest(tmp_path / "out" / "002 tower.tif")


def test_a_target_of_several_is_named_by_its_own_name(albums: list[Album], tmp_path: Path) -> None:
    front = tmp_path / "albums" / "roof" / "targets" / "front"
    front.mkdir(parents=True)
    for name in ("target", "completed"):
        (albums[0].root / name).rename(front / name)
    (front / "completed" / "roof.json").rename(front / "completed" / "roof-front.json")
    assert deliver([Wish(open_album(front))], tmp_path / "out", "{target} of {album}").files == (
        "front of roof-front.jpg",
    )


@pytest.mark.parametrize("name", ["out", "out.zip"])
@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_nothing_is_replaced(name: str, make: Callable[[Path], None], albums: list[Album], tmp_path: Path) -> None:
    make(tmp_path / name)
    with pytest.raises(OutputError, match="exists already"):
        deliver([Wish(album) for album in albums], tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["albums", name]


@pytest.mark.parametrize("place", ["roof/out", "roof/completed/out.zip", "tower/ref/out"])
def test_nothing_is_written_into_an_album(place: str, albums: list[Album], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot lie in an album"):
        deliver([Wish(album) for album in albums], tmp_path / "albums" / place)
    assert not (tmp_path / "albums" / place).exists()


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_of_two_deliveries_into_one_place_one_is_there_whole(name: str, albums: list[Album], tmp_path: Path) -> None:
    def try_it(album: Album) -> str:
        try:
            return deliver([Wish(album)], tmp_path / name).files[0]
        except OutputError:
            return ""

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(try_it, albums))
    (file,) = filter(None, done)
    files = read_files(tmp_path / name)
    assert set(files) == {file, f"{Path(file).stem}.json", f"{Path(file).stem}.authenticity.png"} | SHEETS


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_delivery_that_is_killed_leaves_nothing_half_and_the_next_one_works(
    name: str, albums: list[Album], tmp_path: Path
) -> None:
    code = (
        "import os, sys; from pathlib import Path; from realfill.album.discovery import open_album\n"
        "from realfill.delivery.deliver import Wish, deliver\n"
        "folder = Path(sys.argv[1]); wishes = [Wish(open_album(folder / name)) for name in ('roof', 'tower')]\n"
        "def kill(name):\n    if name == 'tower': os.kill(os.getpid(), 9)\n"
        "deliver(wishes, Path(sys.argv[2]), on_album=kill)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "albums"), str(tmp_path / name)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / name).exists()
    assert len(deliver([Wish(album) for album in albums], tmp_path / name).files) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["albums", name]


def damage_provenance(album: Album) -> None:
    album.provenance.write_text(json.dumps({"photo": "roof.jpg", "digest": digest(album.completed / "roof.jpg")}))


def retouch(album: Album) -> None:
    Image.new("RGB", (9, 9)).save(album.completed / "roof.jpg")


@pytest.mark.parametrize(
    "spoil",
    [
        damage_provenance,
        retouch,
        lambda album: album.provenance.unlink(),
        lambda album: album.provenance.write_text("{"),
        lambda album: album.provenance.write_text("[]"),
        lambda album: (album.completed / "authenticity.png").unlink(),
        lambda album: shutil.rmtree(album.completed),
    ],
    ids=["incomplete", "retouched", "no provenance", "no JSON", "no mapping", "no map", "not finished"],
)
def test_a_photo_that_fails_is_told_and_the_others_are_delivered(
    spoil: Callable[[Album], object], albums: list[Album], tmp_path: Path
) -> None:
    spoil(albums[0])
    delivery = deliver([Wish(album) for album in albums], tmp_path / "out")
    assert delivery.files == ("tower.tif",)
    assert list(delivery.problems) == ["roof"]
    assert not [name for name in read_files(tmp_path / "out") if "roof" in name]
    with pytest.raises(RealFillError):
        deliver([Wish(albums[0])], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_retouched_photo_is_not_delivered_as_realfills(albums: list[Album], tmp_path: Path) -> None:
    retouch(albums[0])
    with pytest.raises(ExportError, match="was changed since realfill wrote it"):
        deliver([Wish(albums[0])], tmp_path / "out")
