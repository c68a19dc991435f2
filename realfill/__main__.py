"""`python -m realfill` is the `realfill` command."""

from __future__ import annotations

from realfill.cli import main

main()
