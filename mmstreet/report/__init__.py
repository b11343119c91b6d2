"""Renders pages, charts and pictures from files; no framework is needed."""
