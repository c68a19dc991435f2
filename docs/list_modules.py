"""Print docs/modules.md: every module with the first sentence of its docstring.

usage: python docs/list_modules.py > docs/modules.md
"""

import ast
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
HEADER = """\
# Every module

Written by `python docs/list_modules.py`, from the modules' own docstrings. The diagram of the packages is in
[Architecture](architecture.md)."""


def first_sentence(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def main() -> None:
    print(HEADER)
    packages = sorted([PROJECT / "realfill", *(path.parent for path in (PROJECT / "realfill").glob("*/__init__.py"))])
    for package in packages:
        name = package.relative_to(PROJECT).as_posix().replace("realfill/flows", "flows")
        print(f"\n## {name}\n\n{first_sentence(package / '__init__.py')}\n\n| module | what is in it |\n|---|---|")
        for path in sorted(package.glob("*.py")):
            if path.name not in ("__init__.py", "__main__.py"):
                print(f"| `{path.name}` | {first_sentence(path)} |")


main()
