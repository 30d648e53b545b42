"""The processes that run the engine: schedule, loop, heartbeat and supervisor."""
