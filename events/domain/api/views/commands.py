"""The view that runs a command of an aggregate."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from events import client_errors
from events.api import idempotency, preconditions, schema
from events.api.base import StoreView
from events.api.problems import IdempotencyKeyReused, PreconditionFailed
from events.api.serializers import JSON_OBJECT
from events.domain import answers
from events.domain.aggregates import Aggregate
from events.domain.codecs import json_value
from events.domain.commands import Command, all_commands, commands_of_aggregate
from events.domain.repository import Repository
from events.exceptions import Conflict, InvalidEvent, VersionConflict
from events.jsonb import dumps
from events.storage.identity import derived_id
from events.types import EXISTS


class HandledSerializer(serializers.Serializer):
    """What a command has done."""

    aggregate_id = serializers.CharField()
    version = serializers.IntegerField(help_text="The version of the aggregate after the events of the command.")
    position = serializers.IntegerField(
        allow_null=True, help_text="The position of the last event that it stored; null if it stored none."
    )
    result = serializers.JSONField(allow_null=True, help_text="What the command returned.")


class CommandView(StoreView):
    """Run a command of an aggregate. The user needs the permission that the command names, and no other."""

    permission_classes = [IsAuthenticated]

    def is_usable(self) -> bool:
        return super().is_usable() and any(each.is_allowed(self.request.user) for each in all_commands())

    @schema.operation(
        "run_command",
        "Run a command of an aggregate",
        HandledSerializer,
        {"aggregate_id": "order-18", "version": 2, "position": 8, "result": None},
        errors=(*schema.APPEND_ERRORS, 404, 412, 503),
        parameters=[schema.IF_MATCH, schema.IF_NONE_MATCH, schema.IDEMPOTENCY_KEY, schema.ETAG],
        request={schema.JSON: JSON_OBJECT},
    )
    def post(self, request: Request, aggregate_id: str, command: str) -> Response:
        found = self._command(aggregate_id, command)
        body: Any = request.data
        given = {} if body in (None, "") else body
        if not isinstance(given, Mapping):
            raise InvalidEvent("body", "must be a JSON object with the arguments")
        arguments = found.arguments(given)
        run = partial(self._run, found, aggregate_id, arguments)
        key = idempotency.key(request)
        if key is None:
            answer = run()
        else:
            of_key = derived_id(self.store.using, "command key", key.user, request.path, key.text)
            try:
                answer = answers.answer_once(of_key, given, run, self.store.using)
            except answers.KeyReused:
                raise IdempotencyKeyReused from None
        return Response(answer, headers={"ETag": preconditions.etag(answer["version"])})

    def _command(self, aggregate_id: str, name: str) -> Command:
        command = commands_of_aggregate(aggregate_id).get(name)
        if command is None:
            raise Http404(f"The aggregate {aggregate_id!r} has no command {name!r}")
        if not command.is_allowed(self.request.user):
            needed = f"you need {command.permission}" if command.permission else "nobody may"
            raise PermissionDenied(f"You may not run the command {name!r} of {aggregate_id!r}; {needed}")
        return command

    def _run(self, command: Command, aggregate_id: str, arguments: dict[str, Any]) -> dict[str, Any]:
        expected = preconditions.expectation(self.request)

        def call(aggregate: Aggregate) -> Any:
            met = aggregate.version > 0 if expected is EXISTS else aggregate.version == expected
            if expected is not None and not met:
                raise PreconditionFailed(VersionConflict([Conflict(aggregate_id, expected, aggregate.version)]))
            return _as_json(command.call(aggregate, arguments))

        repository = Repository(command.aggregate_class, using=self.store.using)
        with client_errors.shown(self.request.user, named=[aggregate_id]):
            handled = repository.run(aggregate_id, call, command.method)
        position = handled.events[-1].position if handled.events else None
        return {
            "aggregate_id": aggregate_id,
            "version": handled.version,
            "position": position,
            "result": handled.result,
        }


def _as_json(result: Any) -> Any:
    """Return the result of a command as JSON, before its events are stored.

    Raises:
        TypeError: JSON cannot represent it. This is a fault of the code, and not of the request.
    """
    value = json_value(result)
    try:
        return dumps(value, "result")[1]
    except InvalidEvent as error:
        raise TypeError(f"the command returned what JSON cannot represent: {error}") from error
