"""What this project has that others do not."""

AUTH_USER_MODEL = "people.Person"
TIME_ZONE = "Asia/Kathmandu"
LANGUAGE_CODE = "de"
MORE_APPS = ["people", "event", "venue.events.apps.VenueEvents", "sales"]
PROJECTIONS_EVENT_TYPE_ACTIVITY = PROJECTIONS_DAILY_ACTIVITY = True
