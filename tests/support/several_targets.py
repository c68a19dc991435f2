"""Albums of several targets."""

from pathlib import Path

import numpy as np

from realfill.photo_io.working_files import read_png, write_png
from support.scenes import rectangle_mask


def make_several(root: Path) -> Path:
    """Make an album of two targets of the motorcycle album: `front`, its own, and `back`, its last reference.

    The hole of `back` is described by boxes.

    Returns:
        The album folder.
    """
    front, back = root / "targets" / "front", root / "targets" / "back"
    front.mkdir(parents=True)
    (root / "target").rename(front / "target")
    (back / "target").mkdir(parents=True)
    photo = read_png(root / "ref" / "2.png")
    height, width = photo.shape[:2]
    top, left = height // 4, width // 10
    mask = rectangle_mask(photo.shape, slice(top, 2 * top), slice(left, 3 * left))
    write_png(back / "target" / "target.png", np.where(mask[..., None] > 0, np.uint8(255), photo))
    box = {"left": left, "top": top, "right": 3 * left, "bottom": 2 * top}
    (back / "album.yaml").write_text(f"boxes: [{box}]\n")
    (root / "ref" / "2.png").unlink()
    return root
