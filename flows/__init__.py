"""Prefect flows over the library."""
