"""Reactions: durable consumers that cause effects, such as further events, commands and calls of other systems."""

from .actions import Actions
from .reaction import EXTERNAL, INTERNAL, Effects, Reaction

__all__ = ["EXTERNAL", "INTERNAL", "Actions", "Effects", "Reaction"]
