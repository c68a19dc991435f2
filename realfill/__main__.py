"""`python -m realfill` is the `realfill` command."""

from realfill.cli import main

main()
