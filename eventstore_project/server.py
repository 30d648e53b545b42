"""The web server of the demo."""

from typing import Any

import uvicorn

from events.streaming.feed import Feed


class StreamingServer(uvicorn.Server):
    """Uvicorn, which ends the open event streams before it shuts down; else it would wait for them, or cut them off."""

    async def shutdown(self, sockets: Any = None) -> None:
        Feed.end_streams()
        await super().shutdown(sockets)
