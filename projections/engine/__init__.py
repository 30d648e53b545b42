"""Handling events: one pass in one transaction, checkpoints, failures and parked events."""
