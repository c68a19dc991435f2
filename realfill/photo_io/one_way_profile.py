"""Photos whose ICC profile tells how its values look and not the way back: converted to a space that has one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from realfill.photo_io.icc_transform import NO_OPTIMIZATION, is_one_way, srgb_profile, transform
from realfill.photo_io.photo import COLOR_MODES, Photo, to_16_bits
from realfill.photo_io.working_space import choose_working_profile

_WARNING = (
    "Its color profile tells how its values look but not the way back, as scanners' do: "
    "it was converted to a common color space."
)


def replace_one_way_profile(photo: Photo) -> Photo:
    """Convert a photo with such a profile to the working space of its colors, with 16 bits and a warning."""
    if photo.icc is None or not is_one_way(photo):
        return photo
    profile = choose_working_profile(photo)
    mode = COLOR_MODES[photo.pixels.shape[2]]
    pixels = transform(photo.pixels, photo.icc, profile or srgb_profile(), mode, "rgb", np.uint16, NO_OPTIMIZATION)
    return replace(
        photo,
        pixels=pixels,
        alpha=None if photo.alpha is None else to_16_bits(photo.alpha),
        icc=profile,
        warning=f"{photo.warning} {_WARNING}".strip(),
    )
