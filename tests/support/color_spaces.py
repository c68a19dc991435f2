"""ICC profiles of the color spaces that cameras and editors save photos in."""

import imagecodecs
import numpy as np

from support.camera_photos import ADOBE_RGB

D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)
PROPHOTO_PRIMARIES = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))


def rgb_profile(white: tuple[float, float], primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """The profile of an RGB space, by its chromaticities (CIE 1931 x, y) and its gamma."""
    corners = [(*chromaticity, 1.0) for chromaticity in primaries]
    return bytes(
        imagecodecs.cms_profile("rgb", whitepoint=(*white, 1.0), primaries=np.ravel(corners).tolist(), gamma=gamma)
    )


DISPLAY_P3 = rgb_profile(D65, ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), 2.2)
PROPHOTO = rgb_profile(D50, PROPHOTO_PRIMARIES, 1.8)
WIDE_GAMMA_22 = rgb_profile(D50, PROPHOTO_PRIMARIES, 2.2)
WIDE_SPACES = {"Display P3": DISPLAY_P3, "Adobe RGB": ADOBE_RGB, "ProPhoto RGB": PROPHOTO}
