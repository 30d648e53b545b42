"""A JSON field that returns exactly the stored value; see `events.jsonb`."""

from typing import Any

from django.db import models
from django.db.models.fields.json import KeyTransform

from . import jsonb


class ExactJSONField(models.JSONField):
    """A `JSONField` that keeps every number, and that orjson reads wherever it is exact."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None or (isinstance(expression, KeyTransform) and not isinstance(value, str)):
            return value
        return jsonb.loads(value)
