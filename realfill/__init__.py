"""Authentic photo completion from reference photos of the same scene (RealFill, arXiv 2309.16668)."""

from __future__ import annotations

__version__ = "0.1.0"
