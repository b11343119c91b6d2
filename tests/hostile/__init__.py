"""Damaged, foreign and malicious inputs, made from a seed and counted by kind: ``python -m tests.hostile`` prints the table."""
