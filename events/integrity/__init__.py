"""Proof that stored events have not changed: seals, and their verification."""
