"""Idempotency keys: the same for the same event, however often it is handled, until a rewind asks for new ones."""

from bisect import bisect_right
from uuid import UUID

from events.models import Event
from events.routing import database
from events.storage.identity import id_of, secret
from projections.models import Operation

_REWINDS = (Operation.Action.REWIND, Operation.Action.SEND_AGAIN)


class Keys:
    """The keys of one reaction, as of the rewinds that are recorded when this is created.

    Create it in a pass, after the checkpoint is locked: a rewind locks it too.

    Attributes:
        are_rewound: whether events may have been handled before, so that what follows from them may be stored already.
    """

    def __init__(self, reaction: str) -> None:
        self._reaction, self._secret = reaction, secret(database())
        rewinds = Operation.objects.using(database()).filter(projection=reaction, action__in=_REWINDS)
        found = list(rewinds.order_by("position").values_list("action", "position"))
        self.are_rewound = bool(found)
        self._sent_again_from = [position or 0 for action, position in found if action == Operation.Action.SEND_AGAIN]

    def key(self, event: Event) -> str:
        """Return the idempotency key of an event, a UUID as text."""
        return str(self._derived("key", event))

    def event_id(self, event: Event, *parts: str | int) -> UUID:
        """Return the id of an event that the handlers of `event` cause.

        Args:
            parts: name it among all events that they cause.
        """
        return self._derived("event", event, *parts)

    def _derived(self, kind: str, event: Event, *parts: str | int) -> UUID:
        # An event belongs to the last rewind with new keys that began at it or before it.
        sendings = bisect_right(self._sent_again_from, event.position)
        return id_of(self._secret, f"reaction {kind}", self._reaction, sendings, str(event.event_id), *parts)
