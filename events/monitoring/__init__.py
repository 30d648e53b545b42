"""What operators ask of a live store: diagnostics, statistics, and the rights of database roles."""
