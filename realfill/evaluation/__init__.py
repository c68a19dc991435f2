"""Comparison of finished albums with their ground truth: metrics, baselines, and the report of an evaluation."""
