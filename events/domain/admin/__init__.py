"""What the domain toolkit adds to the store in Django's admin."""

from . import catalogue, commands  # noqa: F401  # they add themselves
