"""What `validate` records about a photo: format, size, color profile, sharpness, and a digest of the pixels."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import imagecodecs
import numpy as np

from realfill.core.errors import PhotoError
from realfill.imaging.ops import Pixels, shrink_to
from realfill.photo_io.color_management import profile_name, to_srgb
from realfill.photo_io.decode import read_photo
from realfill.photo_io.icc_transform import profile_problem
from realfill.photo_io.jpeg_damage import find_jpeg_damage
from realfill.photo_io.photo import Photo


@dataclass(frozen=True)
class InspectionSettings:
    """How photos are described.

    Attributes:
        thumbnail_side: Longer side to which a photo is scaled down before its sharpness is measured, and of its
            thumbnail, pixels; set by hand. It makes photos of different resolutions comparable.
    """

    thumbnail_side: int = 512


@dataclass(frozen=True)
class PhotoInfo:
    """Description of a decoded photo.

    Attributes:
        format: "JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF" or "RAW".
        width: Width after the orientation was applied, pixels.
        height: Height after the orientation was applied, pixels.
        mode: "gray", "rgb" or "cmyk", with "a" appended if there is an alpha channel.
        bits: Bits a sample, 8 or 16.
        orientation: EXIF orientation of the file, 1 to 8.
        icc: Name of the embedded color profile; empty without a usable one.
        exif: Whether there is EXIF metadata.
        sharpness: See `measure_sharpness`.
        content: SHA-256 of the decoded pixels and their shape, hex.
        thumbnail: The photo, at most 512 pixels wide or high, as a PNG in 8-bit sRGB, in base64.
        warning: What was not certain in decoding it, or why the embedded color profile cannot be used; otherwise
            empty.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    orientation: int
    icc: str
    exif: bool
    sharpness: float
    content: str
    thumbnail: str
    warning: str

    @property
    def picture(self) -> Pixels:
        """The thumbnail, [h, w, 3] uint8 sRGB."""
        picture: Pixels = imagecodecs.png_decode(base64.b64decode(self.thumbnail))
        return picture


def inspect_photo(
    path: Path, max_megapixels: float, settings: InspectionSettings = InspectionSettings()
) -> PhotoInfo:
    """Decode a photo in this process and describe it; `DecodeSandbox.inspect` does so in another one.

    Args:
        path: The file.
        max_megapixels: Larger photos are refused, in 10^6 pixels.
        settings: How it is described.

    Raises:
        PhotoError: As for `read_photo`, or a JPEG's compressed data is damaged.
    """
    photo = read_photo(path, max_megapixels=max_megapixels)
    damage = find_jpeg_damage(path.read_bytes()) if photo.format == "JPEG" else ""
    if damage:
        problem = f"The photo is damaged: a part of it shows gray or wrong pixels ({damage})."
        raise PhotoError(
            problem, "Take an intact copy of it, or repair it in an image editor and save it again.", path
        )
    picture = _shrink_to_srgb(photo, settings)
    return PhotoInfo(
        format=photo.format,
        width=photo.width,
        height=photo.height,
        mode=photo.mode,
        bits=photo.bits,
        orientation=photo.orientation,
        icc=profile_name(photo),
        exif=photo.exif,
        sharpness=_measure_sharpness(picture),
        content=_digest_pixels(photo),
        thumbnail=base64.b64encode(imagecodecs.png_encode(np.ascontiguousarray(picture), level=1)).decode(),
        warning=f"{photo.warning} {profile_problem(photo)}".strip(),
    )


def measure_sharpness(photo: Photo, settings: InspectionSettings = InspectionSettings()) -> float:
    """Variance of the Laplacian of a photo's luminance, after scaling it down.

    Returns:
        In 8-bit sRGB levels squared; larger is sharper.
    """
    return _measure_sharpness(_shrink_to_srgb(photo, settings))


def _measure_sharpness(picture: Pixels) -> float:
    luminance = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # [h, w] uint8
    return float(cv2.Laplacian(luminance, cv2.CV_64F).var())


def _shrink_to_srgb(photo: Photo, settings: InspectionSettings) -> Pixels:
    return to_srgb(replace(photo, pixels=shrink_to(photo.pixels, settings.thumbnail_side), alpha=None))


def _digest_pixels(photo: Photo) -> str:
    digest = hashlib.sha256(f"{photo.pixels.shape} {photo.pixels.dtype}".encode())
    digest.update(photo.pixels.data)
    return digest.hexdigest()
