"""HTML pages, rendered from the templates in `templates/`.

A page is one file: its style sheet and scripts are inside. Its content security policy allows these by their hashes
and nothing else, so that a script which gets into a page through an album's texts cannot run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from realfill.report.pictures import Picture


def render(template: str, scripts: Sequence[str] = (), /, **values: Any) -> str:
    """Render a template.

    Args:
        template: File name of the template.
        scripts: File names of the scripts that the page runs, in order.
        values: Variables of the template. All are escaped unless they are `Markup`.

    Returns:
        The HTML document.
    """
    environment = Environment(
        loader=PackageLoader("realfill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, sources = _read_resource("style.css"), [_read_resource(name) for name in scripts]
    return environment.get_template(template).render(
        policy=_content_security_policy(style, sources), style=style, scripts=sources, image_tag=_image_tag, **values
    )


def _content_security_policy(style: str, scripts: Sequence[str]) -> Markup:
    return Markup(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src 'self' file: data:; "
        f"style-src {_hash_sources([style])}; script-src {_hash_sources(scripts)}"
    )


def _hash_sources(texts: Sequence[str]) -> str:
    """A source list of the policy that allows exactly these inline texts."""
    hashes = (b64encode(sha256(text.encode()).digest()).decode() for text in texts)
    return " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"


def _read_resource(name: str) -> Markup:
    """A file of this package; it is trusted and not escaped."""
    return Markup((files("realfill.report") / "templates" / name).read_text(encoding="utf-8"))


def _image_tag(picture: Picture, alt: str, attributes: Markup) -> Markup:
    return Markup('<img src="{}" alt="{}" width="{}" height="{}" {}>').format(
        picture.source, alt, picture.width, picture.height, attributes
    )
