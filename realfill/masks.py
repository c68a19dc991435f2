"""From the described hole to the canvas, its mask, and the square window that the model sees.

One convention everywhere: 255 = fill, 0 = keep. The hole comes from exactly one of target/mask.*, the target's
alpha channel, or boxes and polygons in album.yaml; outpainting adds to the first and the last, or stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from realfill import artifacts, files, images
from realfill.album import Album
from realfill.artifacts import Window
from realfill.errors import MaskError
from realfill.images import Photo, Pixels, distance_to
from realfill.params import AlbumSettings, Params

GREY = 128  # what the canvas holds inside the hole
MINIMUM_SIDE = 256  # resolution of the smallest base model, in pixels
CROWDED = 0.75  # share of hole in a window above which it is widened beyond the canvas's shorter side
GREYS = 0.03  # share of pixels that may be neither black nor white: the soft rim of what was drawn
NOISE = 8  # distance from black or white that lossy compression makes of them
FLAT = 2.0  # standard deviation below which a region shows nothing
_WAYS = (
    "Describe it in one of four ways: a black and white picture target/mask.png of the photo's size (white = fill); "
    "transparent pixels in the target; boxes or polygons in album.yaml; outpaint or aspect in album.yaml."
)


@dataclass(frozen=True)
class MasksResult:
    """What `run` decided; the pictures lie in `work/masks`.

    Attributes:
        window: Canvas, photo, and window, in canvas pixels.
    """

    window: Window

    @property
    def hole(self) -> float:
        """Share of the canvas that is filled, 0 to 1."""
        return self.window.hole

    @property
    def source(self) -> str:
        """ "file", "alpha", "shapes" or "outpaint": what described the hole."""
        return self.window.source


@dataclass(frozen=True)
class Extension:
    """Whole pixels added at each side of the photo."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


def run(album: Album, params: Params) -> MasksResult:
    """Write canvas.png, mask.png and window.json of the album into `work/masks`.

    The canvas is mid-grey wherever it is to be filled, so that nothing of what stood there reaches later stages.

    Raises:
        StageError: `validate` has not run.
        PhotoError: The target or the mask cannot be read.
        MaskError: The hole is not described, or described in a way that cannot be meant.
    """
    artifacts.read_inputs(album)
    limit = params.validate_.max_megapixels
    photo = images.read(album.target, max_megapixels=limit)
    picture = images.to_srgb(photo)
    with _blaming(_settings_path(album)):
        extension = extension_of(album.settings, photo.width, photo.height, limit)
    source, drawn = _drawn(album, photo, picture, extension, limit)
    mask = grown(_extended(drawn, extension, 255), params.masks.grow)
    hole = float(np.count_nonzero(mask) / mask.size)
    with _blaming(album.target if source == "alpha" else album.mask or _settings_path(album)):
        _check_share(hole, params.masks.max_hole)
    canvas = _extended(picture, extension, GREY)
    canvas[mask > 0] = GREY
    left, top, side = window_around(mask, params.masks.context, MINIMUM_SIDE)
    window = Window(
        source=source,
        canvas_width=canvas.shape[1],
        canvas_height=canvas.shape[0],
        photo_left=extension.left,
        photo_top=extension.top,
        photo_width=photo.width,
        photo_height=photo.height,
        left=left,
        top=top,
        side=side,
        hole=hole,
    )
    with files.publishing(album.work("masks")) as folder:
        images.write_png(folder / "canvas.png", canvas)
        images.write_png(folder / "mask.png", mask)
        files.write_json(folder / "window.json", asdict(window))
    return MasksResult(window)


def window_around(mask: Pixels, context: float, minimum: int) -> tuple[int, int, int]:
    """The square that the model sees: around the hole, with context, inside the canvas where that is possible.

    Its side is `context` times the longer side of the hole's bounding box, at least `minimum`, at most the canvas's
    shorter side. Only where the hole is longer than that, or would leave hardly anything else to see, it grows up to
    the canvas's longer side and reaches beyond the canvas, equally far at both ends.

    Args:
        mask: [H, W] uint8, nonzero = fill, not empty.
        context: Side of the window / longer side of the hole.
        minimum: Side in pixels that it has at least where the canvas is that large.

    Returns:
        Left, top (negative where it reaches beyond the canvas) and side, in pixels.
    """
    height, width = mask.shape
    box_left, box_top, box_width, box_height = cv2.boundingRect(mask)
    longest = max(box_width, box_height)
    wanted = max(math.ceil(longest * context), minimum)
    shorter, longer = min(height, width), max(height, width)
    fits = longest <= shorter and np.count_nonzero(mask) <= CROWDED * shorter**2
    side = min(wanted, shorter if fits else longer)
    return _placed(box_left, box_width, side, width), _placed(box_top, box_height, side, height), side


