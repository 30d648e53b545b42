"""Rebuild a projection: fill shadow tables from the events, then swap the rows in."""
