"""How the picture that the target stores became the finished one: turned upright, then extended."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of a picture's width and height."""

FLIPPED = (2, 4, 5, 7)  # EXIF orientations that are mirrored before they are turned
QUARTER_TURNS = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}  # counterclockwise, by EXIF orientation


@dataclass(frozen=True)
class Reframing:
    """The way from places in the stored picture to places in the finished one.

    Attributes:
        width: Width of the finished photo, pixels.
        height: Height of the finished photo, pixels.
        orientation: EXIF orientation of the stored picture, 1 to 8.
        inner: Box of the upright photo in the finished one; less than all of it where the photo was extended.
    """

    width: int
    height: int
    orientation: int = 1
    inner: Box = (0.0, 0.0, 1.0, 1.0)

    @property
    def is_identity(self) -> bool:
        """Whether every place stays where it was."""
        return self.orientation == 1 and not self.is_extended

    @property
    def is_extended(self) -> bool:
        """Whether the finished photo shows more than the stored picture."""
        return self.inner != (0.0, 0.0, 1.0, 1.0)

    @property
    def photo_size(self) -> tuple[int, int]:
        """Width and height of the upright photo before it was extended, pixels."""
        left, top, right, bottom = self.inner
        return round((right - left) * self.width), round((bottom - top) * self.height)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the stored picture, pixels."""
        width, height = self.photo_size
        return (height, width) if QUARTER_TURNS[self.orientation] % 2 else (width, height)

    def move(self, box: Box) -> Box:
        """Move a box of the stored picture to its place in the finished photo."""
        left, top, right, bottom = box
        if self.orientation in FLIPPED:
            left, right = 1 - right, 1 - left
        for _ in range(QUARTER_TURNS[self.orientation]):
            left, top, right, bottom = top, 1 - right, bottom, 1 - left
        x0, y0, x1, y1 = self.inner
        return x0 + left * (x1 - x0), y0 + top * (y1 - y0), x0 + right * (x1 - x0), y0 + bottom * (y1 - y0)
