"""Scoring a run: what a test measures, written as JSON and arrays. Nothing is drawn here."""
