"""ICC profiles of the color spaces that cameras and editors save photos in."""

import struct

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

_WHITE = np.array([0.9642, 1.0, 0.8249])  # D50
_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]])  # of sRGB


def pack_profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of version 2.4 with tags; `kind` is its class, `pcs` what it is connected by."""
    start = 128 + 4 + 12 * len(tags)
    table, values = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s", start + len(values), 0x02400000, kind, space, pcs, b"acsp")
    return (header + bytes(28) + fixed(*_WHITE)).ljust(128, b"\0") + table + values


def fixed(*numbers: float) -> bytes:
    return np.rint(np.array(numbers) * 65536).astype(">i4").tobytes()


def parametric(kind: int, *parameters: float) -> bytes:
    """A curve of a type that has a formula."""
    return b"para" + struct.pack(">IHH", 0, kind, 0) + fixed(*parameters)


def sampled(values: np.ndarray) -> bytes:
    """A curve by its values, 0 to 1; without any, it is the identity."""
    return b"curv" + struct.pack(">II", 0, len(values)) + np.rint(values * 65535).astype(">u2").tobytes()


def curve_profile(curve: bytes) -> bytes:
    """The profile of an RGB space with the primaries of sRGB and a curve."""
    columns = {b"%cXYZ" % name: b"XYZ \0\0\0\0" + fixed(*_TO_XYZ[:, i]) for i, name in enumerate(b"rgb")}
    return pack_profile(b"RGB ", columns | {b"%cTRC" % name: curve for name in b"rgb"})


def table_profile(kind: bytes, *, ink: bool = False, has_way_back: bool = True, side: int = 17) -> bytes:
    """The profile of sRGB, or of its plain complement with black ink, by tables in CIELAB."""
    steps = np.linspace(0, 1, side)
    channels = 4 if ink else 3
    grid = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    colors = (1 - grid[:, :3]) * (1 - grid[:, 3:]) if ink else grid
    tags = {b"A2B0": _table(channels, 3, side, _to_lab(colors))}
    if has_way_back:
        lab = np.stack(np.meshgrid(*[steps] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        back = _from_lab(lab)
        tags[b"B2A0"] = _table(3, channels, side, np.c_[1 - back, np.zeros(len(back))] if ink else back)
    return pack_profile(b"CMYK" if ink else b"RGB ", tags, kind, b"Lab ")


def _table(inputs: int, outputs: int, side: int, values: np.ndarray) -> bytes:
    """A table of 16 bits (lut16Type), its curves the identity."""
    head = b"mft2" + struct.pack(">I4B", 0, inputs, outputs, side, 0) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    ends = np.array([0, 65535], ">u2").tobytes()
    content = np.rint(values.clip(0, 1) * 65535).astype(">u2").tobytes()
    return head + struct.pack(">HH", 2, 2) + ends * inputs + content + ends * outputs


def _to_lab(colors: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB colors [N, 3], 0 to 1, as a table of 16 bits has it."""
    light = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    ratio = light @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness, a, b = 116 * root[:, 1] - 16, 500 * (root[:, 0] - root[:, 1]), 200 * (root[:, 1] - root[:, 2])
    return np.stack([lightness * 652.8, (a + 128) * 256, (b + 128) * 256], axis=-1) / 65535


def _from_lab(lab: np.ndarray) -> np.ndarray:
    """The inverse of `_to_lab`; what is outside of sRGB is clipped."""
    lightness, a, b = (lab * 65535 / (652.8, 256, 256) - (0, 128, 128)).T
    root = np.stack([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200], -1)
    ratio = np.where(root > 6 / 29, root**3, 3 * (6 / 29) ** 2 * (root - 4 / 29))
    light = (ratio * _WHITE @ np.linalg.inv(_TO_XYZ).T).clip(0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
