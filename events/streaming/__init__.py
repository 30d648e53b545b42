"""New events for open streams: one feed in each process, and the Server-Sent Events that clients receive."""
