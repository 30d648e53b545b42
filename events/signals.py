"""The two moments of an event's life that code in this process can listen to.

Both are sent with `sender=Event`, `event=` (the stored event) and `using=` (the database alias). They are transient:
this process, from now on. `EventStore.subscribe` narrows them to one event type.
"""

from django.dispatch import Signal

__all__ = ["event_committed", "event_dispatched"]

#: Sent inside the transaction that stores the event, once it has its version and position.
#: A receiver that raises rolls the dispatch back, and the error reaches the caller.
event_dispatched = Signal()

#: Sent after the transaction that stored the event has committed.
#: A receiver that raises is logged (logger `django.dispatch`); the event stays, and the other receivers still run.
event_committed = Signal()
