"""The random models of the benchmarks."""

from benchmarks.tiny_transformers import CITYSCAPES, FAMILIES, SIDE, UNIVERSAL, write_tiny

__all__ = ["CITYSCAPES", "FAMILIES", "SIDE", "UNIVERSAL", "write_tiny"]
