"""Families of base models, a module each: how the classes of diffusers are loaded, encoded with and run."""
