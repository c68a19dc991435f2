"""Prefect flows that complete one album, a shard of albums, or a whole library on one machine or many."""
