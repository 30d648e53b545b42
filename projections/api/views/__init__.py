"""The views of the projections and of the read models, by subject."""

from .base import AtLeast

__all__ = ["AtLeast"]
