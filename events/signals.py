"""The Django signals that are sent when this process appends an event; imports send them only when asked to.

Both are sent for the events of every database, with `sender=Event`, `event=` (the stored event) and `using=` (the alias
of the database). Nothing is kept for receivers that connect later. `EventStore.subscribe` calls a handler for events of
one database, and of one type or all.
"""

from django.dispatch import Signal

__all__ = ["event_committed", "event_dispatched"]

#: Sent inside the transaction that stores the event, once it has its version and position.
#: An exception of a receiver rolls the dispatch back and reaches the caller.
event_dispatched = Signal()

#: Sent after the transaction that stored the event has committed.
#: An exception of a receiver is logged (logger `django.dispatch`); the event stays, and the other receivers run.
event_committed = Signal()
