"""Decoding of camera raw files (DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2 and others) by LibRaw."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import rawpy

from realfill.core.errors import PhotoError
from realfill.photo_io.photo import Photo

FORMAT = "RAW"
_SRGB_CURVE = (2.4, 12.92)  # exponent, and slope at black
_MAGIC = (  # first bytes, and those after the size of a box; other raw files are TIFFs
    (0, b"FUJIFILMCCD-RAW"),
    (0, b"IIRO"),  # ORF
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\0"),  # RW2
    (0, b"FOVb"),  # X3F
    (0, b"\0MRM"),
    (4, b"ftypcrx "),  # CR3
    (8, b"CR\2"),  # CR2
)


def is_raw(header: bytes) -> bool:
    """Whether a file's first 64 bytes are those of a camera raw file that is not a plain TIFF."""
    return any(header.startswith(magic, place) for place, magic in _MAGIC)


def decode_raw(file: BinaryIO, check_size: Callable[[int, int], None]) -> Photo:
    """Develop a camera raw file, neutrally and always in the same way.

    The white balance is the camera's, colors are sRGB with its curve, 8 bits. Exposure and contrast are the sensor's,
    whose saturation is white: no automatic brightness, and none of the camera's looks. Photos are therefore darker
    than the camera's own JPEGs; blending levels that out.

    Args:
        file: The file, at its beginning.
        check_size: Called with the width and the height before anything is decoded; raises if they are too large.

    Raises:
        PhotoError: LibRaw does not know the camera or its compression.
    """
    try:
        with rawpy.imread(file) as raw:
            check_size(raw.sizes.width, raw.sizes.height)
            samples = raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=_SRGB_CURVE,
                output_bps=8,
            )
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        problem = "This camera raw file is of a kind that LibRaw does not know."
        raise PhotoError(problem, "Develop it in a raw converter and export it as a JPEG or TIFF.") from error
    return Photo.from_samples(samples, 3, icc=None, file_format=FORMAT, orientation=1, exif=False)
