"""Errors, parameters, hashing, seeding and file output: what every other package uses."""
