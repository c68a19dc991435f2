"""Templates and their content security policy."""

import base64
import hashlib
import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from realfill.report.pictures import Picture
from realfill.report.rendering import _image_tag, render

EMPTY_GALLERY = {"total": 0, "finished": 0, "failed": 0, "sections": [], "sort_keys": []}


def test_the_policy_allows_the_pages_own_style_and_scripts_and_nothing_else() -> None:
    page = render("gallery.html", ("gallery.js",), **EMPTY_GALLERY)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    inline = {
        "style-src": re.findall(r"<style>(.*?)</style>", page, re.DOTALL),
        "script-src": re.findall(r"<script>(.*?)</script>", page, re.DOTALL),
    }
    for directive, texts in inline.items():
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert f"{directive} " + " ".join(f"'sha256-{value}'" for value in hashes) in policy
    assert "default-src 'none'" in policy


def test_a_page_without_scripts_allows_none() -> None:
    assert "script-src 'none'" in render("gallery.html", **EMPTY_GALLERY)


def test_a_variable_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="sort_keys"):
        render("gallery.html", **{name: value for name, value in EMPTY_GALLERY.items() if name != "sort_keys"})


def test_texts_in_an_image_are_escaped() -> None:
    tag = _image_tag(Picture('"><script>', 4, 3), "<b>", Markup('loading="lazy"'))
    assert tag == '<img src="&#34;&gt;&lt;script&gt;" alt="&lt;b&gt;" width="4" height="3" loading="lazy">'
