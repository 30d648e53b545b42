"""Rebuilding a projection in shadow tables, and swapping the rows in."""
