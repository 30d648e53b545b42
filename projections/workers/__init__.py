"""The processes that run the engine: scheduler, worker loop, heartbeat and supervisor."""
