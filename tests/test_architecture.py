"""The map of the house holds: directions of imports, sizes of modules and functions, names."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("realfill", "flows")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 60  # lines
FOLDERS_OF_CODE = (*PACKAGES, "tests", "bench", "training")


def _modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _bound_names(path: Path) -> Iterator[tuple[str, int]]:
    """The names that a module gives to anything, with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name, node.lineno


def test_imports_follow_the_directions_of_the_map() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", PACKAGES)
def test_modules_are_short(folder: str) -> None:
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _modules(folder)}
    assert not {path: length for path, length in lengths.items() if length > LONGEST_MODULE}


@pytest.mark.parametrize("folder", PACKAGES)
def test_functions_are_short(folder: str) -> None:
    lengths = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in _modules(folder)
        for node in _functions(path)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_nothing_is_named_for_having_been_found() -> None:
    places = [
        f"{path}:{line}"
        for path in _modules(*FOLDERS_OF_CODE)
        for name, line in _bound_names(path)
        if name == "found"
    ]
    assert not places


def test_every_package_says_what_lives_in_it() -> None:
    silent = [
        path for path in _modules(*PACKAGES) if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_the_list_of_modules_is_current() -> None:
    command = [sys.executable, "docs/list_modules.py"]
    printed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    advice = "run `python docs/list_modules.py > docs/modules.md`"
    assert printed == (PROJECT / "docs" / "modules.md").read_text(encoding="utf-8"), advice
