"""Scores a run: what a test measures, written as JSON, arrays and images. Charts and pages are made by ``mmstreet.report``."""
