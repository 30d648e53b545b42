"""Seals, which prove that stored events have not changed, and their verification."""
