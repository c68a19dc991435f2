"""FIXME DOCSTRING."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from realfill.imaging.ops import Pixels

AUTHENTICITY_COLORS = {  # name in the style sheet: meaning, colour; in the order of the map's values 85, 170, 255
    "generated": ("generated only", (213, 94, 0)),
    "confirmed": ("generated and confirmed by matches", (240, 228, 66)),
    "reference": ("pixels of the references", (0, 114, 178)),
}
_HATCH = (np.array([196, 192, 184], np.uint8), np.array([164, 159, 150], np.uint8))


@dataclass(frozen=True)
class Picture:
    """A picture beside a page.

    Attributes:
        source: Path relative to the page.
        width: Pixels.
        height: Pixels.
    """

    source: str
    width: int
    height: int


def render(template: str, scripts: Sequence[str] = (), /, **values: Any) -> str:
    """Fill a template of `realfill/report/templates`; every value is escaped unless it is Markup.

    The page may run and be styled by nothing but the project's own files, each allowed by its digest.

    Args:
        template: Name of the template.
        scripts: Names of the scripts it runs, in their order.
        values: What it shows.
    """
    environment = Environment(
        loader=PackageLoader("realfill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, sources = _resource("style.css"), [_resource(name) for name in scripts]
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; "
        f"style-src {_allowed([style])}; script-src {_allowed(sources)}"
    )
    return environment.get_template(template).render(
        policy=Markup(policy), style=style, scripts=sources, picture=_tag, **values
    )


def draw_hatched(canvas: Pixels, mask: Pixels) -> Pixels:
    """Mark the hole with diagonal stripes.

    Args:
        canvas: [H, W, 3] uint8 sRGB.
        mask: [H, W] uint8, 255 = hole.
    """
    height, width = mask.shape
    stripe = max(8, max(height, width) // 100)
    rows, columns = np.ogrid[:height, :width]
    dark = ((rows + columns) // stripe % 2).astype(bool)[..., None]
    return np.where(mask[..., None] > 0, np.where(dark, _HATCH[1], _HATCH[0]), canvas)


def colorize_authenticity(kinds: Pixels, mask: Pixels) -> Pixels:
    """Draw an authenticity map as a layer over the photo, in colours that the colour-blind can tell apart.

    Args:
        kinds: [H, W], what the fill is: 0 = generated only, 1 = confirmed by matches, 2 = pixels of the references.
        mask: [H, W] uint8, 255 = hole.

    Returns:
        [H, W, 4] uint8 RGBA, transparent outside the hole.
    """
    colours = np.array([colour for _, colour in AUTHENTICITY_COLORS.values()], np.uint8)[kinds]
    opacity = np.where(mask > 0, np.uint8(165), np.uint8(0))
    return np.dstack([colours, opacity])


def _tag(picture: Picture, text: str, attributes: Markup) -> Markup:
    return Markup('<img src="{}" alt="{}" width="{}" height="{}" {}>').format(
        picture.source, text, picture.width, picture.height, attributes
    )


def _allowed(texts: Sequence[str]) -> str:
    digests = (b64encode(sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"


def _resource(name: str) -> Markup:
    return Markup((files("realfill.report") / "templates" / name).read_text(encoding="utf-8"))  # ours, not an album's
