"""Judging the candidates for the hole, so that the most authentic one is taken."""
