"""The files that a new library begins with.

The repository of realfill is a library too: the files that both have are links to its own. The names that git and DVC
would obey in this folder lack their leading dot here.
"""
