"""Compositing: references and generated fills become one photo, with matching colors, seams, detail and grain."""