def _placed(start: int, length: int, side: int, limit: int) -> int:
    if side > limit:
        return (limit - side) // 2
    return min(max(start + (length - side) // 2, 0), limit - side)


def extension_of(settings: AlbumSettings, width: int, height: int, max_megapixels: float) -> Extension:
    """What outpaint or aspect add to a photo of width x height pixels.

    Raises:
        MaskError: Both are given, they add nothing, or the canvas would exceed `max_megapixels` (10^6 pixels).
    """
    if settings.outpaint and settings.aspect:
        raise MaskError("There is both outpaint and aspect.", "Leave one of them.")
    if settings.outpaint:
        outpaint = settings.outpaint
        left, right = _pixels(outpaint.left, width), _pixels(outpaint.right, width)
        top, bottom = _pixels(outpaint.top, height), _pixels(outpaint.bottom, height)
    elif settings.aspect:
        left, top, right, bottom = _centred(settings.aspect, width, height)
    else:
        return Extension()
    area = (width + left + right) * (height + top + bottom)
    if area > max_megapixels * 1e6:
        problem = f"The extended photo would have {area / 1e6:.3g} megapixels; {max_megapixels:g} are allowed."
        raise MaskError(problem, "Extend it less, or raise validate.max_megapixels.")
    extension = Extension(_rounded(left), _rounded(top), _rounded(right), _rounded(bottom))
    if extension == Extension():
        raise MaskError("The photo is not extended at any side.", "Give another outpaint or aspect, or none.")
    return extension


def _pixels(length: str, whole: int) -> float:
    number = float(length.rstrip("%px "))
    return number * whole / 100 if length.endswith("%") else number


def _centred(aspect: str, width: int, height: int) -> tuple[float, float, float, float]:
    across, down = (float(part) for part in aspect.split(":"))
    if min(across, down) * 100 <= max(across, down):
        raise MaskError(f"No photo has the aspect {aspect!r}.", 'Write it as width:height, such as "16:9".')
    wide = max(_rounded(height * across / down) - width, 0)
    tall = max(_rounded(width * down / across) - height, 0)
    return wide // 2, tall // 2, wide - wide // 2, tall - tall // 2


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


def _drawn(album: Album, photo: Photo, picture: Pixels, extension: Extension, limit: float) -> tuple[str, Pixels]:
    """What describes the hole, and its part inside the photo: [H, W] uint8."""
    shapes = bool(album.settings.boxes or album.settings.polygons)
    if album.mask is not None and shapes:
        problem = f"The hole is described twice: here and by {album.mask.name}."
        raise MaskError(problem, "Delete the file, or the boxes and polygons.", _settings_path(album))
    if album.mask is not None:
        with _blaming(album.mask):
            return "file", from_file(images.read(album.mask, max_megapixels=limit), photo, picture)
    if shapes:
        with _blaming(_settings_path(album)):
            return "shapes", from_shapes(album.settings, photo.width, photo.height)
    if extension != Extension():
        return "outpaint", np.zeros((photo.height, photo.width), np.uint8)
    with _blaming(album.target):
        return "alpha", from_alpha(photo)


def from_file(drawing: Photo, photo: Photo, picture: Pixels) -> Pixels:
    """Read a mask that was drawn as a picture of its own.

    Args:
        drawing: The mask file, white = fill.
        photo: The target.
        picture: The target in sRGB, [H, W, 3] uint8.

    Returns:
        [H, W] uint8, 255 = fill.

    Raises:
        MaskError: Its size, its values or its polarity cannot be meant.
    """
    _check_size(drawing, photo)
    peak = int(drawing.pixels.max())
    if 0 < peak <= np.iinfo(drawing.pixels.dtype).max // 255:
        full = np.iinfo(drawing.pixels.dtype).max
        problem = f"The mask's brightest value is {peak}, which is black: white is {full}."
        raise MaskError(problem, f"Multiply its values so that what is to be filled is {full}.")
    shade = images.to_srgb(drawing)  # [H, W, 3]
    _check_alpha(drawing, shade)
    if drawing.pixels.shape[2] > 1 and _coloured(shade) > GREYS:
        raise MaskError("The mask is coloured.", "Draw it in black and white; white = fill.")
    mask = _binary(shade[..., 1], "The mask")
    kept = cv2.erode(255 - mask, np.ones((17, 17), np.uint8))  # away from the rim, where JPEG rings
    if kept.any() and _spread(picture, kept) < FLAT and _spread(picture, mask) > 5 * FLAT:
        raise MaskError(
            "The mask seems inverted: what it keeps is one flat colour, what it fills is a picture.",
            "Invert it; white = fill, black = keep.",
        )
    return mask


def from_alpha(photo: Photo) -> Pixels:
    """Take the target's transparent pixels as the hole, [H, W] uint8, 255 = fill.

    Raises:
        MaskError: There are none, or it is neither transparent nor opaque.
    """
    clear = None if photo.alpha is None else 255 - _eight_bits(photo.alpha)
    if clear is None or clear.max() <= NOISE:
        raise MaskError("Nothing describes what is to be filled.", _WAYS)
    return _binary(clear, "The target's transparency")


def from_shapes(settings: AlbumSettings, width: int, height: int) -> Pixels:
    """Draw boxes and polygons, [H, W] uint8, 255 = fill; a polygon fills every pixel that it touches.

    Raises:
        MaskError: One of them reaches beyond the photo.
    """
    corners = [(x, y) for box in settings.boxes for x, y in ((box.left, box.top), (box.right, box.bottom))]
    points = [point for polygon in settings.polygons for point in polygon]
    for x, y in [*corners, *points]:
        if not (0 <= x <= width and 0 <= y <= height):
            problem = f"The point ({x:g}, {y:g}) lies outside the photo of {width} x {height} pixels."
            raise MaskError(problem, "Give boxes and polygons in pixels of the photo as it is shown upright.")
    mask = np.zeros((height, width), np.uint8)
    for box in settings.boxes:
        mask[box.top : box.bottom, box.left : box.right] = 255
    for polygon in settings.polygons:
        cv2.fillPoly(mask, [np.floor(np.array(polygon)).astype(np.int32)], 255)
    return mask


def grown(mask: Pixels, pixels: int) -> Pixels:
    """Dilate a mask, [H, W] uint8 0 or 255, by a disc of this radius."""
    if pixels == 0 or not mask.any():
        return mask
    inside: Pixels = distance_to(mask > 0) <= pixels
    return inside.astype(np.uint8) * np.uint8(255)


def _coloured(shade: Pixels) -> float:
    """Share of pixels whose channels differ."""
    red, green, blue = cv2.split(shade)
    differ = cv2.max(cv2.absdiff(red, green), cv2.absdiff(blue, green)) > 2 * NOISE
    return float(np.count_nonzero(differ) / differ.size)


def _check_size(drawing: Photo, photo: Photo) -> None:
    size, wanted = (drawing.width, drawing.height), (photo.width, photo.height)
    if size == wanted:
        return
    if size == wanted[::-1] and photo.orientation >= 5:
        raise MaskError(
            f"The mask has {size[0]} x {size[1]} pixels and fits the photo as it is stored, but the photo is shown "
            f"turned to {wanted[0]} x {wanted[1]} (EXIF orientation {photo.orientation}).",
            "Turn the mask the same way, so that it lies over the photo as it is shown.",
        )
    raise MaskError(
        f"The mask has {size[0]} x {size[1]} pixels, the photo {wanted[0]} x {wanted[1]}.",
        "Draw the mask over the photo at its full size; it is not scaled, for that would move its edges.",
    )


def _check_alpha(drawing: Photo, shade: Pixels) -> None:
    if drawing.alpha is None or np.ptp(drawing.alpha) == 0:
        return
    clear = _eight_bits(drawing.alpha) < 128
    if np.ptp(shade) == 0 or (shade[clear] >= 128).any():
        raise MaskError(
            "The mask is drawn in its transparency, so that it cannot be told what is meant by white.",
            "Save it without transparency: white where it is to be filled, black elsewhere.",
        )


def _binary(shade: Pixels, what: str) -> Pixels:
    mask: Pixels = cv2.threshold(shade, 127, 255, cv2.THRESH_BINARY)[1]
    fill = np.count_nonzero(mask)
    if fill == 0 and shade.max() <= NOISE:
        raise MaskError(f"{what} marks nothing to fill.", "Paint white what is to be filled.")
    greys = np.count_nonzero((shade > NOISE) & (shade < 255 - NOISE))
    if greys > GREYS * shade.size or greys > fill / 2:
        raise MaskError(
            f"{what} is grey, neither black nor white, in {greys / shade.size:.1%} of the pixels.",
            "Draw it with a hard brush: white where it is to be filled, black elsewhere.",
        )
    return mask


def _check_share(hole: float, limit: float) -> None:
    if hole == 0:
        raise MaskError("Nothing is marked to be filled.", _WAYS)
    if hole > limit:
        raise MaskError(
            f"{hole:.1%} of the picture is to be filled; {limit:.0%} is the most.",
            "Leave more of the photo, check that white = fill, or raise masks.max_hole.",
        )


def _spread(picture: Pixels, mask: Pixels) -> float:
    return float(cv2.meanStdDev(picture, mask=mask)[1].max())


def _eight_bits(values: Pixels) -> Pixels:
    return (values // (np.iinfo(values.dtype).max // 255)).astype(np.uint8)


def _extended(picture: Pixels, by: Extension, value: int) -> Pixels:
    pads = [(by.top, by.bottom), (by.left, by.right)] + [(0, 0)] * (picture.ndim - 2)
    return np.pad(picture, pads, constant_values=value)


def _settings_path(album: Album) -> Path:
    return album.root / "album.yaml"


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Name the file at fault in what the functions on pixels raise."""
    try:
        yield
    except MaskError as error:
        raise MaskError(error.problem, error.remedy, path) from None
