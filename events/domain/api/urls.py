"""The addresses that the domain toolkit adds to the HTTP interface."""

from . import commands

ADDRESSES = (
    ("aggregates/<aggregate_id:aggregate_id>/commands/<str:command>/", commands.CommandView, "aggregate-command"),
)
