"""The random CLIP of the benchmarks, in the size that the tests use."""

from benchmarks.tiny_clip import save_tiny_clip

WIDTH = 16
"""Entries of its embeddings."""

__all__ = ["WIDTH", "save_tiny_clip"]
