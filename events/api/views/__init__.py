"""The views of the HTTP interface, by subject."""
