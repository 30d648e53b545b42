"""The HTTP interface of the domain toolkit: include `events.domain.api.urls` beside `events.api.urls`."""
