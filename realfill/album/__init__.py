"""Albums: their layout on disk, their settings, and the files that pass between stages."""
