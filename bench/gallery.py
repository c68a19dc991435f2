"""Write the gallery of many made-up albums and tell the seconds, the peak memory and the size of the page.

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

SIDE = 480
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
    """What the gallery looks at, of an album that seems finished; all share two pictures."""
    page = folder / "completed" / "page"
    for path in (folder / "target", folder / "ref", page):
        path.mkdir(parents=True, exist_ok=True)
    for path in (folder / "target" / "target.jpg", folder / "ref" / "0.jpg", page / "index.html"):
        path.touch()
    for name in ("before", "after"):
        share(page / f"{name}-small.jpg", folder.parent.parent / f"{name}.jpg")
    inliers = number * 7919 % 400
    candidates = [{"candidate": candidate, "inliers": inliers} for candidate in range(4)]
    document = {"ranking": candidates, "candidate": 0, "hole": {"hole": number % 97 / 100}}
    (folder / "completed" / f"{folder.name}.json").write_text(json.dumps(document))


def share(link: Path, picture: Path) -> None:
    if not picture.exists():
        coffee = Image.fromarray(skimage.data.coffee()).resize((SIDE, 2 * SIDE // 3))
        if picture.stem == "before":
            coffee.paste((180, 176, 168), (SIDE // 3, SIDE // 5, SIDE * 2 // 3, SIDE // 2))
        coffee.save(picture, quality=85)
    link.unlink(missing_ok=True)
    os.link(picture, link)


if __name__ == "__main__":
    main()
