"""Crash tests: writers, workers and readers at work on a PostgreSQL that is killed, cut off and filled up under them.

`make torture`, or `python -m tests.torture --rounds 100 --seed 7`. In each round one thing goes wrong (`faults.py`);
every few rounds the writers pause, and all that was acknowledged is held against what is stored (`checks.py`).
"""
