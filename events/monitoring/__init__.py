"""Tools for operators of a live store: diagnostics, statistics, and the grants of database roles."""
