"""The store in PostgreSQL: appends, the order of the log, reads, and the SQL functions for them."""
