"""Open streams of new events: one feed in each process, and the Server-Sent Events protocol."""
