"""The web server of the demo."""

from typing import Any

import uvicorn

from events.streaming.feed import Feed


class StreamingServer(uvicorn.Server):
    """Uvicorn that ends open event streams before it shuts down, instead of waiting for them or cutting them off."""

    async def shutdown(self, sockets: Any = None) -> None:
        Feed.end_streams()
        await super().shutdown(sockets)
