"""Write the gallery of many artificial albums; print the seconds, the peak memory and the size of the page.

usage: python bench/gallery.py FOLDER [ALBUMS]
"""

import gzip
import json
import os
import resource
import sys
import time
from pathlib import Path

import skimage.data
from PIL import Image

from realfill.library.gallery import write_gallery
from realfill.library.repository import open_albums
from realfill.report.album_page import AlbumPageSettings

REASON = "target/target.tif: The photo is damaged: it ends in strip 14. Replace it by an intact copy."


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    names = [f"wedding {number:04}, reception" for number in range(count)]
    for number, name in enumerate(names):
        write_album(folder / "albums" / name, number)
    rows = [{"album": name, "outcome": "quarantined", "reason": REASON} for name in names[:: max(1, count // 20)]]
    started = time.monotonic()
    albums, problems = open_albums(folder / "albums")
    opened = time.monotonic()
    page = write_gallery(albums, folder / "gallery", problems, rows)
    seconds = time.monotonic() - opened
    print("| albums | opening them | writing the gallery | page | gzipped | peak memory |")
    print("|---|---|---|---|---|---|")
    data = page.read_bytes()
    print(
        f"| {len(albums)} | {opened - started:.2f} s | {seconds:.2f} s | {len(data) / 1000:.0f} kB "
        f"| {len(gzip.compress(data)) / 1000:.0f} kB "
        f"| {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB |"
    )


def write_album(folder: Path, number: int) -> None:
    """Write the files of a finished album that the gallery reads; all albums share two pictures."""
    page = folder / "completed" / "page"
    for path in (folder / "target", folder / "ref", page):
        path.mkdir(parents=True, exist_ok=True)
    for path in (folder / "target" / "target.jpg", folder / "ref" / "0.jpg", page / "index.html"):
        path.touch()
    for name in ("before", "after"):
        link_picture(page / f"{name}-small.jpg", folder.parent.parent / f"{name}.jpg")
    inliers = number * 7919 % 400
    candidates = [{"candidate": candidate, "inliers": inliers} for candidate in range(4)]
    document = {"ranking": candidates, "candidate": 0, "hole": {"hole": number % 97 / 100}}
    (folder / "completed" / f"{folder.name}.json").write_text(json.dumps(document))


def link_picture(link: Path, picture: Path) -> None:
    """Make a hard link to a picture, which is written first if it does not exist."""
    if not picture.exists():
        side = AlbumPageSettings().small_side
        coffee = Image.fromarray(skimage.data.coffee()).resize((side, 2 * side // 3))
        if picture.stem == "before":
            coffee.paste((180, 176, 168), (side // 3, side // 5, side * 2 // 3, side // 2))
        coffee.save(picture, quality=85)
    link.unlink(missing_ok=True)
    os.link(picture, link)


if __name__ == "__main__":
    main()
