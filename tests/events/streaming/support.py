"""An open event stream, read message by message."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx


class Message:
    """One message of a stream, as a browser would see it."""

    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        self.id = int(fields["id"]) if "id" in fields else None
        self.event = fields.get("event", "message")
        self.data = json.loads(fields["data"]) if "data" in fields else None
        self.is_comment = all(line.startswith(":") for line in lines)


class Stream:
    """An open stream, read message by message."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._messages = self._read()

    def _read(self) -> Iterator[Message]:
        lines: list[str] = []
        for line in self.response.iter_lines():
            if line:
                lines.append(line)
            elif lines:
                yield Message(lines)
                lines = []

    def next(self) -> Message:
        """The next message that is no comment and no `retry`."""
        return next(message for message in self._messages if message.data is not None)

    def any(self) -> Message:
        return next(self._messages)

    def events(self, count: int) -> list[dict[str, Any]]:
        return list(islice((each.data for each in self._messages if each.data and each.event == "message"), count))

    def up_to(self, name: str) -> list[Message]:
        found = []
        while not found or found[-1].event != name:
            found.append(self.next())
        return found

    def rest(self) -> list[Message]:
        return [message for message in self._messages if message.data is not None]
