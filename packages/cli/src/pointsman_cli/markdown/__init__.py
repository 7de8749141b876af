"""Markdown that arrives in pieces, on a terminal."""
