"""The `realfill` command line: one module for each group of commands; `main` puts them together."""

from realfill.cli.main import app, main

__all__ = ["app", "main"]
