"""The store in PostgreSQL: appending, the order of the log, reading, and the SQL functions behind them."""
