from django.apps import AppConfig


class VenueEvents(AppConfig):
    """An app that is called `events`, too, and so needs another label."""

    name = "venue.events"
    label = "venue_events"
